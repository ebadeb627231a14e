//! `cargo xtask bench control`: how long a volume takes from its object to Ready beside the same made by hand, in a VM;
//! and on this machine how fast volumes are placed, and what a controller costs, with many simulated agents.
//!
//! The cluster is `controller/benches/control.rs`: API and controller are processes of their own, the agents are the
//! agent's own API code, all over TLS on this machine's CPUs. A tenth of it unless `--full` is given.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Figure, median};
use crate::cache::Cache;
use crate::command::Cmd;
use crate::kernel::Kernel;
use crate::progress::say;
use crate::scene::control_plane::{AGENT_KUBECONFIG, ControlPlane, Parts};
use crate::scene::storage::{self, Agent, POOL};
use crate::setup::guest::Userland;
use crate::vm::disk::Disk;
use crate::vm::machine::{Lab, address};
use crate::workspace::Workspace;
use crate::{setup, vm};

/// Agents, a tenth and in full; each has ten pools, each pool ten volumes.
const AGENTS: (u32, u32) = (100, 1000);
/// For how long nothing happens; `WEIR_BENCH_SECONDS` in the environment has it otherwise, for a trial.
const IDLE_SECONDS: (u32, u32) = (60, 300);
/// How often a volume is made by either side.
const PAIRS: u32 = 7;
const LIMIT: Duration = Duration::from_secs(600);

/// Makes volumes by hand and through the API, by turns.
const CREATE_TO_READY: &str = include_str!("../../guest/create-to-ready.py");

/// Measures.
pub(super) fn run(
    cache: &Cache,
    workspace: &Workspace,
    kernel: Kernel,
    full: bool,
) -> Result<Vec<Figure>> {
    let mut figures = by_hand(&lab(cache, workspace, kernel)?)?;
    figures.push(pure(workspace)?);
    figures.extend(cluster(workspace, full)?);
    Ok(figures)
}

/// The controller's part that needs no VM.
fn cluster(workspace: &Workspace, full: bool) -> Result<Vec<Figure>> {
    let pick = |(tenth, all): (u32, u32)| if full { all } else { tenth };
    let mut bench = bench(workspace, "control").env("WEIR_BENCH_AGENTS", pick(AGENTS).to_string());
    if std::env::var_os("WEIR_BENCH_SECONDS").is_none() {
        bench = bench.env("WEIR_BENCH_SECONDS", pick(IDLE_SECONDS).to_string());
    }
    let seen = bench.aloud().read()?;
    let seen: Value = serde_json::from_str(&seen).context("reading what the bench saw")?;
    let figure = |name, key: &str, unit| {
        let value = seen[key].as_f64();
        let value = value.with_context(|| format!("no {key} in {seen}"))?;
        Ok::<_, anyhow::Error>(Figure::new(name, value, unit))
    };
    Ok(vec![
        figure(
            "controller_cpu_percent",
            "controller_cpu_percent",
            "percent",
        )?
        .at_most(10.0),
        figure("controller_rss_mib", "controller_rss_mib", "MiB")?.at_most(500.0),
        figure("placements_per_s_api", "placements_per_s", "1/s")?.at_least(1_000.0),
        figure(
            "placements_per_s_api_while_agents_answer",
            "placements_per_s_answered",
            "1/s",
        )?,
        figure("api_writes_per_agent_min", "writes_per_agent_min", "1/min")?.at_most(8.0),
        figure("control_agents", "agents", "agents")?,
        figure("control_pools", "pools", "pools")?,
        figure("control_volumes", "volumes", "volumes")?,
        figure("controller_rss_high_mib", "controller_rss_high_mib", "MiB")?,
        figure("controller_bind_cpu_seconds", "bind_cpu_seconds", "s")?
            .against("bind_seconds", seen["bind_seconds"].as_f64().unwrap_or(0.0)),
        figure("control_settle_seconds", "settle_seconds", "s")?,
        figure("control_api_cpu_percent", "api_cpu_percent", "percent")?,
        figure("control_api_rss_mib", "api_rss_mib", "MiB")?,
        figure(
            "control_agents_cpu_percent",
            "agents_cpu_percent",
            "percent",
        )?,
    ])
}

