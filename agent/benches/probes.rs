//! What the probes cost on this very kernel: `cargo xtask bench probes`. Prints one JSON object.
//!
//! Cost is program time per I/O, from the kernel's own statistics (`kernel.bpf_stats_enabled`), and I/O for each second
//! with the probes and without them, in alternation. fio makes the I/O; a run in which the probes did not count
//! exactly fio's I/Os, but for the ends that reach no program here (`untold.rs`), each of which it must know, fails. It is compared with libbpf-tools' `biolatency` on the same device in the same run.
//!
//! `WEIR_BENCH_PAIRS=0` leaves the alternation out, of which there are no figures then: the costs alone take half a minute.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of one purpose: what goes wrong ends it, and its figures are its result"
)]

#[path = "../tests/probes/bench.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod bench;
#[path = "../tests/probes/device.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod device;
#[path = "probes/empty.rs"]
mod empty;
#[path = "probes/fio.rs"]
mod fio;
#[path = "../tests/probes/io.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod io;
#[path = "probes/rival.rs"]
mod rival;
#[path = "probes/statistics.rs"]
mod statistics;
#[path = "../tests/probes/traced.rs"]
mod traced;
#[path = "../tests/probes/untold.rs"]
mod untold;

use std::path::Path;
use std::time::Duration;

use weir_agent::probe::{DevT, Op, Probes, Wanted};

use bench::{Pins, disk, drops, in_flight, total, volume};
use device::{Loop, Zram};
use empty::Empty;
use fio::Fio;
use rival::Biolatency;
use statistics::{Costs, Enabled};
use untold::Untold;

/// Seconds of I/O in each run.
const SECONDS: u32 = 5;
/// Runs with the probes, each beside one without them.
const PAIRS: usize = 15;
/// Of those that do nothing.
const FEW_PAIRS: usize = 5;
/// A device's size: small enough for every machine's memory.
const SIZE: u64 = 256 << 20;

fn main() {
    // As every cargo bench, it gets --bench.
    let fio = Fio::from_env();
    let (disk_device, zram) = (Loop::of(SIZE), Zram::of(SIZE));
    fio.fill(&zram.path());
    fio.fill(&disk_device.path());

    let biolatency = biolatency(&fio, &disk_device.path());
    let (on_loop, without_end) = probes(&fio, &disk_device.path(), disk_device.dev(), true);
    let (on_zram, _) = probes(&fio, &zram.path(), zram.dev(), false);
    let (empty_ns, empty_runs) = empty_program(&fio, &disk_device.path());
    eprintln!("an empty program: {empty_ns:.0} ns for each of {empty_runs:.1} runs per I/O");

    let loop_iops = pairs(PAIRS, &fio, &disk_device.path(), || {
        measured(&fio, &disk_device.path(), disk_device.dev(), true)
    });
    let zram_iops = pairs(PAIRS, &fio, &zram.path(), || {
        measured(&fio, &zram.path(), zram.dev(), false)
    });
    // What no program could do better than: those that do nothing, where ours are.
    let empty = |tracepoints: &'static [&str]| {
        move || {
            tracepoints
                .iter()
                .map(|name| Empty::attach(name))
                .collect::<Vec<_>>()
        }
    };
    let loop_empty = pairs(
        FEW_PAIRS,
        &fio,
        &disk_device.path(),
        empty(&["block_bio_queue", "block_rq_issue", "block_rq_complete"]),
    );
    let zram_empty = pairs(
        FEW_PAIRS,
        &fio,
        &zram.path(),
        empty(&["block_bio_queue", "block_bio_complete"]),
    );
    println!(
        "{}",
        serde_json::json!({
            "biolatency_ns": biolatency.ns(""),
            "biolatency_runs": biolatency.runs(""),
            "disk_ns": on_loop.ns("rq_"),
            "disk_runs": on_loop.runs("rq_"),
            "all_ns": on_loop.ns(""),
            "all_runs": on_loop.runs(""),
            "bio_ns": on_zram.ns("bio_"),
            "bio_runs": on_zram.runs("bio_"),
            "empty_ns": empty_ns,
            "without_end": without_end,
            "loop": loop_iops,
            "zram": zram_iops,
            "loop_empty": loop_empty,
            "zram_empty": zram_empty,
        })
    );
}

