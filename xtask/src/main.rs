//! `cargo xtask`: every command a developer of Weir needs. Each does its own set-up.

mod bench;
mod cache;
mod codegen;
mod command;
mod demo;
mod exposition;
mod kernel;
mod lint;
#[expect(dead_code, reason = "the program in the guest writes, this one reads")]
mod ordered;
mod progress;
mod scene;
mod session;
mod setup;
mod sim;
mod test;
mod vm;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::cache::Cache;
use crate::kernel::{Kernel, Kernels};
use crate::setup::guest::Userland;
use crate::test::payload::Payload;
use crate::vm::machine::Lab;
use crate::workspace::Workspace;

/// Weir's developer commands. Each brings what it needs by itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring everything the other commands need: packages, the eBPF toolchain, Prometheus, kubectl, guest images
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --kernel all")]
    Setup {
        /// Guest kernels: 6.1, 6.12, 7.3 or all
        #[arg(long, default_value_t = Kernel::DEFAULT.to_string())]
        kernel: String,
    },
    /// Build weir-agent, its probes embedded, weir-controller, weir and nvmet, optimised
    Build,
    /// Show the main job in three VMs: volumes, exports, and where each I/O's time went
    #[command(after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo -o json > demo.json")]
    Demo {
        /// Guest kernel: 6.1, 6.12 or 7.3
        #[arg(long, default_value_t = Kernel::DEFAULT)]
        kernel: Kernel,
        /// What goes to standard output
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Run the tests: those that CI has time for, or one area whole
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test truth --kernel 6.1\n  \
                            cargo xtask test power --full"
    )]
    Test {
        /// Only this area
        area: Option<test::Area>,
        /// Full counts on every kernel; the closing lines go into RESULTS.md
        #[arg(long, requires = "area")]
        full: bool,
        /// Guest kernels: 6.1, 6.12, 7.3 or all [default: 6.12; with --full all]
        #[arg(long)]
        kernel: Option<Kernels>,
        /// Seed of everything random [default: the time]
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Measure, mostly in a VM: figures, what they are compared with, and their aims
    #[command(
        after_help = "Examples:\n  cargo xtask bench nvmet\n  cargo xtask bench nvmet -o json > figures.json"
    )]
    Bench {
        /// What to measure
        bench: bench::Bench,
        /// How many volumes are in the API; only for `api`
        #[arg(long, default_value_t = 100_000)]
        volumes: u32,
        /// A thousand agents instead of a hundred; only for `control`
        #[arg(long)]
        full: bool,
        /// Guest kernel: 6.1, 6.12 or 7.3
        #[arg(long, default_value_t = Kernel::DEFAULT)]
        kernel: Kernel,
        /// What goes to standard output
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Simulate clusters: the controller's placement beside others, over twenty seeds
    #[command(
        after_help = "Examples:\n  cargo xtask sim\n  cargo xtask sim --seed-base 100 --scenario burst\n  \
                            cargo xtask sim -o json > figures.json"
    )]
    Sim {
        /// The first of the seeds
        #[arg(long, default_value_t = 1)]
        seed_base: u64,
        /// How many seeds there are, one after the other
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
        /// Only this scenario: default, equal, noinfo, burst, large, churn or dark
        #[arg(long)]
        scenario: Option<String>,
        /// Where plots go [default: sim in the target directory]
        #[arg(long)]
        plots: Option<PathBuf>,
        /// What goes to standard output
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// clippy without a warning, generated files up to date, and the rules no compiler knows
    Lint,
    /// Write the files that are made from code: the definitions of Weir's objects in deploy/crds
    #[command(after_help = "Examples:\n  cargo xtask codegen\n  cargo xtask codegen --check")]
    Codegen {
        /// Change nothing: fail if a file is not what the code makes
        #[arg(long)]
        check: bool,
    },
    /// Write docs/standalone.md: a session with kubectl, as it really goes
    #[command(after_help = "Examples:\n  cargo xtask session\n  cargo xtask session --check")]
    Session {
        /// Change nothing: fail if the page is not what happens now
        #[arg(long)]
        check: bool,
    },
    /// Virtual machines
    #[command(subcommand)]
    Vm(VmCommand),
}

/// Formats of a result.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For a person
    Text,
    /// One object, for a program
    Json,
}

