//! What the controller costs in a large cluster, and how fast it places: `cargo xtask bench control`. Prints one JSON
//! object.
//!
//! API and controller are processes of their own. The agents are in this one: each a `Join`, the agent's own code, with
//! threads and TLS connections of its own, and an engine that answers at once. All share this machine's CPUs, so that
//! what is measured by the clock is worse than a controller's on its own machine; its CPU time is its own.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "control/agents.rs"]
mod agents;
#[path = "api/asking.rs"]
mod asking;
#[path = "control/bound.rs"]
mod bound;
#[path = "control/engine.rs"]
mod engine;
#[path = "control/leader.rs"]
mod leader;
#[path = "control/load.rs"]
mod load;
#[path = "control/spent.rs"]
mod spent;

#[path = "../tests/served/place.rs"]
#[expect(dead_code, reason = "the server is ours and ends in good order")]
mod place;
#[path = "../tests/served/process.rs"]
#[expect(dead_code, reason = "the server ends in good order")]
mod process;

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;

use agents::Agents;
use asking::Asking;
use bound::Bound;
use leader::Leader;
use load::{PER_AGENT, PER_POOL};
use process::Process;
use spent::Spent;

/// Descriptors of an agent: a connection to watch its pools on and two for each of them, as many on which these were
/// listed, which its client keeps for a while, and its threads' own.
const PER_AGENT_FILES: u64 = 4 * PER_AGENT as u64 + 8;
/// Descriptors besides.
const OTHER_FILES: u64 = 500;

fn main() {
    // A descriptor for each connection on either side. Root may raise the limit, unless it runs where it may not.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = most.max(65_536);
    let raised = setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted);
    let files = match raised {
        Ok(()) => wanted,
        Err(_) => setrlimit(Resource::RLIMIT_NOFILE, most, most).map_or(1024, |()| most),
    };
    let fit = files.saturating_sub(OTHER_FILES) / PER_AGENT_FILES;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(measure(usize::try_from(fit).unwrap()));
}

#[expect(clippy::print_stdout, reason = "the figures are its result")]
async fn measure(fit: usize) {
    let mut agents = number("WEIR_BENCH_AGENTS").unwrap_or(100);
    if agents > fit {
        say(&format!(
            "a process may have too few descriptors here for {agents} agents: {fit} fit"
        ));
        agents = fit;
    }
    let idle = Duration::from_secs(number("WEIR_BENCH_SECONDS").unwrap_or(60) as u64);
    let (pools, volumes) = (agents * PER_AGENT, agents * PER_AGENT * PER_POOL);
    let dir = TempDir::new().unwrap();
    let mut process = Process::start(dir.path());
    let asking = Asking::new(&process.kubeconfig()).await;

    say(&format!(
        "{agents} agents join, each with {PER_AGENT} pools"
    ));
    load::create_pools(&asking, agents).await;
    let joined = Agents::start(dir.path(), agents);
    load::wait_for_pools(&asking, pools).await;

    let (first, second) = (volumes / 2, volumes - volumes / 2);
    say(&format!("{first} volumes are made, without a controller"));
    let begun = Instant::now();
    load::create_volumes(&asking, 0..first).await;
    let create_seconds = begun.elapsed().as_secs_f64();

    say(&format!(
        "made in {create_seconds:.0} s; a controller starts, while the agents are busy"
    ));
    joined.are_busy();
    let bound = Bound::begin(&asking).await;
    let mut leader = Leader::start(dir.path());
    let before = Spent::by(leader.pid());
    let begun = Instant::now();
    let binds = bound.all(first).await;
    let bind_seconds = begun.elapsed().as_secs_f64();
    let bind_cpu = Spent::by(leader.pid()).cpu_seconds - before.cpu_seconds;
    say(&format!(
        "{:.0} a second; until the agents have done all of it",
        binds.rate()
    ));
    joined.are_done();
    load::wait_for_volumes(&asking, first).await;
    say(&format!(
        "{second} more volumes are made, and every agent answers at once"
    ));
    let bound = Bound::begin(&asking).await;
    let ((), answered) = tokio::join!(
        load::create_volumes(&asking, first..volumes),
        bound.all(second)
    );
    say(&format!(
        "{:.0} a second; until all are Ready and nothing is written any more",
        answered.rate()
    ));
    load::wait_for_volumes(&asking, volumes).await;
    load::wait_for_quiet(&asking, agents).await;
    let settle_seconds = begun.elapsed().as_secs_f64();

    say(&format!("idle for {} s", idle.as_secs()));
    let pids = [leader.pid(), process.pid(), std::process::id()];
    let (first, revision) = (pids.map(Spent::by), load::revision(&asking).await);
    let begun = Instant::now();
    tokio::time::sleep(idle).await;
    let seconds = begun.elapsed().as_secs_f64();
    let (last, writes) = (
        pids.map(Spent::by),
        load::revision(&asking).await - revision,
    );
    let cpu = |which: usize| 100.0 * (last[which].cpu_seconds - first[which].cpu_seconds) / seconds;
    let of_leader = leader::renewals(seconds);
    #[expect(clippy::cast_precision_loss, reason = "far from 2^52 writes")]
    let per_agent = (writes as f64 - of_leader) / agents as f64 * 60.0 / seconds;
    println!(
        "{}",
        json!({
            "agents": agents,
            "pools": pools,
            "volumes": volumes,
            "create_seconds": create_seconds,
            "bind_seconds": bind_seconds,
            "bind_cpu_seconds": bind_cpu,
            "placements_per_s": binds.rate(),
            "placements_per_s_answered": answered.rate(),
            "settle_seconds": settle_seconds,
            "idle_seconds": seconds,
            "controller_cpu_percent": cpu(0),
            "controller_rss_mib": last[0].rss_mib,
            "controller_rss_high_mib": last[0].rss_high_mib,
            "api_cpu_percent": cpu(1),
            "api_rss_mib": last[1].rss_mib,
            "agents_cpu_percent": cpu(2),
            "agents_rss_mib": last[2].rss_mib,
            "writes": writes,
            "writes_per_agent_min": per_agent,
        })
    );
    joined.end();
    leader.stop();
    process.stop();
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn say(what: &str) {
    eprintln!("weir: {what}");
}
