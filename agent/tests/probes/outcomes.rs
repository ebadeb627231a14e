//! How I/Os end, and what is in flight meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use weir_agent::probe::{
    Failure, Op, OpFigures, Probes, Size, Snapshot, Stage, Tally, VolumeFigures, Wanted,
};

use crate::bench::{Pins, disk, drops, in_flight, total, volume};
use crate::exported::Exported;
use crate::io::{BLOCK, Io, dev_of};
use crate::stack::Stack;
use crate::{DISK, batch, imported, imports_in_flight, on_both_nodes};

fn of_writes(ops: &[OpFigures]) -> &OpFigures {
    let mut ops = ops.iter();
    ops.find(|figures| figures.op == Op::Write).unwrap()
}

/// So many writes failed in this way, and none ended well.
#[track_caller]
fn assert_failed(ops: &[OpFigures], failure: Failure, times: u64) {
    let writes = of_writes(ops);
    let counts: Vec<_> = writes
        .failed
        .iter()
        .map(|(why, tally)| (*why, tally.count))
        .collect();
    assert_eq!(counts, [(failure, times)], "{writes:?}");
    assert!(writes.failed[0].1.sum_ns > 0);
    assert_eq!(
        writes.stage(Stage::Total).map_or(0, |total| total.count()),
        0,
        "{writes:?}"
    );
    assert_eq!((writes.in_flight, writes.bytes()), (0, 0), "{writes:?}");
}

fn with_disk(stack: &Stack) -> Wanted {
    Wanted {
        volumes: vec![volume(1, stack.dev())],
        disks: vec![disk(dev_of(Path::new(DISK)))],
        ..Wanted::default()
    }
}

/// A full pool and a device that knows nothing but errors, seen from all sides: as a volume used on its own node, as an
/// exported one, and as one that is used over NVMe.
///
/// Seen red with: `Failure::of_block` giving `None`, and with `record::ended` left out in `target::completed`.
#[test]
fn what_fails_has_a_status_and_no_latency() {
    let error = || Stack::without_disk(0);
    let full = || Stack::in_full_pool(DISK);
    // One after the other: their devices have the same names.
    let stacks: [(&dyn Fn() -> Stack, Failure); 2] =
        [(&error, Failure::Error), (&full, Failure::NoSpace)];
    for (make, failure) in stacks {
        let (pins, stack) = (Pins::new(), make());
        let mut probes = pins.start();
        probes.sync(&with_disk(&stack)).unwrap();
        Io::open(&stack.path()).fail_to_write(3);
        let local = probes.read().unwrap();
        assert_failed(&local.volumes[0].ops, failure, 3);
        assert_eq!(drops(&local), 0, "{local:?}");

        let target = Exported::new(&stack.path());
        probes.sync(&on_both_nodes(&stack, &target)).unwrap();
        Io::open(&target.path()).fail_to_write(4);
        let both = probes.read().unwrap();
        assert_failed(&both.volumes[0].ops, failure, 3 + 4);
        assert_failed(&both.imports[0].ops, failure, 4);
        assert_eq!((imports_in_flight(&both), drops(&both)), (0, 0), "{both:?}");
    }
}

/// The only path is gone: what is asked of the disk never becomes a command.
///
/// Seen red with: imports never taken out in `starts::take_bio`.
#[test]
fn an_io_that_finds_no_path_ends_at_once() {
    let (pins, stack) = (Pins::new(), Stack::linear(DISK));
    let target = Exported::new(&stack.path());
    let mut probes = pins.start();
    probes.sync(&imported(dev_of(&target.path()))).unwrap();
    let io = Io::open(&target.path());
    target.cut_off();
    io.fail_to_write(3);
    let snapshot = probes.read().unwrap();
    assert_failed(&snapshot.imports[0].ops, Failure::Error, 3);
    assert_eq!(
        (imports_in_flight(&snapshot), drops(&snapshot)),
        (0, 0),
        "{snapshot:?}"
    );
}

