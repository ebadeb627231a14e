//! Weir's latencies against fio's on this very kernel, and where it says that an injected delay lies.
//!
//! Run by `cargo xtask test truth`, which brings fio (`WEIR_FIO`). Needs root, a kernel with BTF, loop devices, FUSE, and the eBPF
//! object (`WEIR_BPF_OBJECT`) at build time.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "probes/bench.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod bench;
#[path = "../benches/probes/fio.rs"]
#[expect(dead_code, reason = "the bench uses the rest")]
mod fio;
#[path = "probes/io.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod io;
#[path = "probes/late.rs"]
mod late;
#[path = "probes/traced.rs"]
mod traced;
#[path = "probes/untold.rs"]
mod untold;

use std::time::Duration;

use serde_json::Value;
use weir_agent::histogram::Histogram;
use weir_agent::probe::{Op, Snapshot, Stage, Wanted};
use weir_agent_ebpf::scale::bucket_of;

use bench::{Pins, disk, drops, in_flight, stage, volume};
use fio::Fio;
use late::LateDisk;
use untold::Untold;

/// A machine that is busy with something else stretches single I/Os between fio's clock and the kernel's: then percentiles
/// (never counts) get another chance.
const ATTEMPTS: u32 = 5;

/// Half of them reads. Of fewer than this a p99.9 is the slowest one or two alone.
const ENOUGH: u32 = 20_000;

fn ios() -> u32 {
    std::env::var("WEIR_TRUTH_IOS").map_or(2_000, |ios| ios.parse().unwrap())
}

/// What came between two snapshots.
fn since(before: &Snapshot, after: &Snapshot, op: Op, which: Stage) -> Histogram {
    stage(after, op, which).since(&stage(before, op, which))
}

/// Weir's percentiles lie within one bucket (12.5 %) of fio's. The error says what was seen.
fn compare(fio: &Value, weir: &Histogram, delay: Duration) -> Result<String, String> {
    let mut line = format!("{} I/Os", weir.count());
    let mut is_right = true;
    let quantiles = [
        ("50.000000", 0.5),
        ("99.000000", 0.99),
        ("99.900000", 0.999),
    ];
    let told = if ios() < ENOUGH { 2 } else { 3 };
    for (name, quantile) in quantiles.into_iter().take(told) {
        let fio_ns = fio["clat_ns"]["percentile"][name].as_u64().unwrap();
        let weir_ns = weir.quantile(quantile).unwrap();
        let (fio_us, weir_us) = (fio_ns / 1000, weir_ns / 1000);
        line += &format!(", p{name} fio {fio_us} us, Weir {weir_us} us");
        is_right &= bucket_of(weir_ns).abs_diff(bucket_of(fio_ns)) <= 1;
        assert!(u128::from(fio_ns) >= delay.as_nanos(), "{line}: no delay");
    }
    if is_right { Ok(line) } else { Err(line) }
}

/// Seen red with: `Stage::Device` and `Stage::Queue` exchanged in `record::disk_parts`; and with half of `total` in
/// `carried::end_io`.
#[test]
fn a_late_disk_is_late_to_the_bucket_and_the_delay_is_the_devices() {
    let fio = Fio::from_env();
    for delay in [1, 5].map(Duration::from_millis) {
        let (pins, late) = (Pins::new(), LateDisk::of(delay));
        let mut probes = pins.start();
        let wanted = Wanted {
            volumes: vec![volume(1, late.dev())],
            disks: vec![disk(late.dev())],
            ..Wanted::default()
        };
        probes.sync(&wanted).unwrap();
        let untold = Untold::watch();
        for attempt in 1..=ATTEMPTS {
            let untold_before = untold.count();
            let before = probes.read().unwrap();
            let ios = format!("--number_ios={}", ios());
            let load = ["--rw=randrw", "--bs=4k", "--thread", "--randrepeat=0", &ios];
            let report = fio.run(late.path(), &load);
            let after = probes.read().unwrap();
            let seen = [(Op::Read, "read"), (Op::Write, "write")].map(|(op, name)| {
                let of = |which| since(&before, &after, op, which);
                let fio = &report["jobs"][0][name];
                let (total, ios) = (of(Stage::Total), fio["total_ios"].as_u64().unwrap());
                let may_lack = untold.count() - untold_before;
                let counted = total.count();
                assert!(
                    counted <= ios && ios - counted <= may_lack,
                    "{counted} of {ios}, {may_lack} ends reached no program"
                );
                let share = of(Stage::Device).sum_ns() as f64 / total.sum_ns() as f64;
                let line = compare(fio, &total, delay)
                    .map(|line| format!("{name}: {line}, {:.1} % the device's", share * 100.0));
                assert!(share >= 0.9, "{share} of the time is the device's");
                line
            });
            // A request and its bio, if both were noted.
            let lost = in_flight(&after) + drops(&after);
            assert!(lost <= 2 * untold.count(), "{after:?}");
            match seen.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(lines) => {
                    lines
                        .iter()
                        .for_each(|line| eprintln!("  {delay:?} {line}"));
                    break;
                }
                Err(line) if attempt < ATTEMPTS => eprintln!("  once more: {line}"),
                Err(line) => panic!("{line}"),
            }
        }
    }
}