#[derive(Subcommand)]
enum VmCommand {
    /// A prompt inside a VM with Weir's programs and two empty disks
    #[command(after_help = "Example:\n  cargo xtask vm shell --kernel 7.3")]
    Shell {
        /// Guest kernel: 6.1, 6.12 or 7.3
        #[arg(long, default_value_t = Kernel::DEFAULT)]
        kernel: Kernel,
        /// With systemd and udev, as users' hosts have them
        #[arg(long)]
        systemd: bool,
    },
    /// Run a shell script inside such a VM and print what it wrote
    #[command(after_help = "Examples:\n  cargo xtask vm run 'uname -r; lsblk'\n  \
                      cargo xtask vm run --tests 'modprobe dm-mod && vm_probes stages'")]
    Run {
        /// Guest kernel: 6.1, 6.12 or 7.3
        #[arg(long, default_value_t = Kernel::DEFAULT)]
        kernel: Kernel,
        /// With systemd and udev, as users' hosts have them
        #[arg(long)]
        systemd: bool,
        /// With the test programs that run in VMs: vm_nvmet, vm_target, vm_probes
        #[arg(long)]
        tests: bool,
        /// The script
        script: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let cache = Cache::open()?;
    match command {
        Command::Setup { kernel } => {
            setup::bpf_tools(&cache)?;
            setup::prometheus(&cache)?;
            setup::kubectl(&cache)?;
            setup::vms(&cache, &kernel.parse::<Kernels>()?.list(), Userland::Small)?;
            progress::say("everything is here");
            Ok(())
        }
        Command::Build => {
            let workspace = Workspace::open(&cache)?;
            let packages = [
                "weir-agent",
                "weir-controller",
                "weir-cli",
                "weir-csi",
                "nvmet",
            ];
            let packages = packages.map(|name| format!("-p{name}"));
            workspace
                .cargo()
                .args(["build", "--release"])
                .args(packages)
                .show()?;
            let release = workspace.target().join("release");
            progress::say(format!(
                "built {0}/weir-agent, {0}/weir-controller, {0}/weir, {0}/weir-csi and {0}/nvmet",
                release.display()
            ));
            Ok(())
        }
        Command::Demo { kernel, output } => {
            let lab = lab(&cache, kernel, Userland::Small, Payload::Control)?;
            demo::run(&lab, output == Output::Json)
        }
        Command::Test {
            area,
            full,
            kernel,
            seed,
        } => {
            let default = if full {
                Kernels::All
            } else {
                Kernels::One(Kernel::DEFAULT)
            };
            let kernels = kernel.unwrap_or(default).list();
            let seed = seed.unwrap_or_else(|| {
                let now = std::time::UNIX_EPOCH.elapsed();
                now.map_or(0, |now| now.as_secs())
            });
            let scale = test::Scale {
                full,
                whole: area.is_some(),
                seed,
            };
            test::run(
                &cache,
                &test::Wanted {
                    area,
                    kernels,
                    scale,
                },
            )
        }
        Command::Bench {
            bench,
            volumes,
            full,
            kernel,
            output,
        } => bench::run(&cache, bench, bench::Size { volumes, full }, kernel, output),
        Command::Sim {
            seed_base,
            seeds,
            scenario,
            plots,
            output,
        } => {
            let wanted = sim::Wanted {
                seed_base,
                seeds,
                scenario,
                plots,
            };
            sim::run(&wanted, output)
        }
        Command::Lint => lint::run(&Workspace::open(&cache)?),
        Command::Session { check } => {
            let workspace = Workspace::open(&cache)?;
            let controller = workspace.controller()?;
            let kubectl = setup::kubectl(&cache)?;
            let newest = kubectl.first().context("no kubectl is set up")?;
            match check {
                true => session::check(workspace.root(), &controller, newest),
                false => session::write(workspace.root(), &controller, newest),
            }
        }
        Command::Codegen { check: true } => codegen::check(&workspace::root()?),
        Command::Codegen { check: false } => codegen::write(&workspace::root()?),
        Command::Vm(VmCommand::Shell { kernel, systemd }) => {
            vm::shell::interactive(&lab(&cache, kernel, userland(systemd), Payload::Programs)?)
        }
        Command::Vm(VmCommand::Run {
            kernel,
            systemd,
            tests,
            script,
        }) => {
            let payload = if tests {
                Payload::Tests
            } else {
                Payload::Programs
            };
            let lab = lab(&cache, kernel, userland(systemd), payload)?;
            vm::shell::script(&lab, &script)
        }
    }
}

fn userland(systemd: bool) -> Userland {
    if systemd {
        Userland::Systemd
    } else {
        Userland::Small
    }
}

/// A lab for VMs of one kernel, with programs of this clone on its payload disk.
fn lab(cache: &Cache, kernel: Kernel, userland: Userland, payload: Payload) -> Result<Lab> {
    let workspace = Workspace::open(cache)?;
    let payload = payload.make(cache, &workspace)?;
    setup::vms(cache, &[kernel], userland)?;
    Lab::new(cache, kernel, userland, &payload, &workspace.for_vms()?)
}
