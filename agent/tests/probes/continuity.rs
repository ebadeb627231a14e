//! Counters outlive the agent, slots change hands, lost starts are given up.

use std::time::Duration;

use crate::bench::{Pins, another_build, drops, in_flight, only, total, volume};
use crate::device::Zram;
use crate::io::Io;
use weir_agent::probe::{Loss, Op, ProbeConfig, ProbeError, Probes, Room};
use weir_agent_ebpf::layout::VERSION;

/// Seen red with: the links not pinned in `object::attach`.
#[test]
fn counting_goes_on_while_no_agent_runs() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let wanted = only(volume(1, zram.dev()));
    let mut io = Io::open(&zram.path());
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    io.write(10);
    // Dropping unpins nothing: for the kernel the same as SIGKILL.
    drop(probes);
    io.write(20);
    let mut probes = pins.start();
    io.write(30);
    probes.sync(&wanted).unwrap();
    io.write(40);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), 100);
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

/// Seen red with: the condition in `programs::on_duty` replaced by `true`, and `remove_links_but` by
/// nothing: the programs of both builds note each start, which counts as a drop.
#[test]
fn another_build_takes_over_and_nothing_counts_twice() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let wanted = only(volume(1, zram.dev()));
    let mut io = Io::open(&zram.path());
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    io.write(50);
    drop(probes);
    let mut probes = Probes::start(ProbeConfig {
        object: another_build(),
        ..pins.config()
    })
    .unwrap();
    probes.sync(&wanted).unwrap();
    io.write(50);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), 100);
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
    assert_eq!(pins.links().len(), 1);
}

/// Seen red with: `pins::lock` always granted.
#[test]
fn a_second_agent_refuses_to_start_and_names_the_first() {
    let pins = Pins::new();
    let _first = pins.start();
    match Probes::start(pins.config()) {
        Err(ProbeError::Busy { pid, .. }) => {
            assert_eq!(pid, Some(i32::try_from(std::process::id()).unwrap()));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        Probes::detach_all(pins.path()),
        Err(ProbeError::Busy { .. })
    ));
}

#[test]
fn pinned_maps_keep_their_size() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    let bytes = probes.read().unwrap().map_bytes;
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    Io::open(&zram.path()).write(3);
    drop(probes);
    let mut probes = Probes::start(ProbeConfig {
        room: Room::of_volumes(500),
        ..pins.config()
    })
    .unwrap();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    let snapshot = probes.read().unwrap();
    assert_eq!(snapshot.map_bytes, bytes);
    assert_eq!(total(&snapshot, Op::Write).count(), 3);
}

/// What an agent of another layout pinned would be read wrongly, and its programs would go on for nobody.
///
/// Seen red with: no directory removed in `Pins::open`.
#[test]
fn pins_of_another_layout_give_way() {
    let (pins, zram) = (Pins::new(), Zram::new());
    drop(pins.start());
    let weir = pins.path().join("weir");
    let (ours, theirs) = (weir.join(format!("v{VERSION}")), weir.join("v1"));
    std::fs::rename(&ours, &theirs).unwrap();
    let mut probes = pins.start();
    assert!(ours.exists() && !theirs.exists());
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    Io::open(&zram.path()).write(3);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), 3);
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

/// Seen red with: `remove` of the directory replaced by nothing in `pins::remove_all`.
#[test]
fn detaching_leaves_no_pin_and_no_program() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    drop(probes);
    assert!(Probes::detach_all(pins.path()).unwrap());
    assert!(!pins.path().join("weir").exists());
    assert!(!Probes::detach_all(pins.path()).unwrap());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    assert_eq!(total(&probes.read().unwrap(), Op::Write).count(), 0);
}

/// Seen red with: `generation` not raised in `slots::assign`: the straggler counts for volume 2.
#[test]
fn an_io_that_ends_after_its_slot_changed_hands_counts_for_nobody() {
    let (pins, a, b) = (Pins::new(), Zram::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, a.dev()))).unwrap();
    let mut io = Io::open(&a.path());
    leave_one_in_flight(&pins, &mut io, &probes);
    // Volume 1 goes; volume 2 gets the first free slot, which was volume 1's.
    probes.sync(&only(volume(2, b.dev()))).unwrap();
    drop(probes);
    let mut probes = pins.start();
    probes.sync(&only(volume(2, b.dev()))).unwrap();
    // Nobody notes the beginning of these, but one of them has the address of the lost one.
    io.repeat_until(|| lost(&probes, Loss::StaleSlot) == 1);
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), 0);
    assert_eq!(in_flight(&snapshot), 0);
}

/// Seen red with: `record::start_lost(…)` removed from `starts::bio`: one stays in flight.
#[test]
fn an_io_whose_end_was_missed_is_dropped_when_its_address_is_used_again() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let wanted = only(volume(1, zram.dev()));
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    let mut io = Io::open(&zram.path());
    leave_one_in_flight(&pins, &mut io, &probes);
    drop(probes);
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    assert_eq!(in_flight(&probes.read().unwrap()), 1);
    io.repeat_until(|| lost(&probes, Loss::Superseded) == 1);
    let snapshot = probes.read().unwrap();
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 1));
}

/// Direct I/O waits for its bio on its stack (`submit_bio_wait`, block/bio.c), and `bi_private` leads there: where the bio of another I/O
/// stood, whose end was missed.
///
/// Seen red with: `is_bio` taken for true in `starts::chained_to`.
#[test]
fn an_io_is_no_part_of_one_whose_end_was_missed() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let wanted = only(volume(1, zram.dev()));
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    let mut io = Io::open(&zram.path());
    leave_one_in_flight(&pins, &mut io, &probes);
    io.write(1000);
    let before = total(&probes.read().unwrap(), Op::Write).count();
    drop(probes);
    let mut probes = pins.start();
    probes.sync(&wanted).unwrap();
    io.write(20_000);
    let after = total(&probes.read().unwrap(), Op::Write).count();
    assert_eq!(after - before, 20_000);
}

/// Seen red with: `count(…)` removed from `ageing::age`: it stays in flight.
#[test]
fn a_lost_start_is_given_up_and_counted() {
    let (pins, zram) = (Pins::new(), Zram::new());
    let mut probes = pins.start();
    probes.sync(&only(volume(1, zram.dev()))).unwrap();
    let mut io = Io::open(&zram.path());
    leave_one_in_flight(&pins, &mut io, &probes);
    assert_eq!(probes.tend(Duration::from_secs(600)).unwrap(), 0);
    assert_eq!(in_flight(&probes.read().unwrap()), 1);
    assert_eq!(probes.tend(Duration::ZERO).unwrap(), 1);
    let snapshot = probes.read().unwrap();
    assert_eq!((in_flight(&snapshot), snapshot.aged), (0, 1));
    drop(probes);
    assert_eq!(pins.start().read().unwrap().aged, 1);
}

/// Detaches the programs that see bios end, and does I/O until one is left in the table.
fn leave_one_in_flight(pins: &Pins, io: &mut Io, probes: &Probes) {
    pins.remove_links("bio_complete");
    io.repeat_until(|| in_flight(&probes.read().unwrap()) == 1);
}

fn lost(probes: &Probes, why: Loss) -> u64 {
    let dropped = probes.read().unwrap().dropped;
    dropped
        .iter()
        .filter(|(this, _)| *this == why)
        .map(|(_, n)| n)
        .sum()
}
