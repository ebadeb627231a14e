//! `cargo xtask bench placement`: how long a placement takes among 10,000 pools, on this machine. The work is done by
//! `placement/benches/large.rs`, optimised as the controller is.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Figure;
use crate::command::Cmd;
use crate::workspace;

/// Measures.
pub(super) fn run() -> Result<Vec<Figure>> {
    // No probes are needed for it, and no VM.
    let cargo = Cmd::cargo().dir(&workspace::root()?);
    let bench = cargo.args(["bench", "-q", "-p", "weir-placement", "--bench", "large"]);
    let seen: Value = serde_json::from_str(&bench.read()?).context("reading what the bench saw")?;
    let figure = |name: &'static str| {
        let value = seen[name].as_f64();
        let value = value.with_context(|| format!("no {name} in {seen}"))?;
        Ok::<_, anyhow::Error>(Figure::new(name, value, "us"))
    };
    let all = figure("placement_10k_p50_us")?;
    let tenth = figure("placement_1k_p50_us")?;
    let times = all.value() / tenth.value().max(1e-9);
    Ok(vec![
        figure("placement_10k_p99_us")?.at_most(1_000.0),
        all,
        tenth,
        Figure::new("placement_10k_over_1k", times, "x"),
        figure("placement_10k_by_space_p99_us")?,
        figure("climate_10k_us")?,
    ])
}
