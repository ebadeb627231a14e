//! `cargo xtask`: every command a developer of Weir needs. Each does its own set-up.

mod cache;
mod command;
mod kernel;
mod progress;
mod setup;
mod vm;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cache::Cache;
use crate::kernel::{Kernel, Kernels};
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
    /// Bring everything the other commands need: packages, the eBPF toolchain, guest images
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --kernel all")]
    Setup {
        /// Guest kernels: 6.1, 6.12, 7.3 or all
        #[arg(long, default_value_t = Kernel::DEFAULT.to_string())]
        kernel: String,
    },
    /// Virtual machines
    #[command(subcommand)]
    Vm(VmCommand),
}

#[derive(Subcommand)]
enum VmCommand {
    /// A prompt inside a VM with Weir's programs and two empty disks
    #[command(after_help = "Example:\n  cargo xtask vm shell --kernel 7.3")]
    Shell {
        /// Guest kernel: 6.1, 6.12 or 7.3
        #[arg(long, default_value_t = Kernel::DEFAULT)]
        kernel: Kernel,
    },
    /// Run a shell script inside such a VM and print what it wrote
    #[command(after_help = "Example:\n  cargo xtask vm run 'uname -r; lsblk'")]
    Run {
        /// Guest kernel: 6.1, 6.12 or 7.3
        #[arg(long, default_value_t = Kernel::DEFAULT)]
        kernel: Kernel,
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
            setup::vms(&cache, &kernel.parse::<Kernels>()?.list())?;
            progress::say("everything is here");
            Ok(())
        }
        Command::Vm(VmCommand::Shell { kernel }) => vm::shell::interactive(&lab(&cache, kernel)?),
        Command::Vm(VmCommand::Run { kernel, script }) => {
            vm::shell::script(&lab(&cache, kernel)?, &script)
        }
    }
}

/// A lab for VMs of one kernel, with the programs of this clone on its payload disk.
fn lab(cache: &Cache, kernel: Kernel) -> Result<vm::machine::Lab> {
    let workspace = Workspace::open(cache)?;
    setup::vms(cache, &[kernel])?;
    let dir = workspace.target().join("vm");
    std::fs::create_dir_all(&dir)?;
    let payload = dir.join("payload.ext4");
    vm::payload::make(&workspace.programs()?, &payload)?;
    vm::machine::Lab::new(cache, kernel, &payload, &dir)
}
