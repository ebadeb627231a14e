//! `cargo xtask test`: every test there is, or one area of them.

mod absence;
mod api;
mod control;
mod crash;
mod fence;
mod flush;
mod host;
mod kill;
mod ladder;
mod nvmetcli;
mod ops;
mod pair;
mod paths;
pub(crate) mod payload;
mod pools;
mod power;
pub(crate) mod program;
mod report;
mod results;
pub(crate) use api::server;
mod truth;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::cache::Cache;
use crate::kernel::Kernel;
use crate::setup;
use crate::setup::guest::Userland;
use crate::vm::machine::Lab;
use crate::workspace::Workspace;
use pair::Pair;
use payload::Payload;
use program::PROGRAMS;
use report::Report;

/// A part of the tests that can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Area {
    /// Unit and property tests of every crate
    Unit,
    /// Random input for everything that reads what others wrote: a few seconds each, with --full 10 minutes
    Fuzz,
    /// The eBPF programs on this machine's own kernel (root)
    Native,
    /// What promtool and a Prometheus server make of the agent's metrics
    Metrics,
    /// The standalone API: kubectl, the kube client, recorded answers, kills and power cuts; `weir` and `weir-csi` over it
    Api,
    /// The nvmet crate on a real kernel
    Nvmet,
    /// The eBPF programs under the kernel's target, in VMs, and what measures where they can't be
    Probes,
    /// Weir's latencies and counts against fio's, with injected delays
    Truth,
    /// Requests and record vanish; volumes don't; nobody reads another's old data
    Absence,
    /// Disks and volume groups that hold somebody's data
    Pools,
    /// What a node lacks, orphans, foreign LVs, recovery from tags
    Ops,
    /// The agent is killed in mid-I/O
    Kill,
    /// A consumer with two portals loses one in mid-I/O
    Paths,
    /// Hosts are cut off in mid-write and never write again
    Fence,
    /// The agent is ended at every fail point, and at random moments
    Crash,
    /// The storage node loses power in mid-write
    Power,
    /// kubectl, controller and agents in VMs: what is applied is served, and nothing else is touched, also while all of them are
    /// killed, paused and cut off at random (60 s, with --full 10 minutes)
    Control,
    /// Flushes and FUA writes reach the storage node's disk
    Flush,
    /// Hosts with systemd and udev: nobody opens what tenants write into their volumes
    Host,
}

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Full counts instead of those that fit CI.
    pub(crate) full: bool,
    /// All parts of an area, although CI has time for some of them only.
    pub(crate) whole: bool,
    /// Seed of everything random.
    pub(crate) seed: u64,
}

impl Scale {
    /// Which of `of` parts the seed tells, where CI has time for one. Different `choice`s of one seed are independent.
    fn drawn(self, choice: u32, of: u64) -> u64 {
        let seed = self.seed.wrapping_add(u64::from(choice) << 32);
        fastrand::Rng::with_seed(seed).u64(0..of)
    }

    /// Whether the `number`th of `of` parts is run.
    fn is_due(self, choice: u32, number: u64, of: u64) -> bool {
        self.whole || self.drawn(choice, of) == number
    }
}

/// What the command line asks for.
pub(crate) struct Wanted {
    pub(crate) area: Option<Area>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) scale: Scale,
}

impl Area {
    /// Those that two VMs with a slow disk can share one boot for.
    const PAIR: [Area; 8] = [
        Area::Nvmet,
        Area::Probes,
        Area::Truth,
        Area::Absence,
        Area::Pools,
        Area::Ops,
        Area::Kill,
        Area::Paths,
    ];

    /// CI has time for one of them, which the seed tells.
    const HALVES: [&[Area]; 2] = [
        &[Area::Absence, Area::Pools, Area::Paths],
        &[Area::Ops, Area::Kill],
    ];

