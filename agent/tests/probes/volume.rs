//! A volume used on its own node. zram devices stand in for logical volumes:
//! both take bios as they are.

use crate::bench::{Pins, drops, in_flight, only, total, volume};
use crate::device::Zram;
use crate::io::Io;
use weir_agent::probe::{Op, Stage, Wanted};
use weir_agent_ebpf::layout::COPIES;

/// Seen red with: `starts::take_bio` never taking one out (nothing is counted), and
/// with `record::volume(…)` called twice in `bio::completed`.
#[test]
fn every_io_is_counted_exactly_once() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    let mut io = Io::open(&zram.path());
    io.write(777);
    io.read(1234);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), 777);
    assert_eq!(total(&snapshot, Op::Read).count(), 1234);
    assert_eq!(in_flight(&snapshot), 0);
    assert_eq!(drops(&snapshot), 0);
    assert!(total(&snapshot, Op::Read).sum_ns() > 0);
}

/// As if an interrupt kept the others from running: which the kernel does, and nothing here can make it do.
///
/// Seen red with: `is_first_copy` as one more condition in `bio_complete`.
#[test]
fn every_copy_of_a_program_sees_what_the_ones_before_it_did_not() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start_with_all_copies();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    let mut io = Io::open(&zram.path());
    for copy in 1..=COPIES {
        io.write(100);
        let snapshot = probes.read().unwrap();
        assert_eq!(total(&snapshot, Op::Write).count(), 100 * u64::from(copy));
        assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
        pins.take_away("bio_complete", copy);
    }
}

#[test]
fn a_local_ios_total_is_its_backend() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    Io::open(&zram.path()).write(10);
    let snapshot = probes.read().unwrap();
    let figures = &snapshot.volumes[0].ops[0];
    assert_eq!(figures.stage(Stage::Total), figures.stage(Stage::Backend));
    assert_eq!(figures.stage(Stage::FabricWait), None);
}

#[test]
fn discards_and_zeroes_are_told_apart() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    let io = Io::open(&zram.path());
    io.discard(1 << 20);
    io.zero_out(4096);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Discard).count(), 1);
    let zeroed = total(&snapshot, Op::WriteZeroes).count() + total(&snapshot, Op::Write).count();
    assert_eq!(zeroed, 1);
}

/// Seen red with: `device.volume` taken from a constant in `plan::devices`.
#[test]
fn volumes_are_told_apart() {
    let pins = Pins::new();
    let (a, b) = (Zram::new(), Zram::new());
    let mut probes = pins.start();
    let wanted = Wanted {
        volumes: vec![volume(1, a.dev()), volume(2, b.dev())],
        disks: Vec::new(),
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    Io::open(&a.path()).write(11);
    Io::open(&b.path()).write(22);
    let snapshot = probes.read().unwrap();
    let count = |i: usize| snapshot.volumes[i].ops[0].stages[0].1.count();
    assert_eq!((count(0), count(1)), (11, 22));
}

#[test]
fn a_device_that_is_not_wanted_is_not_counted() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    Io::open(&zram.path()).write(5);
    probes.sync(&Wanted::default()).unwrap();
    Io::open(&zram.path()).write(5);
    assert!(probes.read().unwrap().volumes.is_empty());
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    assert_eq!(total(&probes.read().unwrap(), Op::Write).count(), 0);
}

/// More threads than CPUs: from 7.0 on the kernel preempts programs, and skips them for everybody else
/// on that CPU until the preempted thread runs again. Seen red with: `skipped` taken for 0 (on 7.3).
#[test]
fn of_many_threads_ios_every_one_is_counted_or_known_to_be_lost() {
    const THREADS: u64 = 8;
    const EACH: u64 = 20_000;
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| Io::open(&zram.path()).write(EACH));
        }
    });
    let snapshot = probes.read().unwrap();
    let counted = total(&snapshot, Op::Write).count();
    let lost = in_flight(&snapshot) + drops(&snapshot);
    let queue = |(program, _): &&(String, u64)| program == "bio_queue";
    let skipped = snapshot.skipped.iter().find(queue).unwrap().1;
    println!("{counted} counted, {lost} lost after their start, {skipped} starts skipped");
    assert!(counted + lost <= THREADS * EACH, "{snapshot:?}");
    assert!(counted + lost + skipped >= THREADS * EACH, "{snapshot:?}");
}