/// The function alone.
fn pure(workspace: &Workspace) -> Result<Figure> {
    let cargo = workspace.cargo();
    let bench = cargo.args(["bench", "-q", "-p", "weir-placement", "--bench", "place"]);
    let said = bench.read()?;
    let rate = said.split_whitespace().next();
    let rate = rate.and_then(|rate| rate.parse().ok());
    let rate = rate.with_context(|| format!("no figure in `{said}`"))?;
    Ok(Figure::new("placements_per_s_pure", rate, "1/s").at_least(50_000.0))
}

fn bench(workspace: &Workspace, name: &str) -> Cmd {
    let cargo = workspace.cargo();
    cargo.args(["bench", "-q", "-p", "weir-controller", "--bench", name])
}

/// A lab with the control plane as it is released, and a kubectl that runs in any guest.
fn lab(cache: &Cache, workspace: &Workspace, kernel: Kernel) -> Result<Lab> {
    setup::vms(cache, &[kernel], Userland::Small)?;
    let programs = [
        ("weir-agent", "weir-agent"),
        ("weir-controller", "weir-controller"),
    ];
    let mut programs = workspace.optimised(&programs)?;
    let kubectl = setup::kubectl(cache)?.pop();
    programs.push(kubectl.context("no kubectl")?.program);
    let dir = workspace.for_vms()?;
    let payload = dir.join("bench-control.ext4");
    vm::payload::make(&programs, &workspace.deploy(), &payload)?;
    Lab::new(cache, kernel, Userland::Small, &payload, &dir)
}

/// A node with a control plane: a volume is made by hand and through the API, by turns.
fn by_hand(lab: &Lab) -> Result<Vec<Figure>> {
    let disk = Disk::plain(lab.dir(), "pool", 4 << 30)?;
    let [machine] = lab.boot([storage::spec(&[&disk])])?;
    let guest = &machine.guest;
    let plane = ControlPlane::new(guest);
    plane.start(Parts::Both)?;
    plane.enrol()?;
    let agent = Agent::joined(guest, AGENT_KUBECONFIG).by_default();
    agent.start()?;
    plane.apply(&storage::pool_object(POOL, storage::NODE, &address(1)))?;
    plane.wait(&format!("wpool {POOL}"), "\"freeBytes\":[1-9]")?;
    say(format!(
        "kernel {}, {:?}: {PAIRS} volumes by hand and through the API, by turns",
        lab.kernel,
        lab.accel()
    ));
    guest.write("/run/weir/create-to-ready.py", CREATE_TO_READY)?;
    let group = format!("weir-{POOL}");
    let command = format!(
        "python3 /run/weir/create-to-ready.py /var/lib/weir/api/admin.kubeconfig {group} {PAIRS}"
    );
    let output = guest.run_for(&command, LIMIT)?;
    ensure!(output.code == 0, "{}\n{}", output.stderr, agent.log());
    let seen: Value = serde_json::from_str(output.stdout.trim()).context("reading what it saw")?;
    say(format!("seen: {seen}"));
    machine.stop()?;
    let middle = |key: &str| {
        let seconds = seen[key].as_array().into_iter().flatten();
        let seconds: Vec<f64> = seconds.filter_map(Value::as_f64).collect();
        ensure!(!seconds.is_empty(), "no {key} in {seen}");
        Ok(median(seconds))
    };
    let (ready, hand) = (middle("ready")?, middle("hand")?);
    Ok(vec![
        Figure::new("create_to_ready_ratio", ready / hand, "x")
            .against("by_hand", 1.0)
            .at_most(2.0),
        Figure::new("create_to_ready_seconds", ready, "s").against("by_hand_seconds", hand),
        Figure::new("create_to_bound_seconds", middle("bound")?, "s"),
        Figure::new("lvm_report_seconds", middle("report")?, "s"),
        Figure::new("lvm_create_seconds", middle("lvcreate")?, "s"),
    ])
}
