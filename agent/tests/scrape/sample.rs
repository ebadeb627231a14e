//! Snapshots as a node's would be.

use std::time::Duration;

use uuid::Uuid;
use weir_agent::histogram::Histogram;
use weir_agent::probe::{
    DiskFigures, Failure, ImportFigures, InitiatorFigures, Loss, Op, OpFigures, Size, Sized,
    Snapshot, Stage, StageOff, Tally, VolumeFigures,
};
use weir_agent_ebpf::scale::{BUCKETS, COARSEST_NS, upper_bound_ns};
use weir_api::names::VolumeId;

const SOME: Tally = Tally {
    count: 12,
    sum_ns: 345_678_901,
};

/// Small ones and large ones.
fn sizes() -> Vec<(Size, Sized)> {
    let bytes = 1_234_567_890_123;
    [Size::UpTo4K, Size::UpTo64K, Size::More]
        .map(|size| (size, Sized { total: SOME, bytes }))
        .to_vec()
}

/// A thousand exported volumes, each with one initiator, that have all read and written: every stage of both has some
/// dozens of buckets that hold something.
pub(crate) fn a_thousand_volumes(name: impl Fn(u32) -> String) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for number in 0..1000 {
        let ops = [Op::Read, Op::Write].map(|op| OpFigures {
            op,
            in_flight: u64::from(number % 33),
            stages: (0..)
                .zip(Stage::ALL)
                // That is what the other node measures.
                .filter(|(_, stage)| *stage != Stage::HostQueue)
                .map(|(at, stage)| (stage, spread(number * 100 + at)))
                .collect(),
            peak: 64,
            sizes: sizes(),
            ..OpFigures::new(op)
        });
        let volume = name(number).parse().unwrap();
        snapshot.initiators.push(InitiatorFigures {
            volume: name(number).parse().unwrap(),
            initiator: format!("worker-{}", number % 32).parse().unwrap(),
            ops: ops
                .iter()
                .map(|figures| (figures.op, figures.stages[0].1.clone()))
                .collect(),
        });
        snapshot.volumes.push(VolumeFigures {
            id: VolumeId(Uuid::from_u128(number.into())),
            name: volume,
            pool: "fast".parse().unwrap(),
            ops: ops.to_vec(),
            oldest: Some(Duration::from_millis(20)),
        });
    }
    with_the_rest(snapshot)
}

/// Two volumes, with everything that can occur.
pub(crate) fn two_volumes() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (number, name) in (1..).zip(["db", "logs"]) {
        let ops = Op::ALL.map(|op| OpFigures {
            op,
            in_flight: 3,
            stages: (0..)
                .zip(Stage::ALL)
                .map(|(at, stage)| (stage, spread(100 * number + 10 * op as u32 + at)))
                .collect(),
            peak: 64,
            sizes: sizes(),
            failed: vec![(Failure::Error, SOME)],
            throttled: SOME,
        });
        snapshot.initiators.push(InitiatorFigures {
            volume: name.parse().unwrap(),
            initiator: "worker-1".parse().unwrap(),
            ops: Op::ALL.map(|op| (op, spread(op as u32))).to_vec(),
        });
        snapshot.volumes.push(VolumeFigures {
            id: VolumeId(Uuid::from_u128(number.into())),
            name: name.parse().unwrap(),
            pool: "fast".parse().unwrap(),
            ops: ops.to_vec(),
            oldest: Some(Duration::from_millis(20)),
        });
    }
    with_the_rest(snapshot)
}

fn with_the_rest(mut snapshot: Snapshot) -> Snapshot {
    snapshot.disks = vec![DiskFigures {
        pool: "fast".parse().unwrap(),
        disk: "/dev/disk/by-id/nvme-eui.0025385".to_owned(),
        ops: Op::ALL.map(|op| (op, spread(op as u32))).to_vec(),
        failed: vec![(Op::Read, Failure::Medium, SOME)],
    }];
    snapshot.imports = vec![ImportFigures {
        id: VolumeId(Uuid::from_u128(7)),
        ops: vec![OpFigures {
            stages: vec![(Stage::Total, spread(1)), (Stage::HostQueue, spread(2))],
            ..OpFigures::new(Op::Write)
        }],
        oldest: None,
    }];
    snapshot.histograms = (100, 900);
    snapshot.dropped = Loss::ALL.map(|why| (why, 2)).to_vec();
    snapshot.skipped = vec![("bio_queue".to_owned(), 4)];
    snapshot.aged = 1;
    snapshot.map_bytes = 40 << 20;
    snapshot.off = vec![StageOff {
        stage: "disk".to_owned(),
        reason: "no \"tracepoint\"\nhere\\there".to_owned(),
    }];
    snapshot
}

/// Some millions of intervals around a peak that depends on `seed`, with a tail of slow ones, and some at both open ends
/// of the scale.
pub(crate) fn spread(seed: u32) -> Histogram {
    let middle = 48 + seed as usize * 7 % 32;
    let count = |bucket: usize| match bucket.abs_diff(middle) as u64 {
        _ if bucket == 0 => 3,
        _ if bucket == BUCKETS - 1 => 2,
        // A bell of about forty buckets, then every fifth bucket of the slow ones.
        away @ 0..20 => (1 << (21 - away)) + u64::from(seed % 1000),
        away @ 20..60 if bucket > middle && away.is_multiple_of(5) => 60 - away,
        _ => 0,
    };
    // As binary numbers are made of digits: twice what is there, and one more where there is a 1.
    let mut histogram = Histogram::default();
    for digit in (0..22).rev() {
        let there = histogram.clone();
        histogram.merge(&there);
        for bucket in (0..BUCKETS).filter(|bucket| count(*bucket) >> digit & 1 == 1) {
            histogram.record(upper_bound_ns(bucket).unwrap_or(2 * COARSEST_NS));
        }
    }
    histogram
}
