//! A volume whose device has requests: a loop device, which is a pool's disk at the same time.

use std::fs;
use std::os::unix::fs::FileExt;

use weir_agent::histogram::Histogram;
use weir_agent::probe::{Loss, Op, ProbeConfig, Probes, Room, Stage, Wanted};

use crate::batch;
use crate::bench::{Pins, disk, drops, in_flight, stage, total, volume};
use crate::device::Loop;
use crate::disk::lacking;
use crate::io::{BLOCK, Io};
use crate::untold::Untold;

fn measured(pins: &Pins, device: &Loop) -> Probes {
    measured_with(pins.config(), device)
}

fn measured_with(config: ProbeConfig, device: &Loop) -> Probes {
    let mut probes = Probes::start(config).unwrap();
    let wanted = Wanted {
        volumes: vec![volume(1, device.dev())],
        disks: vec![disk(device.dev())],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    probes
}

/// Between the volume and its disk is nothing that could take time afterwards, so there is no `dm`.
///
/// Seen red with: `carries` false in `request::completed`.
#[test]
fn every_io_that_a_request_carries_is_counted_exactly_once() {
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = measured(&pins, &device);
    let (untold, mut io) = (Untold::watch(), Io::open(&device.path()));
    io.write(777);
    io.read(1234);
    let snapshot = probes.read().unwrap();
    let mut all = 0;
    for (op, ios) in [(Op::Write, 777), (Op::Read, 1234)] {
        let of = |which| stage(&snapshot, op, which);
        let count = of(Stage::Total).count();
        assert!(count <= ios, "{snapshot:?}");
        all += count;
        let parts = [Stage::Queue, Stage::Device].map(of);
        assert_eq!(parts.each_ref().map(Histogram::count), [count; 2]);
        let sum: u64 = parts.iter().map(Histogram::sum_ns).sum();
        assert_eq!(of(Stage::Total).sum_ns(), sum);
    }
    // What was not counted is known not to have ended, or dropped.
    let lacking = lacking(all, 777 + 1234, &untold);
    assert_eq!(in_flight(&snapshot) + drops(&snapshot), lacking);
}

/// Seen red with: `left > bytes` in `starts::carried_done` taken for false.
#[test]
fn an_io_in_several_requests_ends_with_the_last_of_them() {
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = measured(&pins, &device);
    let name = device.path().file_name().unwrap().to_owned();
    let queue = std::path::Path::new("/sys/block").join(name).join("queue");
    fs::write(queue.join("max_sectors_kb"), "64").unwrap();
    let untold = Untold::watch();
    batch::write_long(&device.path(), 512 << 10, 8);
    let snapshot = probes.read().unwrap();
    let requests: u64 = snapshot.disks[0].ops.iter().map(|(_, h)| h.count()).sum();
    // Who lacks a request has not ended.
    let untold = lacking(requests, 64, &untold);
    let counted = total(&snapshot, Op::Write).count();
    assert!(counted <= 8 && 8 <= counted + untold, "{snapshot:?}");
    assert_eq!(snapshot.volumes[0].ops[0].bytes(), counted * (512 << 10));
    let lost = in_flight(&snapshot) + drops(&snapshot);
    assert!(lost <= untold, "{snapshot:?}");
}

#[test]
fn a_flush_that_a_request_carries_ends() {
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = measured(&pins, &device);
    let untold = Untold::watch();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(device.path())
        .unwrap();
    for _ in 0..5 {
        file.write_all_at(&[0x5a; 4096], 0).unwrap();
        file.sync_all().unwrap();
    }
    let snapshot = probes.read().unwrap();
    let (flushes, untold) = (total(&snapshot, Op::Flush).count(), untold.count());
    assert!(flushes + untold >= 5, "{snapshot:?}");
    let lost = in_flight(&snapshot) + drops(&snapshot);
    assert!(lost <= untold, "{snapshot:?}");
}

/// Probes with sixteen places for what is in flight: two sets of eight.
fn with_sixteen_places(pins: &Pins, device: &Loop) -> Probes {
    let room = Room {
        starts: 8,
        ..Room::of_volumes(8)
    };
    assert_eq!(room.start_sets(), 2);
    let config = ProbeConfig {
        room,
        ..pins.config()
    };
    measured_with(config, device)
}

/// Writes so many blocks at once, none of which is the next one's neighbour.
fn write_at_once(device: &Loop, ios: u64) {
    let path = device.path();
    let places: Vec<_> = (0..ios).map(|i| (&*path, 2 * i * BLOCK as u64)).collect();
    batch::write(&places);
}

/// Seen red with: the set itself in the place of `other(set)` in `tables::put`.
#[test]
fn what_finds_its_set_full_stands_in_the_other() {
    const AT_ONCE: u64 = 14;
    let (pins, device) = (Pins::new(), Loop::new());
    let (probes, untold) = (with_sixteen_places(&pins, &device), Untold::watch());
    for _ in 0..300 {
        write_at_once(&device, AT_ONCE);
    }
    let snapshot = probes.read().unwrap();
    // What lost its end keeps its place, so that others may find none.
    let counted = total(&snapshot, Op::Write).count();
    let lost = in_flight(&snapshot) + drops(&snapshot);
    assert_eq!(counted + lost, 300 * AT_ONCE, "{snapshot:?}");
    assert!(lost == 0 || untold.count() > 0, "{snapshot:?}");
}

/// Seen red with: `lost` left out of `starts::insert`, and with `displaced` not counted up in `tables::put` (what stands in the
/// other set is not found).
#[test]
fn what_finds_no_place_is_counted_as_dropped() {
    const AT_ONCE: u64 = 40;
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = with_sixteen_places(&pins, &device);
    let untold = Untold::watch();
    // From now on the kernel is known to tell when it issues requests: they need no place.
    Io::open(&device.path()).write(1);
    for _ in 0..100 {
        write_at_once(&device, AT_ONCE);
    }
    let snapshot = probes.read().unwrap();
    let counted = total(&snapshot, Op::Write).count();
    let full = snapshot
        .dropped
        .iter()
        .find(|(why, _)| *why == Loss::TableFull);
    let full = full.unwrap().1;
    assert!(full > 0 && counted >= 100 * 16, "{snapshot:?}");
    let untold = lacking(counted + full, 1 + 100 * AT_ONCE, &untold);
    let lost = in_flight(&snapshot) + drops(&snapshot);
    assert_eq!(lost, full + untold, "{snapshot:?}");
}
