//! `cargo xtask bench agent`: what an idle agent costs on a node with a thousand volumes, in memory,
//! CPU time and BPF maps, and how soon it tells of an LV that vanished.
//!
//! The work is done by `guest-bench` inside the guest (xtask/src/bin/guest-bench), with the agent as it
//! is released.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_agent_ebpf::shapes::{Room, map_bytes};

use super::Figure;
use crate::command::Cmd;
use crate::progress::say;
use crate::scene::storage;
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, Spec, address};

const VOLUMES: u32 = 1000;
/// How long it is watched; `WEIR_BENCH_SECONDS` in the environment has it otherwise, for a trial.
const IDLE_SECONDS: u64 = 600;
/// The largest node whose maps have to fit.
const CPUS: u32 = 64;
const MIB: f64 = (1 << 20) as f64;

/// Measures. `programs` are those in the guest: one of them tells this machine's own speed.
pub(crate) fn run(lab: &Lab, programs: &[PathBuf]) -> Result<Vec<Figure>> {
    let disk = Disk::plain(lab.dir(), "pool", 8 << 30)?;
    let [machine] = lab.boot([Spec {
        memory_mib: 2048,
        ..storage::spec(&[&disk])
    }])?;
    let seconds = match std::env::var("WEIR_BENCH_SECONDS") {
        Ok(text) => text.parse().context("WEIR_BENCH_SECONDS")?,
        Err(_) => IDLE_SECONDS,
    };
    say(format!(
        "{VOLUMES} volumes, {seconds} s without orders, a scrape every 15 s"
    ));
    let script = format!(
        "modprobe -a nvmet-tcp dm-mod && {{ mountpoint -q /sys/kernel/config || mount -t configfs none \
         /sys/kernel/config; }} && guest-bench agent /dev/vda {} {VOLUMES} {seconds}",
        address(1)
    );
    let limit = Duration::from_secs(seconds + 3600);
    let output = machine.guest.run_for(&script, limit)?;
    ensure!(output.code == 0, "{}", output.stderr);
    let seen: Value = serde_json::from_str(output.stdout.trim()).context("reading what it saw")?;
    say(format!("seen: {seen}"));
    machine.stop()?;
    figures(&seen, spin_here(programs)?)
}

fn figures(seen: &Value, spin_here: f64) -> Result<Vec<Figure>> {
    let number = |key: &str| {
        seen[key]
            .as_f64()
            .with_context(|| format!("no {key} in {seen}"))
    };
    // How much slower the guest's CPU is, for work of the agent's kind.
    let factor = (number("spin_seconds")? / spin_here).max(1.0);
    let (own, children) = (number("own_cpu_seconds")?, number("children_cpu_seconds")?);
    let raw = 100.0 * (own + children) / number("wall_seconds")?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let maps = map_bytes(Room::of_volumes(VOLUMES), CPUS) as f64 / MIB;
    Ok(vec![
        Figure::new("agent_rss_mib", number("rss_mib")?, "MiB").at_most(30.0),
        Figure::new("agent_idle_cpu_percent", raw / factor, "percent")
            .against("agent_idle_cpu_percent_in_the_guest", raw)
            .at_most(0.5),
        Figure::new("agent_tcg_factor", factor, "x"),
        Figure::new("agent_idle_cpu_seconds_of_its_own", own / factor, "s"),
        Figure::new(
            "agent_idle_cpu_seconds_of_its_commands",
            children / factor,
            "s",
        ),
        Figure::new("agent_bpf_map_mib", maps, "MiB").at_most(64.0),
        Figure::new(
            "agent_vanished_lv_told_seconds",
            number("told_after_seconds")?,
            "s",
        )
        .at_most(60.0),
    ])
}

/// CPU seconds of the same work on this machine.
fn spin_here(programs: &[PathBuf]) -> Result<f64> {
    let mut programs = programs.iter();
    let program = programs.find(|path| path.ends_with("guest-bench"));
    let program = program.context("no guest-bench was built")?;
    let text = Cmd::new(program).arg("spin").read()?;
    text.trim()
        .parse()
        .context("reading how fast this machine is")
}
