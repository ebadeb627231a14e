//! What is told of two snapshots.

use std::time::Duration;

use uuid::Uuid;
use weir_agent_ebpf::layout;

use super::*;

fn histogram(intervals: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for ns in intervals {
        histogram.record(*ns);
    }
    histogram
}

fn volume(index: u128, pool: &str, reads: &[u64], in_flight: u64) -> VolumeFigures {
    let mut op = OpFigures::new(layout::Op::Read);
    op.in_flight = in_flight;
    // `total` is longer, and no business of a pool's.
    let total = reads.iter().map(|ns| ns * 2).collect::<Vec<_>>();
    op.stages = vec![
        (Stage::Total, histogram(&total)),
        (Stage::Backend, histogram(reads)),
    ];
    VolumeFigures {
        id: VolumeId(Uuid::from_u128(index)),
        name: format!("v{index}").parse().unwrap(),
        pool: pool.parse().unwrap(),
        ops: vec![op],
        oldest: None,
    }
}

fn of_volumes(volumes: Vec<VolumeFigures>) -> Snapshot {
    Snapshot {
        volumes,
        ..Snapshot::default()
    }
}

/// What each snapshot adds: by subject and operation, how many and their sum.
fn told(snapshots: Vec<Snapshot>) -> Vec<Vec<(Subject, Op, u64, u64)>> {
    let (mut growth, begin) = (Growth::default(), Instant::now());
    let mut told = Vec::new();
    for (second, snapshot) in (0..).zip(snapshots) {
        let at = begin + Duration::from_secs(second);
        let Some(reading) = growth.since_last(snapshot, at) else {
            continue;
        };
        let added = reading.added.into_iter();
        let added = added.filter(|(_, delta)| !delta.is_empty());
        let row = |(key, delta): (Key, Delta)| (key.subject, key.op, delta.count(), delta.sum_ns());
        told.push(added.map(row).collect());
    }
    told
}

fn pool(name: &str) -> Subject {
    Subject::Pool(name.parse().unwrap())
}

/// Seen red with: a volume without an earlier reading counting from nothing.
#[test]
fn what_is_seen_first_is_the_ground_to_count_from() {
    let snapshots = vec![
        // The engine has not said yet what to measure.
        of_volumes(Vec::new()),
        of_volumes(vec![volume(1, "p", &[5_000; 7], 0)]),
        of_volumes(vec![volume(1, "p", &[5_000; 9], 0)]),
    ];
    assert_eq!(
        told(snapshots),
        [vec![], vec![], vec![(pool("p"), Op::Read, 2, 10_000)]]
    );
}

#[test]
fn a_pools_volumes_are_told_together() {
    let first = vec![
        volume(1, "p", &[], 0),
        volume(2, "p", &[], 0),
        volume(3, "q", &[], 0),
    ];
    let then = vec![
        volume(1, "p", &[5_000], 2),
        volume(2, "p", &[7_000; 2], 3),
        volume(3, "q", &[9_000], 0),
    ];
    let rows = told(vec![of_volumes(first), of_volumes(then.clone())]);
    assert_eq!(
        rows[1],
        [
            (pool("p"), Op::Read, 3, 19_000),
            (pool("q"), Op::Read, 1, 9_000)
        ]
    );
    let now = Counters::of(of_volumes(then), Instant::now()).in_flight();
    let expected = InFlight {
        pool: "p".parse().unwrap(),
        op: Op::Read,
        now: 5,
    };
    assert_eq!(now, [expected]);
}

#[test]
fn a_volume_that_was_begun_anew_counts_whole() {
    let rows = told(vec![
        of_volumes(vec![volume(1, "p", &[5_000; 9], 0)]),
        of_volumes(vec![volume(1, "p", &[6_000; 2], 0)]),
    ]);
    assert_eq!(rows[1], [(pool("p"), Op::Read, 2, 12_000)]);
}

/// Seen red with: a snapshot of nothing taken for one of no volumes.
#[test]
fn what_could_not_be_read_is_told_by_the_next_reading() {
    let rows = told(vec![
        of_volumes(vec![volume(1, "p", &[5_000], 0)]),
        Snapshot::nothing("cannot use the map"),
        of_volumes(vec![volume(1, "p", &[5_000; 4], 0)]),
    ]);
    assert_eq!(rows, [vec![], vec![(pool("p"), Op::Read, 3, 15_000)]]);
}

#[test]
fn both_ends_of_a_link_are_told_by_id() {
    let id = VolumeId(Uuid::from_u128(1));
    let snapshot = |count: usize| {
        let ops = vec![(layout::Op::Read, histogram(&vec![8_000; count]))];
        let mut import = OpFigures::new(layout::Op::Write);
        import.stages = vec![(Stage::Total, histogram(&vec![9_000; count]))];
        Snapshot {
            initiators: vec![InitiatorFigures {
                volume: "v1".parse().unwrap(),
                initiator: "app".parse().unwrap(),
                ops,
            }],
            imports: vec![ImportFigures {
                id: VolumeId(Uuid::from_u128(2)),
                ops: vec![import],
                oldest: None,
            }],
            ..of_volumes(vec![volume(1, "p", &[], 0)])
        }
    };
    let rows = told(vec![snapshot(1), snapshot(3)]);
    let target = Subject::Target {
        volume: id,
        host: "app".parse().unwrap(),
    };
    let host = Subject::Host(VolumeId(Uuid::from_u128(2)));
    let mut found = rows[1].clone();
    found.sort_by_key(|row| row.3);
    assert_eq!(
        found,
        [(target, Op::Read, 2, 16_000), (host, Op::Write, 2, 18_000)]
    );
}

#[test]
fn lower_rungs_tell_one_histogram_or_sums() {
    let figures = |together, reads| BackendFigures {
        id: VolumeId(Uuid::from_u128(1)),
        name: "v1".parse().unwrap(),
        pool: "p".parse().unwrap(),
        is_local: true,
        in_flight: 1,
        ops: vec![(
            layout::Op::Read,
            Tally {
                count: reads,
                sum_ns: reads * 10,
            },
        )],
        together,
    };
    let of = |rung, figures| Snapshot {
        rung,
        backends: vec![figures],
        ..Snapshot::default()
    };
    let statistics = |count: usize| {
        let together = Some(histogram(&vec![20_000; count]));
        of(ladder::Rung::DmStatistics, figures(together, count as u64))
    };
    let rows = told(vec![statistics(1), statistics(3)]);
    assert_eq!(rows[1], [(pool("p"), Op::ReadWrite, 2, 40_000)]);
    let disk = |count| of(ladder::Rung::Diskstats, figures(None, count));
    let rows = told(vec![disk(1), disk(6)]);
    assert_eq!(rows[1], [(pool("p"), Op::Read, 5, 50)]);
}
