//! The probes under the kernel's own NVMe target and device mapper, for a VM that nothing else uses:
//! needs root, dm-mod with its thin, snapshot and delay targets, nvmet-tcp, nvme-tcp, `dmsetup` and `modprobe`, an empty disk /dev/vda with room for
//! 64 MiB, another, /dev/vdc, whose queue is cramped (see `Disk::cramped` in `xtask`), and a loopback interface that is up. Fails, and doesn't skip, where it lacks one.
//!
//! Run with `--test-threads=1`: there is one target.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "probes/batch.rs"]
mod batch;
#[path = "probes/bench.rs"]
#[expect(dead_code, reason = "native tests use the rest")]
mod bench;
#[path = "probes/delays.rs"]
mod delays;
#[path = "../../xtask/src/bin/guest-io/deprive.rs"]
mod deprive;
#[path = "probes/device.rs"]
mod device;
#[path = "probes/disk.rs"]
mod disk;
#[path = "probes/exported.rs"]
mod exported;
#[path = "probes/io.rs"]
mod io;
#[path = "probes/ladder.rs"]
mod ladder;
#[path = "probes/limits.rs"]
mod limits;
#[path = "probes/null_disk.rs"]
mod null_disk;
#[path = "probes/outcomes.rs"]
mod outcomes;
#[path = "probes/stack.rs"]
mod stack;
#[path = "probes/stages.rs"]
mod stages;
#[path = "probes/traced.rs"]
mod traced;
mod untold {
    //! Here every end reaches the programs.

    pub(crate) struct Untold;

    impl Untold {
        pub(crate) fn watch() -> Self {
            Untold
        }

        pub(crate) fn count(&self) -> u64 {
            0
        }
    }
}
#[path = "probes/verifier.rs"]
mod verifier;

use std::path::Path;
use std::process::Command;

use bench::{Pins, disk, drops, in_flight, stage, total, volume};
use exported::{Exported, HOST};
use io::{Io, dev_of};
use stack::Stack;
use weir_agent::histogram::Histogram;
use weir_agent::probe::{DevT, Loss, MeasuredImport, Mode, Op, Probes, Snapshot, Stage, Wanted};

const DISK: &str = "/dev/vda";
/// Requests to it are put back now and then, since its queue has no room for all that may be in flight.
const CRAMPED: &str = "/dev/vdc";

fn exported(dev: DevT, hosts: &[&str]) -> Wanted {
    let initiators = hosts
        .iter()
        .map(|nqn| ((*nqn).to_owned(), "consumer".parse().unwrap()))
        .collect::<Vec<_>>();
    let mut volume = volume(1, dev);
    volume.devices[0].mode = Mode::Exported { initiators };
    Wanted {
        volumes: vec![volume],
        disks: vec![disk(dev_of(Path::new(DISK)))],
        ..Wanted::default()
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

fn initiator_count(snapshot: &Snapshot, op: Op) -> u64 {
    let initiators = snapshot.initiators.iter();
    let ops = initiators.flat_map(|figures| &figures.ops);
    ops.filter(|(this, _)| *this == op)
        .map(|(_, histogram)| histogram.count())
        .sum()
}

/// What came to a stage of the only volume.
fn since(before: &Snapshot, after: &Snapshot, op: Op, which: Stage) -> Histogram {
    stage(after, op, which).since(&stage(before, op, which))
}

/// Everything that was recorded of an operation sums to its total, to the nanosecond.
fn assert_stages_partition_the_total(before: &Snapshot, after: &Snapshot, op: Op, count: u64) {
    let of = |which| since(before, after, op, which);
    for which in [
        Stage::FabricWait,
        Stage::Backend,
        Stage::Response,
        Stage::Dm,
    ] {
        assert_eq!(of(which).count(), count, "{op:?}: {which:?}");
    }
    let sum = |stages: &[Stage]| -> u64 { stages.iter().map(|stage| of(*stage).sum_ns()).sum() };
    let backend = [Stage::Queue, Stage::Device, Stage::Dm];
    let total = [Stage::FabricWait, Stage::Backend, Stage::Response];
    assert_eq!(of(Stage::Backend).sum_ns(), sum(&backend), "{op:?}");
    assert_eq!(of(Stage::Total).sum_ns(), sum(&total), "{op:?}");
}

/// Seen red with: `response` counted from `queued_ns` in `target::completed`, with `announced` finding
/// nobody, and with the `VOLUME_EXPORTED` branch of `bio::queued` never taken.
#[test]
fn every_request_of_an_initiator_is_counted_exactly_once_and_its_stages_sum_to_its_total() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start_with_all_copies();
    probes.sync(&exported(linear.dev(), &[HOST])).unwrap();
    let exported = Exported::new(&linear.path());
    // Connecting reads the partition table.
    let before = probes.read().unwrap();
    let mut io = Io::open(&exported.path());
    io.write(200);
    io.read(300);
    let after = probes.read().unwrap();
    assert_eq!(since(&before, &after, Op::Write, Stage::Total).count(), 200);
    assert_eq!(since(&before, &after, Op::Read, Stage::Total).count(), 300);
    assert_stages_partition_the_total(&before, &after, Op::Write, 200);
    assert_stages_partition_the_total(&before, &after, Op::Read, 300);
    let by_initiator = |op| initiator_count(&after, op) - initiator_count(&before, op);
    assert_eq!(
        (by_initiator(Op::Write), by_initiator(Op::Read)),
        (200, 300)
    );
    assert_eq!((in_flight(&after), drops(&after)), (0, 0), "{after:?}");
}

#[test]
fn requests_that_need_many_bios_have_all_their_stages() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start_with_all_copies();
    probes.sync(&exported(linear.dev(), &[HOST])).unwrap();
    let exported = Exported::new(&linear.path());
    let before = probes.read().unwrap();
    batch::write_long(&exported.path(), 4 << 20, 8);
    let after = probes.read().unwrap();
    let requests = since(&before, &after, Op::Write, Stage::Total).count();
    assert!(requests >= 8);
    println!("8 writes of 4 MiB travelled as {requests} requests");
    assert_stages_partition_the_total(&before, &after, Op::Write, requests);
    assert_eq!((in_flight(&after), drops(&after)), (0, 0), "{after:?}");
}

