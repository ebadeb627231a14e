//! Every I/O is counted, or counted as dropped, at full speed and while agents come and go.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_agent::probe::{Op, ProbeConfig, Probes, Snapshot, Wanted};

use crate::batch::Batch;
use crate::bench::{Pins, another_build, disk, drops, in_flight, total, volume};
use crate::device::{Loop, Zram};
use crate::io::BLOCK;

/// In flight at once.
const DEPTH: u64 = 256;
const SIZE: u64 = 2 * DEPTH * BLOCK as u64;

/// `cargo xtask test native --full` makes it ten million.
fn ios() -> u64 {
    let ios = std::env::var("WEIR_LOSS_IOS").map_or(1_000_000, |ios| ios.parse().unwrap());
    ios / DEPTH * DEPTH
}

/// Writes them all while agents are killed and started again, each of them another build than the one before. (An agent leaves nothing behind
/// but its pins, whatever its end.)
fn under_restarts(path: &Path, wanted: &Wanted) -> (Snapshot, u64) {
    let pins = Pins::new();
    let builds = [pins.config().object, another_build()];
    let start = |number: usize| {
        let config = ProbeConfig {
            object: builds[number % 2],
            ..pins.config()
        };
        Probes::start(config).unwrap()
    };
    start(0).sync(wanted).unwrap();
    let is_done = AtomicBool::new(false);
    let mut agents = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not neighbours, of which the kernel would make one request.
            let places: Vec<_> = (0..DEPTH).map(|i| (path, 2 * i * BLOCK as u64)).collect();
            let mut batch = Batch::of(&places);
            (0..ios() / DEPTH).for_each(|_| batch.write());
            is_done.store(true, Ordering::Release);
        });
        while !is_done.load(Ordering::Acquire) {
            agents += 1;
            start(agents).sync(wanted).unwrap();
        }
    });
    assert!(agents > 1, "{agents} agents");
    let mut probes = start(agents);
    probes.sync(wanted).unwrap();
    // What is still thought to be in flight has lost its end.
    let aged = probes.tend(Duration::ZERO).unwrap();
    (probes.read().unwrap(), aged)
}

/// Seen red with: `ns & 1 == 1` as one more reason to return in `record::count`.
#[test]
fn of_a_volumes_ios_none_is_lost() {
    let zram = Zram::of(SIZE);
    let wanted = Wanted {
        volumes: vec![volume(1, zram.dev())],
        ..Wanted::default()
    };
    let (snapshot, aged) = under_restarts(&zram.path(), &wanted);
    assert_eq!(total(&snapshot, Op::Write).count(), ios(), "{snapshot:?}");
    assert_eq!((aged, in_flight(&snapshot), drops(&snapshot)), (0, 0, 0));
}

/// Some ends of a loop device's requests may reach no program (see `untold.rs`).
///
/// Seen red with: a return from `carried::end_io` if `total & 1 == 1`.
#[test]
fn of_a_carried_volumes_ios_every_one_is_counted_or_dropped() {
    let device = Loop::of(SIZE);
    let wanted = Wanted {
        volumes: vec![volume(1, device.dev())],
        disks: vec![disk(device.dev())],
        ..Wanted::default()
    };
    let (snapshot, aged) = under_restarts(&device.path(), &wanted);
    let counted = total(&snapshot, Op::Write).count();
    let lost = drops(&snapshot) + aged;
    println!("{counted} counted, {lost} lost");
    assert!(counted <= ios() && ios() <= counted + lost, "{snapshot:?}");
    assert_eq!(in_flight(&snapshot), 0);
}