    /// Whether all areas together leave it to another seed.
    fn is_left_out(self, scale: Scale) -> bool {
        let halves = (0..).zip(Area::HALVES);
        let mut others = halves.filter(|(number, _)| !scale.is_due(3, *number, 2));
        others.any(|(_, areas)| areas.contains(&self))
    }
}

/// Runs them; an error if any failed.
pub(crate) fn run(cache: &Cache, wanted: &Wanted) -> Result<()> {
    let runs = |area: Area| match wanted.area {
        Some(only) => only == area,
        None => !area.is_left_out(wanted.scale),
    };
    let workspace = Workspace::open(cache)?;
    let full = wanted
        .scale
        .full
        .then(|| results::Source::of(workspace.root()));
    let source = full.transpose()?;
    let mut report = Report::new();
    eprintln!("weir: seed {}", wanted.scale.seed);
    for left in Area::value_variants().iter().filter(|area| !runs(**area)) {
        if wanted.area.is_none() && left.is_left_out(wanted.scale) {
            eprintln!("weir: left to other seeds: {left:?}");
        }
    }
    if runs(Area::Unit) {
        let cargo = workspace.cargo().args(["test", "--workspace", "--quiet"]);
        report.case("unit", || cargo.show());
    }
    if runs(Area::Fuzz) {
        // Every test of any crate whose name begins so; how long one goes on is in the environment.
        let seconds = if wanted.scale.full { 600 } else { 5 };
        let cargo = workspace
            .cargo()
            .args(["test", "--workspace", "--lib", "--tests", "fuzz_"])
            .env("WEIR_FUZZ_SECONDS", seconds.to_string());
        report.case(&format!("fuzz ({seconds} s each)"), || cargo.show());
    }
    if runs(Area::Native) {
        let [ios, rounds, handovers] = match wanted.scale.full {
            true => ["10000000", "10000", "500"],
            false => ["1000000", "300", "50"],
        };
        // One at a time: they share the machine's tracepoints and loop devices.
        let cargo = workspace
            .test("native_probes")
            .env("WEIR_LOSS_IOS", ios)
            .env("WEIR_HOSTILE_ROUNDS", rounds)
            .env("WEIR_HANDOVERS", handovers);
        report.case("native", || cargo.args(["--", "--test-threads=1"]).show());
    }
    if runs(Area::Truth) {
        let fio = setup::measuring(cache)?.command("usr/bin/fio");
        let mut cargo = workspace
            .test("native_truth")
            .args(["--", "--nocapture"])
            .env("WEIR_FIO", fio);
        if wanted.scale.full {
            cargo = cargo.env("WEIR_TRUTH_IOS", "20000");
        }
        report.case("truth: natively", || cargo.show());
    }
    if runs(Area::Metrics) {
        let programs = setup::prometheus(cache)?;
        let cargo = workspace
            .test("prometheus")
            .env("WEIR_PROMETHEUS", programs);
        report.case("metrics", || cargo.show());
    }
    if runs(Area::Api) {
        api::run(cache, &workspace, &mut report, wanted.scale);
    }
    if Area::PAIR
        .into_iter()
        .chain([Area::Fence, Area::Crash, Area::Power, Area::Flush])
        .any(runs)
    {
        let payload = Payload::Tests.make(cache, &workspace)?;
        setup::vms(cache, &wanted.kernels, Userland::Small)?;
        for kernel in &wanted.kernels {
            let logs = workspace.for_vms()?;
            let lab = Lab::new(cache, *kernel, Userland::Small, &payload, &logs)?;
            eprintln!("weir: kernel {kernel}, {:?}", lab.accel());
            if Area::PAIR.into_iter().any(runs) {
                on_pair(&lab, &mut report, wanted.scale, runs);
            }
            if runs(Area::Fence) {
                fence::run(&lab, &mut report, wanted.scale);
            }
            if runs(Area::Crash) {
                crash::run(&lab, &mut report, wanted.scale);
            }
            if runs(Area::Power) {
                power::run(&lab, &mut report, wanted.scale);
            }
            if runs(Area::Flush) {
                flush::run(&lab, &mut report, wanted.scale);
            }
        }
    }
    if runs(Area::Control) {
        let payload = Payload::Control.make(cache, &workspace)?;
        setup::vms(cache, &wanted.kernels, Userland::Small)?;
        for kernel in &wanted.kernels {
            let logs = workspace.for_vms()?.join("control");
            let lab = Lab::new(cache, *kernel, Userland::Small, &payload, &logs)?;
            control::run(&lab, &mut report, wanted.scale);
        }
    }
    // By name only: real hosts boot slowly, and CI has little time.
    if wanted.area == Some(Area::Host) {
        let payload = Payload::Tests.make(cache, &workspace)?;
        let logs = workspace.for_vms()?.join("host");
        let kernel = Kernel::DEFAULT;
        setup::vms(cache, &[kernel], Userland::Systemd)?;
        let lab = Lab::new(cache, kernel, Userland::Systemd, &payload, &logs)?;
        host::run(&lab, &mut report, wanted.scale);
    }
    if let (Some(area), Some(source)) = (wanted.area, &source) {
        let kernels = match area {
            Area::Host => &[Kernel::DEFAULT][..],
            Area::Api => &[],
            _ => &wanted.kernels,
        };
        let seed = wanted.scale.seed;
        results::write(workspace.root(), source, area, kernels, seed, &report)?;
    }
    report.close()
}

