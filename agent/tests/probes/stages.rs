//! Where the time between a volume's bio and its completion goes: `queue`, `device` and `dm`, for each way in
//! which LVM lays a volume on disks.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use weir_agent::histogram::Histogram;
use weir_agent::probe::{Op, Probes, Snapshot, Stage, Wanted};

use crate::bench::{Pins, disk, drops, in_flight, stage, volume};
use crate::io::{BLOCK, Io, dev_of};
use crate::stack::{self, Stack};
use crate::traced::Traced;
use crate::{CRAMPED, DISK, batch};

/// Measures a volume that is used on this node, and the disk below it.
fn measured(pins: &Pins, stack: &Stack) -> Probes {
    let mut probes = pins.start();
    let wanted = Wanted {
        volumes: vec![volume(1, stack.dev())],
        disks: vec![disk(dev_of(Path::new(DISK)))],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    assert_eq!(probes.read().unwrap().off, []);
    probes
}

fn count(snapshot: &Snapshot, op: Op, which: Stage) -> u64 {
    stage(snapshot, op, which).count()
}

/// All I/Os of an operation were divided, to the nanosecond; so many of them asked a disk.
fn assert_divided(snapshot: &Snapshot, op: Op, ios: u64, with_disk: u64) {
    let of = |which| stage(snapshot, op, which);
    let parts = [Stage::Queue, Stage::Device, Stage::Dm].map(of);
    let counts = parts.each_ref().map(Histogram::count);
    assert_eq!(counts, [with_disk, with_disk, ios], "{op:?}: {snapshot:?}");
    assert_eq!(of(Stage::Total).count(), ios, "{op:?}");
    let sum: u64 = parts.iter().map(Histogram::sum_ns).sum();
    assert_eq!(of(Stage::Total).sum_ns(), sum, "{op:?}");
}

/// A thin volume's first write to a chunk waits for its allocation, on a thread of the pool. What a volume with
/// a snapshot is given waits until the old data is copied, by bios that are nobody's.
///
/// Seen red with: `LEVELS` in `originals.rs` 5.
#[test]
fn every_io_is_divided_whatever_lies_below_its_volume() {
    let pins = Pins::new();
    for make in [
        Stack::linear,
        Stack::striped,
        Stack::thin,
        Stack::with_snapshot,
        Stack::tower,
    ] {
        let stack = make(DISK);
        let mut probes = measured(&pins, &stack);
        let mut io = Io::open(&stack.path());
        io.write(150);
        io.read(150);
        let snapshot = probes.read().unwrap();
        assert_divided(&snapshot, Op::Write, 150, 150);
        assert_divided(&snapshot, Op::Read, 150, 150);
        assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
        probes.sync(&Wanted::default()).unwrap();
    }
}

/// A request that the disk has no room for goes back into its queue, and is issued again: it counts once, from its first issue on.
///
/// Seen red with: `REQUEUED` never set in `starts::requeued`.
#[test]
fn a_request_that_is_put_back_counts_once_from_its_first_issue_on() {
    const AT_ONCE: u64 = 8;
    let (pins, stack) = (Pins::new(), Stack::linear(CRAMPED));
    let mut probes = pins.start_with_all_copies();
    let wanted = Wanted {
        volumes: vec![volume(1, stack.dev())],
        disks: vec![disk(dev_of(Path::new(CRAMPED)))],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    let requeues = Traced::watch("block/block_rq_requeue", "0");
    let path = stack.path();
    let places: Vec<_> = (0..AT_ONCE)
        .map(|i| (&*path, 2 * i * BLOCK as u64))
        .collect();
    let mut batch = batch::Batch::of(&places);
    (0..100).for_each(|_| batch.write());
    let (snapshot, requeues) = (probes.read().unwrap(), requeues.count());
    println!("{requeues} requeues");
    assert!(requeues > 100, "{CRAMPED} is not cramped: {requeues}");
    assert_divided(&snapshot, Op::Write, 100 * AT_ONCE, 100 * AT_ONCE);
    let [(Op::Write, of_disk)] = &snapshot.disks[0].ops[..] else {
        panic!("{snapshot:?}");
    };
    // One volume, and each of its I/Os is one request: the disk's time is the volume's time in the stage `device`.
    let of_volume = stage(&snapshot, Op::Write, Stage::Device);
    assert_eq!(of_disk.count(), of_volume.count());
    assert_eq!(of_disk.sum_ns(), of_volume.sum_ns());
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

/// A write over many chunks travels as many requests, and lasts until the last of them. With requests merged
/// again, one request is a part of several I/Os.
#[test]
fn an_io_in_many_requests_counts_once() {
    let (pins, stack) = (Pins::new(), Stack::striped(DISK));
    let probes = measured(&pins, &stack);
    let queue = Path::new("/sys/class/block/vda/queue/nomerges");
    for nomerges in ["2", "0"] {
        std::fs::write(queue, nomerges).unwrap();
        let before = probes.read().unwrap();
        batch::write_long(&stack.path(), 4 << 20, 1);
        let after = probes.read().unwrap();
        let new = |which| count(&after, Op::Write, which) - count(&before, Op::Write, which);
        let requests = |snapshot: &Snapshot| -> u64 {
            let writes = snapshot.disks[0].ops.iter();
            let writes = writes.filter(|(op, _)| *op == Op::Write);
            writes.map(|(_, histogram)| histogram.count()).sum()
        };
        let requests = requests(&after) - requests(&before);
        println!("{} writes, {requests} requests", new(Stage::Total));
        if nomerges == "2" {
            assert!(requests >= 64 && new(Stage::Total) < requests);
        }
        let ios = count(&after, Op::Write, Stage::Total);
        assert_divided(&after, Op::Write, ios, ios);
        assert_eq!((in_flight(&after), drops(&after)), (0, 0));
    }
}

/// The last block of one volume and the first of the next lie side by side on the disk, and travel as one request.
///
/// Seen red with: `BIOS` in `request.rs` 1.
#[test]
fn a_request_of_two_volumes_counts_for_each() {
    let (pins, stack) = (Pins::new(), Stack::neighbours(DISK));
    let [first, second] = ["/dev/mapper/weir_volume", "/dev/mapper/weir_next"].map(Path::new);
    let mut probes = pins.start();
    probes
        .sync(&Wanted {
            volumes: vec![volume(1, dev_of(first)), volume(2, dev_of(second))],
            disks: vec![disk(dev_of(Path::new(DISK)))],
            ..Wanted::default()
        })
        .unwrap();
    let block = BLOCK as u64;
    let writes = [
        (first, stack::BYTES - 2 * block),
        (first, stack::BYTES - block),
        (second, 0),
        (second, block),
    ];
    batch::write(&writes);
    let snapshot = probes.read().unwrap();
    let requests: u64 = snapshot.disks[0].ops.iter().map(|(_, h)| h.count()).sum();
    assert_eq!(requests, 1, "{snapshot:?}");
    for volume in &snapshot.volumes {
        let of = |which| volume.ops[0].stage(which).map_or(0, Histogram::count);
        let stages = [Stage::Total, Stage::Queue, Stage::Device, Stage::Dm];
        assert_eq!(stages.map(of), [2; 4], "{snapshot:?}");
    }
    drop(stack);
}

#[test]
fn a_flush_is_divided() {
    for stack in [Stack::linear, Stack::striped, Stack::thin] {
        let (pins, stack) = (Pins::new(), stack(DISK));
        let probes = measured(&pins, &stack);
        let file = OpenOptions::new().write(true).open(stack.path()).unwrap();
        for _ in 0..5 {
            file.sync_all().unwrap();
        }
        let snapshot = probes.read().unwrap();
        assert_divided(&snapshot, Op::Flush, 5, 5);
        assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
    }
}

/// Nothing was ever written there: the pool answers by itself.
#[test]
fn zeroes_of_a_thin_volume_come_from_no_disk() {
    let (pins, stack) = (Pins::new(), Stack::thin(DISK));
    let probes = measured(&pins, &stack);
    Io::open(&stack.path()).read(40);
    let snapshot = probes.read().unwrap();
    assert_divided(&snapshot, Op::Read, 40, 0);
}

/// Seen red with: `Stage::Dm` recorded as `Stage::Queue` where there was no disk request.
#[test]
fn what_device_mapper_does_alone_is_its_own_time() {
    let (pins, stack) = (Pins::new(), Stack::without_disk(20));
    let probes = measured(&pins, &stack);
    Io::open(&stack.path()).read(10);
    let file = OpenOptions::new().write(true).open(stack.path()).unwrap();
    file.write_all_at(&[0x5a; BLOCK], 0).unwrap();
    file.sync_all().unwrap_err();
    let snapshot = probes.read().unwrap();
    assert_divided(&snapshot, Op::Read, 10, 0);
    // Device mapper counts in ticks of 4 ms.
    assert!(stage(&snapshot, Op::Read, Stage::Dm).sum_ns() >= 10 * 15_000_000);
    let failed = count(&snapshot, Op::Write, Stage::Total);
    assert_divided(&snapshot, Op::Write, failed, 0);
}

/// With a disk of the pool unknown, nobody could say whether an I/O asked one.
#[test]
fn without_its_disk_a_volume_is_not_divided() {
    let (pins, stack) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start();
    let mut wanted = Wanted {
        volumes: vec![volume(1, stack.dev())],
        disks: Vec::new(),
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    let mut io = Io::open(&stack.path());
    io.write(10);
    let snapshot = probes.read().unwrap();
    assert_eq!(count(&snapshot, Op::Write, Stage::Backend), 10);
    assert_eq!(count(&snapshot, Op::Write, Stage::Dm), 0);
    let off = snapshot.off.iter().map(|off| off.stage.as_str());
    assert_eq!(Vec::from_iter(off), ["queue", "device", "dm"]);
    // Nothing goes uncounted when it becomes known.
    wanted.disks = vec![disk(dev_of(Path::new(DISK)))];
    probes.sync(&wanted).unwrap();
    io.write(10);
    let snapshot = probes.read().unwrap();
    assert_eq!(count(&snapshot, Op::Write, Stage::Backend), 20);
    assert_eq!(count(&snapshot, Op::Write, Stage::Device), 10);
}
