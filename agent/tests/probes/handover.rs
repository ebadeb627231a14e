//! The programs of one build hand over to those of another while I/Os go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use aya::maps::{Array, MapData};
use aya::programs::links::{FdLink, PinnedLink};
use weir_agent::probe::{Op, ProbeConfig, Probes};
use weir_agent_ebpf::layout::{Common, VERSION, maps};

use crate::batch::Batch;
use crate::bench::{Pins, another_build, drops, in_flight, only, total, volume};
use crate::device::Zram;
use crate::io::BLOCK;

const DEPTH: u64 = 64;

/// `cargo xtask test native --full` makes it 500.
fn rounds() -> u32 {
    std::env::var("WEIR_HANDOVERS").map_or(50, |rounds| rounds.parse().unwrap())
}

/// Of each I/O that begins or ends just then: it is handled by exactly one of them, so none lacks and none is dropped as one that began twice.
///
/// Seen red with: `acting == object` for `acting != object` in `handover::take_over`, which leaves out the steps in between: 7 drops in 200 rounds, so
/// CI's 50 may miss it now and then; the steps themselves have a test of every moment (`weir_agent_ebpf::handover`).
#[test]
fn a_build_takes_over_under_load_and_no_io_is_counted_twice_or_lost() {
    let (pins, zram) = (Pins::new(), Zram::of(2 * DEPTH * BLOCK as u64));
    let wanted = only(volume(1, zram.dev()));
    pins.start().sync(&wanted).unwrap();
    // The programs of the first build stay attached, in the place before those of the second, as long as these are open.
    let links = pins.links().remove(0);
    let links = std::fs::read_dir(links).unwrap();
    let _first: Vec<FdLink> = links
        .map(|pin| PinnedLink::from_pin(pin.unwrap().path()).unwrap().into())
        .collect();
    let common = pins
        .path()
        .join(format!("weir/v{VERSION}/maps/{}", maps::COMMON));
    let common = aya::maps::Map::Array(MapData::from_pin(common).unwrap());
    let mut common = Array::<_, Common>::try_from(common).unwrap();
    let object = another_build();
    let first = common.get(&0, 0).unwrap().object;
    let second = || {
        let config = ProbeConfig {
            object,
            ..pins.config()
        };
        Probes::start(config).unwrap()
    };
    let mut probes = second();
    let places: Vec<_> = (0..DEPTH).map(|i| 2 * i * BLOCK as u64).collect();
    let mut batches = 0;
    for _ in 0..rounds() {
        // Nothing is in flight: the first build's programs act again.
        drop(probes);
        let with_first = Common {
            object: first,
            ..common.get(&0, 0).unwrap()
        };
        common.set(0, with_first, 0).unwrap();
        let is_done = AtomicBool::new(false);
        probes = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let path = zram.path();
                let places: Vec<_> = places.iter().map(|place| (&*path, *place)).collect();
                let (mut batch, mut batches) = (Batch::of(&places), 0);
                while !is_done.load(Ordering::Relaxed) {
                    batch.write();
                    batches += 1;
                }
                batches
            });
            let probes = second();
            is_done.store(true, Ordering::Relaxed);
            batches += writer.join().unwrap();
            probes
        });
        assert_ne!(common.get(&0, 0).unwrap().object, first);
    }
    probes.sync(&wanted).unwrap();
    let snapshot = probes.read().unwrap();
    assert_eq!(total(&snapshot, Op::Write).count(), batches * DEPTH);
    assert_eq!((in_flight(&snapshot), drops(&snapshot)), (0, 0));
}