fn on_pair(lab: &Lab, report: &mut Report, scale: Scale, runs: impl Fn(Area) -> bool) {
    let kernel = lab.kernel;
    let Some(pair) = report.need(&format!("{kernel} boot"), || Pair::boot(lab)) else {
        return;
    };
    for program in PROGRAMS.iter().filter(|program| runs(program.area)) {
        report.case(&format!("{kernel} {}", program.name), || {
            program::run(&pair, program, scale)
        });
    }
    if runs(Area::Nvmet) {
        let name = format!("{kernel} nvmetcli: each restores what the other saved");
        report.case(&name, || nvmetcli::run(&pair));
    }
    if runs(Area::Truth) {
        truth::run(&pair, report, scale);
    }
    if runs(Area::Absence) {
        absence::run(&pair, report);
    }
    if runs(Area::Pools) {
        let agent = pair.agent();
        report.case(
            &format!("{kernel} pools: a disk with a signature is refused"),
            || pools::a_disk_with_a_signature_is_refused(&pair, &agent),
        );
        report.case(
            &format!("{kernel} pools: an existing group is taken over"),
            || pools::an_existing_group_is_taken_over_with_its_lvs(&pair, &agent),
        );
    }
    if runs(Area::Ops) {
        ops::run(&pair, report);
    }
    if runs(Area::Kill) {
        report.case(&format!("{kernel} kill"), || kill::run(&pair));
    }
    if runs(Area::Paths) {
        report.case(&format!("{kernel} paths"), || paths::run(&pair));
    }
    if runs(Area::Probes) {
        report.case(&format!("{kernel} ladder"), || ladder::run(&pair));
    }
    report.case(&format!("{kernel} clean stop"), || pair.stop());
}

/// Fails unless `actual` is what a safety promise says, naming both.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, actual: &T, wanted: &T) -> Result<()> {
    if actual == wanted {
        return Ok(());
    }
    bail!("{what} is {actual:?} instead of {wanted:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: a seed that is a time, rotated: its upper bytes are the same for months.
    #[test]
    fn seeds_that_follow_each_other_draw_every_part() {
        for choice in 0..8 {
            let drawn = (0..32).map(|seed| Scale {
                full: false,
                whole: false,
                seed: 1_795_808_819 + seed,
            });
            let drawn = drawn.map(|scale| scale.drawn(choice, 3));
            let drawn: std::collections::BTreeSet<u64> = drawn.collect();
            assert_eq!(drawn.len(), 3, "choice {choice}");
        }
    }
}