#[test]
fn flushes_and_zeroes_are_told_apart() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start_with_all_copies();
    probes.sync(&exported(linear.dev(), &[HOST])).unwrap();
    let exported = Exported::new(&linear.path());
    let before = probes.read().unwrap();
    let io = Io::open(&exported.path());
    exported.flush();
    io.zero_out(1 << 20);
    let after = probes.read().unwrap();
    let count = |op| since(&before, &after, op, Stage::Total).count();
    assert_eq!(count(Op::Flush), 1, "{after:?}");
    assert_eq!(count(Op::WriteZeroes) + count(Op::Write), 1, "{after:?}");
    assert_eq!((in_flight(&after), drops(&after)), (0, 0), "{after:?}");
}

#[test]
fn a_host_that_was_not_announced_counts_for_the_volume_only() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start_with_all_copies();
    let other = "nqn.2026-11.dev.weir:host:other:1";
    probes.sync(&exported(linear.dev(), &[other])).unwrap();
    let exported = Exported::new(&linear.path());
    let before = probes.read().unwrap();
    Io::open(&exported.path()).write(50);
    let after = probes.read().unwrap();
    assert_eq!(since(&before, &after, Op::Write, Stage::Total).count(), 50);
    assert_eq!(initiator_count(&after, Op::Write), 0);
    let unknown = |snapshot: &Snapshot| {
        let dropped = snapshot.dropped.iter();
        let mut unknown = dropped.filter(|(why, _)| *why == Loss::UnknownInitiator);
        unknown.next().unwrap().1
    };
    assert_eq!(unknown(&after) - unknown(&before), 50);
}

/// Seen red with: `VOLUME_EXPORTED` taken for `VOLUME_LOCAL` in `resolve::volume`.
#[test]
fn bios_that_somebody_queues_on_an_exported_volume_are_no_ios() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start();
    probes.sync(&exported(linear.dev(), &[HOST])).unwrap();
    Io::open(&linear.path()).write(20);
    let snapshot = probes.read().unwrap();
    assert!(snapshot.volumes[0].ops.is_empty(), "{snapshot:?}");
}

#[test]
fn a_logical_volume_used_locally_and_its_disk_are_counted_exactly() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let mut probes = pins.start();
    let wanted = Wanted {
        volumes: vec![volume(1, linear.dev())],
        disks: vec![disk(dev_of(Path::new(DISK)))],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    let mut io = Io::open(&linear.path());
    io.write(150);
    io.read(250);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), 150);
    assert_eq!(total(&snapshot, Op::Read).count(), 250);
    assert_eq!(stage(&snapshot, Op::Read, Stage::FabricWait).count(), 0);
    let requests: u64 = snapshot.disks[0].ops.iter().map(|(_, h)| h.count()).sum();
    assert_eq!(requests, 400);
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

/// Seen red with: `State::Waiting` never due in `groups::Groups::attach`.
#[test]
fn a_target_that_is_loaded_later_is_measured_from_then_on() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    // Other tests of this boot may have loaded transports; each holds nvmet.
    let transports = ["nvme-loop", "nvmet-tcp"];
    let is_loaded = |module: &&str| {
        let name = module.replace('-', "_");
        Path::new("/sys/module").join(name).exists()
    };
    for module in transports.into_iter().filter(is_loaded) {
        run("modprobe", &["-r", module]);
    }
    run("modprobe", &["-r", "nvmet"]);
    let mut probes = pins.start();
    let off = |probes: &Probes| probes.read().unwrap().off;
    assert!(
        off(&probes)
            .iter()
            .any(|off| off.reason.contains("not loaded"))
    );
    run("modprobe", &["nvmet-tcp"]);
    probes.sync(&exported(linear.dev(), &[HOST])).unwrap();
    assert_eq!(off(&probes), []);
    let exported = Exported::new(&linear.path());
    Io::open(&exported.path()).write(10);
    assert!(total(&probes.read().unwrap(), Op::Write).count() >= 10);
}