/// What `biolatency` costs for each I/O.
fn biolatency(fio: &Fio, path: &Path) -> Costs {
    let _enabled = Enabled::new();
    let rival = Biolatency::start();
    let before = Costs::of(rival.programs());
    let ios = fio.read(path, SECONDS).ios;
    let costs = Costs::of(rival.programs()).since(&before, ios);
    eprintln!("biolatency: {costs}");
    costs
}

/// What the probes cost for each I/O of a volume, which is its pool's disk at the same time if `is_disk`; and how many I/Os the
/// kernel told no end of.
fn probes(fio: &Fio, path: &Path, dev: DevT, is_disk: bool) -> (Costs, u64) {
    let _enabled = Enabled::new();
    let pins = Pins::new();
    let others = statistics::ids();
    let probes = settled(&pins, fio, path, &wanted(dev, is_disk));
    let earlier = total(&probes.read().unwrap(), Op::Read).count();
    let ours = &statistics::ids() - &others;
    let (before, untold) = (Costs::of(&ours), Untold::watch());
    let ios = fio.read(path, SECONDS).ios;
    let costs = Costs::of(&ours).since(&before, ios);
    let untold = untold.count();
    let snapshot = probes.read().unwrap();
    let counted = total(&snapshot, Op::Read).count() - earlier;
    let lost = in_flight(&snapshot) + drops(&snapshot);
    eprintln!("probes: {counted} of {ios} I/Os counted, {untold} ends reached no program: {costs}");
    if is_disk {
        // What is missing is what reached no program, not even an empty one, and is known to be lost.
        assert!(counted <= ios && ios <= counted + lost, "{snapshot:?}");
        assert!(ios - counted <= untold, "{untold}: {snapshot:?}");
    } else {
        assert_eq!((counted, lost), (ios, 0), "{snapshot:?}");
    }
    (costs, ios - counted)
}

fn wanted(dev: DevT, is_disk: bool) -> Wanted {
    Wanted {
        volumes: vec![volume(1, dev)],
        disks: is_disk.then(|| disk(dev)).into_iter().collect(),
        ..Wanted::default()
    }
}

/// Probes that have seen a second of I/O, and looked after themselves since, as an agent does every half minute: then no more programs are
/// attached than the device needs.
fn settled(pins: &Pins, fio: &Fio, path: &Path, wanted: &Wanted) -> Probes {
    let mut probes = pins.start();
    probes.sync(wanted).unwrap();
    fio.read(path, 1);
    probes.tend(Duration::from_secs(600)).unwrap();
    probes
}

/// What a program that does nothing costs each time it runs, and how often it runs for an I/O.
fn empty_program(fio: &Fio, path: &Path) -> (f64, f64) {
    let _enabled = Enabled::new();
    let empty = Empty::attach("block_rq_complete");
    let before = empty.statistics();
    let ios = fio.read(path, SECONDS).ios;
    let run = empty.statistics().since(before);
    (
        run.ns as f64 / run.runs as f64,
        run.runs as f64 / ios as f64,
    )
}

/// Probes that measure a device. (Its pins go last.)
fn measured(fio: &Fio, path: &Path, dev: DevT, is_disk: bool) -> (Probes, Pins) {
    let pins = Pins::new();
    let probes = settled(&pins, fio, path, &wanted(dev, is_disk));
    (probes, pins)
}

/// I/Os for each second, without programs and with those that are attached as long as a value lives. Null if there are to be no pairs.
fn pairs<T>(count: usize, fio: &Fio, path: &Path, attach: impl Fn() -> T) -> serde_json::Value {
    let most = std::env::var("WEIR_BENCH_PAIRS").map_or(count, |most| most.parse().unwrap());
    let count = count.min(most);
    if count == 0 {
        return serde_json::Value::Null;
    }
    let mut ratios = Vec::new();
    let mut without = Vec::new();
    for pair in 1..=count {
        let run = |is_on: bool| {
            let _attached = is_on.then(&attach);
            fio.read(path, SECONDS).iops
        };
        // Who goes first changes, so that a machine that gets faster or slower favours neither.
        let (off, on) = if pair % 2 == 0 {
            let off = run(false);
            (off, run(true))
        } else {
            let on = run(true);
            (run(false), on)
        };
        eprintln!(
            "pair {pair} of {count}: {off:.0} without, {on:.0} with, {:.3}",
            on / off
        );
        ratios.push(on / off);
        without.push(off);
    }
    let [low, ratio, high] = quartiles(ratios);
    let [_, iops, _] = quartiles(without);
    serde_json::json!({"ratio": ratio, "low": low, "high": high, "iops": iops})
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[quarter * (values.len() - 1) / 4])
}
