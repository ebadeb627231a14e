//! `cargo xtask bench api`: the standalone API with 100,000 volumes in it, 1,000 clients that watch a pool each, and
//! 1,000 updates a second for a minute. The work is done by `controller/benches/api.rs`, optimised as the server is; both
//! share this machine, and the store lies on the disk that `TMPDIR` is on.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Figure;
use crate::command::Cmd;
use crate::workspace::Workspace;

/// Measures; `WEIR_BENCH_SECONDS` in the environment has the minute otherwise, for a trial.
pub(super) fn run(workspace: &Workspace, volumes: u32) -> Result<Vec<Figure>> {
    let seen = seen(bench(workspace, volumes))?;
    let figure = |name, key: &str, unit| {
        Ok::<_, anyhow::Error>(Figure::new(name, number(&seen, key)?, unit))
    };
    Ok(vec![
        figure("api_volumes", "volumes", "volumes")?,
        figure("api_watch_p99_ms", "watch_p99_ms", "ms")?.at_most(100.0),
        figure("api_rss_mib", "rss_mib", "MiB")?.at_most(600.0),
        figure("api_writes_per_s", "writes_per_s", "1/s")?.at_least(1_000.0),
        figure("api_fsyncs", "fsyncs", "fsyncs")?.at_least(1.0),
        figure("api_watch_p50_ms", "watch_p50_ms", "ms")?,
        figure("api_watch_max_ms", "watch_max_ms", "ms")?,
        figure("api_write_p99_ms", "write_p99_ms", "ms")?,
        figure("api_writes_per_s_at_most", "burst_writes_per_s", "1/s")?,
        figure("api_changes", "changes", "changes")?,
        figure("api_load_seconds", "load_seconds", "s")?,
        figure("api_list_seconds", "list_seconds", "s")?,
        figure("api_rss_high_mib", "rss_high_mib", "MiB")?,
    ])
}

/// The same for a few seconds with what tests are built of, for whether all of it arrives; how soon is not judged.
/// Returns what a reader of results may want to know.
pub(crate) fn check(workspace: &Workspace, volumes: u32) -> Result<String> {
    let bench = bench(workspace, volumes).args(["--profile", "dev"]);
    let seen = seen(bench.env("WEIR_BENCH_SECONDS", "5"))?;
    let fsyncs = number(&seen, "fsyncs")?;
    ensure!(fsyncs > 0.0, "nothing was flushed to the disk");
    Ok(format!(
        "api: {volumes} volumes, {:.0} updates/s, watched after {:.1} ms (p99), {:.0} MiB, {fsyncs} flushes",
        number(&seen, "writes_per_s")?,
        number(&seen, "watch_p99_ms")?,
        number(&seen, "rss_mib")?,
    ))
}

fn bench(workspace: &Workspace, volumes: u32) -> Cmd {
    workspace
        .cargo()
        .args(["bench", "-q", "--workspace", "--bench", "api"])
        .env("WEIR_BENCH_VOLUMES", volumes.to_string())
}

fn seen(bench: Cmd) -> Result<Value> {
    serde_json::from_str(&bench.aloud().read()?).context("reading what the bench saw")
}

fn number(seen: &Value, key: &str) -> Result<f64> {
    seen[key]
        .as_f64()
        .with_context(|| format!("no {key} in {seen}"))
}