/// A pool's disk that fails is told from a slow one. This one has no requests: its bios are the I/Os.
///
/// Seen red with: `record::disk` given `None` for the failure in `bio::completed`.
#[test]
fn a_disk_that_fails_says_so() {
    let (pins, stack) = (Pins::new(), Stack::without_disk(0));
    let mut probes = pins.start();
    let wanted = Wanted {
        disks: vec![disk(stack.dev())],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    Io::open(&stack.path()).fail_to_write(3);
    let snapshot = probes.read().unwrap();
    let [figures] = &snapshot.disks[..] else {
        panic!("{snapshot:?}");
    };
    let [(Op::Write, Failure::Error, tally)] = figures.failed[..] else {
        panic!("{snapshot:?}");
    };
    assert_eq!(tally.count, 3);
    assert!(
        figures.ops.iter().all(|(op, _)| *op != Op::Write),
        "{snapshot:?}"
    );
}

/// Writes that the disk keeps for a while, one of them earlier than the others.
///
/// Seen red with: `in_flight.min(1)` in `record::started`, and with the age of the youngest in `reading::oldest`.
#[test]
fn a_stall_shows_while_it_lasts_and_in_the_high_water_mark_afterwards() {
    const IOS: u64 = 20;
    const DELAY_MS: u32 = 2_000;
    const EARLIER: Duration = Duration::from_millis(500);
    let (pins, stack) = (Pins::new(), Stack::with_slow_end(DISK, DELAY_MS));
    let mut probes = pins.start();
    probes.sync(&with_disk(&stack)).unwrap();
    let path = stack.path();
    let places: Vec<_> = (0..IOS)
        .map(|i| (&*path, (1 << 20) + i * BLOCK as u64))
        .collect();
    let (first, others) = places.split_at(1);
    std::thread::scope(|scope| {
        scope.spawn(|| batch::write(first));
        wait_for(&probes, |snapshot| in_flight(snapshot) == 1);
        std::thread::sleep(EARLIER);
        scope.spawn(|| batch::write(others));
        let snapshot = wait_for(&probes, |snapshot| in_flight(snapshot) == IOS);
        assert!(only(&snapshot).oldest.unwrap() >= EARLIER, "{snapshot:?}");
    });
    let after = probes.read().unwrap();
    let writes = of_writes(&only(&after).ops);
    assert_eq!((writes.in_flight, writes.peak), (0, IOS), "{after:?}");
    assert_eq!(only(&after).oldest, None);
    assert_eq!(total(&after, Op::Write).count(), IOS);
}

fn only(snapshot: &Snapshot) -> &VolumeFigures {
    &snapshot.volumes[0]
}

fn wait_for(probes: &Probes, condition: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let snapshot = probes.read().unwrap();
        if condition(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "it never happened: {snapshot:?}");
    }
}

/// Seen red with: the bytes of `record::size` counted twice, and with `start.bytes` 0 in `bio::queued`.
#[test]
fn sizes_are_told_apart_on_both_nodes() {
    let (pins, stack) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start_with_all_copies();
    let target = Exported::new(&stack.path());
    probes.sync(&on_both_nodes(&stack, &target)).unwrap();
    batch::write_long(&target.path(), 4 << 10, 5);
    batch::write_long(&target.path(), 64 << 10, 3);
    let snapshot = probes.read().unwrap();
    for ops in [&snapshot.volumes[0].ops, &snapshot.imports[0].ops] {
        let writes = of_writes(ops);
        let sizes = writes.sizes.iter();
        let sizes = sizes.map(|(size, sized)| (*size, sized.total.count, sized.bytes));
        let expected = [(Size::UpTo4K, 5, 5 * 4096), (Size::UpTo64K, 3, 3 * 65536)];
        assert_eq!(sizes.collect::<Vec<_>>(), expected, "{writes:?}");
        let sum: u64 = writes
            .sizes
            .iter()
            .map(|(_, sized)| sized.total.sum_ns)
            .sum();
        assert_eq!(writes.stage(Stage::Total).unwrap().sum_ns(), sum);
        assert_eq!(writes.throttled, Tally::default());
    }
}