/// What this node uses over NVMe, alone.
fn imported(dev: DevT) -> Wanted {
    let id = weir_api::names::VolumeId(uuid::Uuid::from_u128(1));
    Wanted {
        imports: vec![MeasuredImport { id, dev }],
        ..Wanted::default()
    }
}

/// A volume's device, and what this very machine uses of it over NVMe.
fn on_both_nodes(stack: &Stack, target: &Exported) -> Wanted {
    Wanted {
        imports: imported(dev_of(&target.path())).imports,
        ..exported(stack.dev(), &[HOST])
    }
}

/// The only import's stage.
fn import(snapshot: &Snapshot, op: Op, which: Stage) -> Histogram {
    let ops = snapshot.imports.iter().flat_map(|import| &import.ops);
    let mut ops = ops.filter(|figures| figures.op == op);
    ops.next()
        .and_then(|figures| figures.stage(which).cloned())
        .unwrap_or_default()
}

fn imports_in_flight(snapshot: &Snapshot) -> u64 {
    let ops = snapshot.imports.iter().flat_map(|import| &import.ops);
    ops.map(|figures| figures.in_flight).sum()
}

/// An I/O of 4 MiB is split into several commands, which end in any order, and is one I/O all the same.
///
/// Seen red with: imports not excepted in `take_bio`.
#[test]
fn on_the_other_node_every_io_is_counted_exactly_once() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let exported = Exported::new(&linear.path());
    let mut probes = pins.start_with_all_copies();
    probes.sync(&imported(dev_of(&exported.path()))).unwrap();
    let mut io = Io::open(&exported.path());
    io.write(200);
    io.read(300);
    exported.flush();
    let snapshot = probes.read().unwrap();
    for (op, count) in [(Op::Write, 200), (Op::Read, 300)] {
        assert_eq!(
            import(&snapshot, op, Stage::Total).count(),
            count,
            "{op:?}: {snapshot:?}"
        );
        let queued = import(&snapshot, op, Stage::HostQueue);
        assert_eq!(queued.count(), count);
        assert!(queued.sum_ns() < import(&snapshot, op, Stage::Total).sum_ns());
    }
    assert_eq!(import(&snapshot, Op::Flush, Stage::Total).count(), 1);
    assert_eq!(
        (imports_in_flight(&snapshot), drops(&snapshot)),
        (0, 0),
        "{snapshot:?}"
    );
    batch::write_long(&exported.path(), 4 << 20, 8);
    io.zero_out(1 << 20);
    let after = probes.read().unwrap();
    let new =
        |op| import(&after, op, Stage::Total).count() - import(&snapshot, op, Stage::Total).count();
    println!("8 writes of 4 MiB were {} bios", new(Op::Write));
    assert!(new(Op::Write) >= 8);
    assert!(new(Op::WriteZeroes) >= 1);
    assert_eq!(
        (imports_in_flight(&after), drops(&after)),
        (0, 0),
        "{after:?}"
    );
}

/// With the flag that a write is to be on stable storage each of its parts is seen to end twice.
///
/// Seen red with: `ended` in `request::completed` whatever the size.
#[test]
fn a_write_in_parts_lasts_until_the_last_of_them() {
    const DELAY_MS: u32 = 200;
    let (pins, stack) = (Pins::new(), Stack::with_slow_end(DISK, DELAY_MS));
    let exported = Exported::new(&stack.path());
    let mut probes = pins.start_with_all_copies();
    probes.sync(&imported(dev_of(&exported.path()))).unwrap();
    exported.limit_requests(64);
    for _ in 0..3 {
        batch::write_durably(&exported.path(), 256 << 10);
    }
    let snapshot = probes.read().unwrap();
    let total = import(&snapshot, Op::Write, Stage::Total);
    assert_eq!(total.count(), 3);
    assert_eq!(
        total.count_up_to(u64::from(DELAY_MS) * 900_000),
        0,
        "{snapshot:?}"
    );
    assert_eq!((imports_in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

/// Seen red with: `BIO_OF_IMPORT` left out of `is_io_of_volume`.
#[test]
fn an_io_whose_end_was_missed_on_the_other_node_does_not_stay_in_flight() {
    let (pins, linear) = (Pins::new(), Stack::linear(DISK));
    let exported = Exported::new(&linear.path());
    let wanted = imported(dev_of(&exported.path()));
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    let mut io = Io::open(&exported.path());
    // Whichever of them comes first ends it.
    pins.remove_links("nvme_complete");
    pins.remove_links("rq_complete");
    io.repeat_until(|| imports_in_flight(&probes.read().unwrap()) == 1);
    drop(probes);
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    let lost = |probes: &Probes| drops(&probes.read().unwrap());
    io.repeat_until(|| lost(&probes) == 1);
    let snapshot = probes.read().unwrap();
    assert_eq!(imports_in_flight(&snapshot), 0, "{snapshot:?}");
}
