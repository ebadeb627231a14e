//! `cargo xtask bench NAME`: figures with their aims, measured in VMs unless they say otherwise.

mod agent;
pub(crate) mod api;
mod control;
mod csi;
mod nvmet;
mod placement;
mod probes;
mod scrape;

use std::borrow::Cow;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::Output;
use crate::cache::Cache;
use crate::kernel::Kernel;
use crate::setup::guest::Userland;
use crate::vm::machine::Lab;
use crate::workspace::Workspace;
use crate::{setup, vm};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// A thousand subsystems: `nvmet apply` against `nvmetcli restore`
    Nvmet,
    /// An idle agent with a thousand volumes: memory, CPU time, BPF maps
    Agent,
    /// The standalone API with many volumes, a thousand watches and a thousand updates a second; on this machine
    Api,
    /// From a Volume to Ready beside the same by hand; what the controller costs and places with many simulated agents: a
    /// hundred on this machine, with --full a thousand
    Control,
    /// What kubelet and the sidecars ask of the CSI plugin, beside the same by hand
    Csi,
    /// A placement among ten thousand pools; on this machine
    Placement,
    /// A scrape of a thousand volumes: time and size; on this machine
    Scrape,
    /// The eBPF programs on this machine's kernel: time for each I/O beside biolatency's, I/Os for each second with them
    /// and without
    Probes,
}

/// How large what is measured is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// How many volumes are in the API of [`Bench::Api`].
    pub(crate) volumes: u32,
    /// All of the cluster of [`Bench::Control`], instead of a tenth.
    pub(crate) full: bool,
}

/// What a bench printed: one object on standard output.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) figures: Vec<Figure>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: Cow<'static, str>,
    value: f64,
    /// Such as `s`, `MiB`, `percent`, `x`.
    unit: &'static str,
    /// What it is compared with, in the same unit unless its name says another.
    baseline: Option<Baseline>,
    /// What was wanted, as in `>= 20`.
    aim: Option<String>,
    /// Whether the aim was reached; `null` without an aim.
    met: Option<bool>,
}

/// What a figure is compared with.
#[derive(Debug, Serialize)]
pub(crate) struct Baseline {
    name: &'static str,
    value: f64,
}

impl Figure {
    /// A figure without an aim.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, value: f64, unit: &'static str) -> Self {
        Figure {
            name: name.into(),
            value,
            unit,
            baseline: None,
            aim: None,
            met: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// Says what it is compared with.
    #[must_use]
    pub(crate) fn against(mut self, name: &'static str, value: f64) -> Self {
        self.baseline = Some(Baseline { name, value });
        self
    }

    /// Wants it to be at least this.
    #[must_use]
    pub(crate) fn at_least(mut self, aim: f64) -> Self {
        self.aim = Some(format!(">= {aim}"));
        self.met = Some(self.value >= aim);
        self
    }

    /// Wants it to be at most this.
    #[must_use]
    pub(crate) fn at_most(mut self, aim: f64) -> Self {
        self.aim = Some(format!("<= {aim}"));
        self.met = Some(self.value <= aim);
        self
    }

    fn line(&self) -> String {
        let against = self.baseline.as_ref().map_or(String::new(), |baseline| {
            format!(", against {} {}", baseline.name, number(baseline.value))
        });
        let aim = match (&self.aim, self.met) {
            (Some(aim), Some(true)) => format!(", aim {aim}: met"),
            (Some(aim), _) => format!(", aim {aim}: MISSED"),
            (None, _) => String::new(),
        };
        let value = number(self.value);
        format!("{:<32} {value} {}{against}{aim}", self.name, self.unit)
    }
}

/// Four digits that mean something are all that any of this is good for.
fn number(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 1.0 {
        2
    } else {
        4
    };
    format!("{value:.digits$}")
}

impl Bench {
    /// The programs, each with its package, that are in its VMs, optimised.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Bench::Nvmet => &[("nvmet", "nvmet")],
            Bench::Agent => &[("weir-agent", "weir-agent"), ("xtask", "guest-bench")],
            Bench::Api
            | Bench::Control
            | Bench::Csi
            | Bench::Placement
            | Bench::Scrape
            | Bench::Probes => &[],
        }
    }
}

/// Measures, prints the figures; a missed aim is a figure, not an error.
pub(crate) fn run(
    cache: &Cache,
    bench: Bench,
    size: Size,
    kernel: Kernel,
    output: Output,
) -> Result<()> {
    let name = bench
        .to_possible_value()
        .map_or(String::new(), |value| value.get_name().to_owned());
    // What needs neither the probes nor anything else that opening the workspace makes.
    if bench == Bench::Placement {
        let figures = placement::run()?;
        return print(&Measured { name, figures }, output);
    }
    let workspace = Workspace::open(cache)?;
    let figures = match bench {
        Bench::Placement => Vec::new(),
        Bench::Nvmet => nvmet::run(&lab(cache, &workspace, bench, kernel)?.0)?,
        Bench::Agent => {
            let (lab, programs) = lab(cache, &workspace, bench, kernel)?;
            agent::run(&lab, &programs)?
        }
        Bench::Api => api::run(&workspace, size.volumes)?,
        Bench::Control => control::run(cache, &workspace, kernel, size.full)?,
        Bench::Csi => csi::run(cache, &workspace, kernel)?,
        Bench::Scrape => scrape::run(&workspace)?,
        Bench::Probes => probes::run(cache, &workspace)?,
    };
    print(&Measured { name, figures }, output)
}

/// A lab for VMs with a bench's programs, and where these are.
fn lab(
    cache: &Cache,
    workspace: &Workspace,
    bench: Bench,
    kernel: Kernel,
) -> Result<(Lab, Vec<PathBuf>)> {
    setup::vms(cache, &[kernel], Userland::Small)?;
    let dir = workspace.for_vms()?;
    let payload = dir.join("bench.ext4");
    let programs = workspace.optimised(bench.programs())?;
    vm::payload::make(&programs, &workspace.deploy(), &payload)?;
    let lab = Lab::new(cache, kernel, Userland::Small, &payload, &dir)?;
    Ok((lab, programs))
}

/// The middle one.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[expect(
    clippy::print_stdout,
    reason = "a bench's result is its standard output"
)]
pub(crate) fn print(measured: &Measured, output: Output) -> Result<()> {
    match output {
        Output::Text => measured
            .figures
            .iter()
            .for_each(|figure| println!("{}", figure.line())),
        Output::Json => println!("{}", serde_json::to_string(measured)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_or_missed_and_said_so() {
        let faster = |value| Figure::new("speedup", value, "x").at_least(20.0);
        assert_eq!(faster(20.0).met, Some(true));
        assert_eq!(faster(19.9).met, Some(false));
        assert!(faster(19.9).line().ends_with("aim >= 20: MISSED"));
        let smaller = Figure::new("rss", 31.0, "MiB").at_most(30.0);
        assert_eq!(smaller.met, Some(false));
    }

    #[test]
    fn the_median_is_the_middle_one() {
        let median = median(vec![5.0, 1.0, 100.0, 2.0, 3.0]);
        assert!((median - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_figure_is_an_object_with_its_baseline_and_aim() {
        let figure = Figure::new("speedup", 25.0, "x").against("nvmetcli_seconds", 50.0);
        let json = serde_json::to_value(figure).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"name": "speedup", "value": 25.0, "unit": "x",
                "baseline": {"name": "nvmetcli_seconds", "value": 50.0}, "aim": null, "met": null})
        );
    }
}
