//! `cargo xtask bench probes`: what the eBPF programs cost on this machine's kernel. The work is done by
//! `agent/benches/probes.rs`, as root, on a loop device in memory and on zram.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Figure;
use crate::cache::Cache;
use crate::setup;
use crate::workspace::Workspace;

/// Measures: some seven minutes, or half a minute without the alternation (`WEIR_BENCH_PAIRS=0`).
pub(super) fn run(cache: &Cache, workspace: &Workspace) -> Result<Vec<Figure>> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "loading eBPF programs needs root: run this as root"
    );
    let tools = setup::measuring(cache)?;
    let bench = workspace
        .cargo()
        .args(["bench", "-q", "-p", "weir-agent", "--bench", "probes"])
        .env("WEIR_FIO", tools.command("usr/bin/fio"))
        .env(
            "WEIR_BIOLATENCY",
            tools.command("usr/sbin/biolatency-libbpf"),
        );
    let seen: Value =
        serde_json::from_str(&bench.aloud().read()?).context("reading what the bench saw")?;
    let number = |pointer: &str| {
        let value = seen.pointer(pointer).and_then(Value::as_f64);
        value.with_context(|| format!("no {pointer} in {seen}"))
    };
    let rival = number("/biolatency_ns")?;
    let empty = number("/empty_ns")?;
    let cost = |name, key: &str| -> Result<Figure> {
        let ns = number(&format!("/{key}_ns"))?;
        Ok(Figure::new(name, ns / rival, "x").against("biolatency_ns_per_io", rival))
    };
    // Each run of a program costs what the statistics take, which is there only while they are kept.
    let without_statistics = |name, key: &str| -> Result<Figure> {
        let net = |key: &str| -> Result<f64> {
            let runs = number(&format!("/{key}_runs"))?;
            Ok(number(&format!("/{key}_ns"))? - runs * empty)
        };
        Ok(Figure::new(name, net(key)? / net("biolatency")?, "x"))
    };
    let iops = |name, device: &str| -> Result<Figure> {
        let of = |key: &str| number(&format!("/{device}/{key}"));
        Ok(Figure::new(name, of("ratio")?, "x").against("iops_without", of("iops")?))
    };
    let quartile = |name, pointer: &str| Ok(Figure::new(name, number(pointer)?, "x"));
    let costs = [
        cost("disk_stage_cost_ratio", "disk").map(|figure| figure.at_most(0.25)),
        cost("bio_stage_cost_ratio", "bio").map(|figure| figure.at_most(0.4)),
        cost("all_stages_cost_ratio", "all").map(|figure| figure.at_most(0.8)),
        without_statistics("disk_stage_net_cost_ratio", "disk"),
        without_statistics("bio_stage_net_cost_ratio", "bio"),
        without_statistics("all_stages_net_cost_ratio", "all"),
        Ok(Figure::new("empty_program_ns", empty, "ns")),
        Ok(Figure::new(
            "loop_ios_without_completion_event",
            number("/without_end")?,
            "I/Os",
        )),
    ];
    if seen["loop"].is_null() {
        return costs.into_iter().collect();
    }
    let alternation = [
        iops("iops_on_off_ratio", "loop").map(|figure| figure.at_least(0.99)),
        quartile("iops_on_off_ratio_low_quartile", "/loop/low"),
        quartile("iops_on_off_ratio_high_quartile", "/loop/high"),
        iops("iops_on_off_ratio_of_empty_programs", "loop_empty"),
        iops("zram_iops_on_off_ratio", "zram").map(|figure| figure.at_least(0.85)),
        quartile("zram_iops_on_off_ratio_low_quartile", "/zram/low"),
        quartile("zram_iops_on_off_ratio_high_quartile", "/zram/high"),
        iops("zram_iops_on_off_ratio_of_empty_programs", "zram_empty"),
    ];
    costs.into_iter().chain(alternation).collect()
}
