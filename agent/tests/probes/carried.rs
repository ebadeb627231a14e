//! A volume whose device has requests: a loop device, which is a pool's disk at the same time.

use std::fs;
use std::os::unix::fs::FileExt;

use weir_agent::histogram::Histogram;
use weir_agent::probe::{Op, Probes, Stage, Wanted};

use crate::batch;
use crate::bench::{Pins, disk, drops, in_flight, stage, total, volume};
use crate::device::Loop;
use crate::io::Io;

fn measured(pins: &Pins, device: &Loop) -> Probes {
    let mut probes = pins.start();
    let wanted = Wanted {
        volumes: vec![volume(1, device.dev())],
        disks: vec![disk(device.dev())],
        ..Wanted::default()
    };
    probes.sync(&wanted).unwrap();
    probes
}

/// Seen red with: `carries: 0` in `request::issued`.
#[test]
fn every_io_that_a_request_carries_is_counted_exactly_once() {
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = measured(&pins, &device);
    let mut io = Io::open(&device.path());
    io.write(777);
    io.read(1234);
    let snapshot = probes.read().unwrap();
    for (op, count) in [(Op::Write, 777), (Op::Read, 1234)] {
        let of = |which| stage(&snapshot, op, which);
        assert_eq!(of(Stage::Total).count(), count, "{snapshot:?}");
        let parts = [Stage::Queue, Stage::Device, Stage::Dm].map(of);
        assert_eq!(parts.each_ref().map(Histogram::count), [count; 3]);
        let sum: u64 = parts.iter().map(Histogram::sum_ns).sum();
        assert_eq!(of(Stage::Total).sum_ns(), sum);
    }
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

/// Seen red with: `left > bytes` in `starts::carried_done` taken for false.
#[test]
fn an_io_in_several_requests_ends_with_the_last_of_them() {
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = measured(&pins, &device);
    let name = device.path().file_name().unwrap().to_owned();
    let queue = std::path::Path::new("/sys/block").join(name).join("queue");
    fs::write(queue.join("max_sectors_kb"), "64").unwrap();
    batch::write_long(&device.path(), 512 << 10, 8);
    let snapshot = probes.read().unwrap();
    let requests: u64 = snapshot.disks[0].ops.iter().map(|(_, h)| h.count()).sum();
    assert_eq!(
        (total(&snapshot, Op::Write).count(), requests),
        (8, 64),
        "{snapshot:?}"
    );
    assert_eq!(snapshot.volumes[0].ops[0].bytes(), 8 * (512 << 10));
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}

#[test]
fn a_flush_that_a_request_carries_ends() {
    let (pins, device) = (Pins::new(), Loop::new());
    let probes = measured(&pins, &device);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(device.path())
        .unwrap();
    for _ in 0..5 {
        file.write_all_at(&[0x5a; 4096], 0).unwrap();
        file.sync_all().unwrap();
    }
    let snapshot = probes.read().unwrap();
    assert!(total(&snapshot, Op::Flush).count() >= 5, "{snapshot:?}");
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}
