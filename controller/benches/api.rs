//! What the API takes when many volumes are in it and many watch: `cargo xtask bench api`. Prints one JSON object.
//!
//! The server is a process of its own, its store on a disk (`TMPDIR`). Clients and server share this machine's CPUs, so
//! that the figures are worse than a server's alone would be.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "api/asking.rs"]
mod asking;
#[path = "api/load.rs"]
mod load;
#[path = "api/readers.rs"]
mod readers;
#[path = "api/updates.rs"]
mod updates;

#[path = "../tests/served/place.rs"]
#[expect(dead_code, reason = "the server is ours and ends in good order")]
mod place;
#[path = "../tests/served/process.rs"]
#[expect(dead_code, reason = "the server ends in good order")]
mod process;

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;

use asking::Asking;
use process::Process;
use readers::Readers;

/// As many agents, each with a pool of its own, which it watches.
const POOLS: usize = 1_000;
/// Updates per second: a little more than is wanted, so that what is reached can be more, too.
const RATE: f64 = 1_050.0;
/// How long writers go as fast as they can.
const BURST: Duration = Duration::from_secs(10);

fn main() {
    // A descriptor for each client on either side.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure());
}

#[expect(clippy::print_stdout, reason = "the figures are its result")]
async fn measure() {
    let volumes = number("WEIR_BENCH_VOLUMES").unwrap_or(100_000);
    let seconds = Duration::from_secs(number("WEIR_BENCH_SECONDS").unwrap_or(60));
    let volumes = usize::try_from(volumes).unwrap();
    let dir = TempDir::new().unwrap();
    let mut process = Process::start(dir.path());
    let pid = process.pid();
    let asking = Asking::new(&process.kubeconfig()).await;

    say(&format!("{volumes} volumes are made"));
    let begun = Instant::now();
    load::create(&asking, volumes, POOLS).await;
    let load_seconds = begun.elapsed().as_secs_f64();
    let loaded = memory(pid, "VmRSS");

    say(&format!(
        "loaded in {load_seconds:.0} s, {loaded:.0} MiB; listed in pages"
    ));
    let begun = Instant::now();
    let (listed, version) = load::list(&asking).await;
    let list_seconds = begun.elapsed().as_secs_f64();
    assert_eq!(listed, volumes);

    say(&format!(
        "listed in {list_seconds:.1} s; {POOLS} clients watch"
    ));
    let readers = Readers::begin(&asking, POOLS, &version).await;
    say(&format!(
        "{} s of {RATE} updates a second",
        seconds.as_secs()
    ));
    let (peak, paced) = tokio::join!(
        peak(pid, seconds),
        updates::write(&asking, volumes, seconds, Some(RATE), "a")
    );
    let delays = readers.take(paced.acknowledged).await;
    say(&format!(
        "{:.0} a second, {peak:.0} MiB; as fast as it can for {} s",
        paced.rate,
        BURST.as_secs()
    ));
    let burst = updates::write(&asking, volumes, BURST, None, "b").await;
    let late = readers.take(burst.acknowledged).await;
    let high = memory(pid, "VmHWM");
    readers.end();
    process.stop();

    println!(
        "{}",
        json!({
            "volumes": volumes,
            "seconds": seconds.as_secs(),
            "load_seconds": load_seconds,
            "list_seconds": list_seconds,
            "writes_per_s": paced.rate,
            "write_p50_ms": quantile(&paced.delays, 0.5),
            "write_p99_ms": quantile(&paced.delays, 0.99),
            "watch_p50_ms": quantile(&delays, 0.5),
            "watch_p99_ms": quantile(&delays, 0.99),
            "watch_max_ms": quantile(&delays, 1.0),
            "burst_writes_per_s": burst.rate,
            "burst_watch_p99_ms": quantile(&late, 0.99),
            "rss_mib": peak,
            "rss_loaded_mib": loaded,
            "rss_high_mib": high,
            "fsyncs": statistic(&process.said(), "fsyncs"),
            "changes": statistic(&process.said(), "changes"),
        })
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn say(what: &str) {
    eprintln!("weir: {what}");
}

/// The most memory a process held, looked at every half second.
async fn peak(pid: u32, seconds: Duration) -> f64 {
    let begun = Instant::now();
    let mut peak = 0.0_f64;
    while begun.elapsed() < seconds {
        peak = peak.max(memory(pid, "VmRSS"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    peak
}

/// A process's memory in MiB, as the kernel tells it.
fn memory(pid: u32, what: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(what))
        .unwrap();
    let kib = line.trim_start_matches(':').trim_end_matches("kB").trim();
    kib.parse::<f64>().unwrap() / 1024.0
}

/// A number that the server tells when it ends.
fn statistic(said: &str, name: &str) -> u64 {
    let mut words = said.split_whitespace().rev();
    let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.unwrap().parse().unwrap()
}

/// The delay that so many of all do not exceed, in ms.
fn quantile(delays: &[Duration], quantile: f64) -> f64 {
    let mut delays = delays.to_vec();
    delays.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index: positive, and far from 2^52"
    )]
    let place = (delays.len().saturating_sub(1) as f64 * quantile).round() as usize;
    delays
        .get(place)
        .map_or(0.0, |delay| delay.as_secs_f64() * 1e3)
}
