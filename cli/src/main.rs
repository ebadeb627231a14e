//! `weir`: helpers for people who run Weir. It talks to the API, and about orphans to the agent of the node it runs
//! on.
//!
//! What it tells is a function of the objects that it read ([`status`], [`explain`], [`cordon`], [`drain`], on top of
//! [`pool_state`] and [`volume_state`]); around that it only reads, prints, and sets one field.
#![forbid(unsafe_code)]

mod attachment_state;
mod cluster;
mod completion;
mod concern;
mod condition_words;
mod connect;
mod cordon;
mod drain;
mod elapsed;
mod explain;
mod fetch;
mod lease;
mod man;
mod node_facts;
mod orphans;
mod output;
mod pool_state;
mod remedy;
#[cfg(test)]
mod samples;
mod socket;
mod status;
mod table;
mod target;
mod tombstone_state;
mod volume_state;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};

use cordon::plan::Cordon;

/// Helpers for people who run Weir.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    after_help = "\
Examples:
  weir status                          # all of it on one screen
  weir explain volume pg-data          # what it waits for
  weir cordon node storage-1           # no new volumes there
  weir orphans ls                      # on a storage node: what nobody asks for

Each command's --help has its own. A link to this program named kubectl-weir, in the PATH, makes it `kubectl weir`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything on one screen: controller, agents, pools, volumes, what is wrong and what to do next
    #[command(after_help = "\
Examples:
  weir status
  weir status --kubeconfig /var/lib/weir/admin.kubeconfig
  weir status -o json | jq '.wrong[] | {kind, reason, names, next}'

It looks once. How long ago somebody was heard is by this machine's clock.")]
    Status(status::Arguments),
    /// What something waits for, and what to do next
    #[command(after_help = "Example:\n  weir explain volume pg-data")]
    Explain(explain::Arguments),
    /// Put no new volumes into a pool, or into any pool of a node; those that are there stay
    #[command(after_help = "\
Examples:
  weir cordon pool storage-1-fast
  weir cordon node storage-1

It sets spec.unschedulable of the pools; a pool that is made later on that node is not cordoned.")]
    Cordon(cordon::Arguments),
    /// Let new volumes into a pool again, or into all pools of a node
    #[command(after_help = "\
Examples:
  weir uncordon pool storage-1-fast
  weir uncordon node storage-1

A node that `kubectl cordon` closed stays closed until `kubectl uncordon`.")]
    Uncordon(cordon::Arguments),
    /// Cordon a pool or a node, and list the volumes that are still there
    #[command(after_help = "\
Examples:
  weir drain node storage-1
  weir drain pool storage-1-fast -o json | jq -r '.volumes[].name'
  until weir drain node storage-1 >/dev/null; do sleep 60; done

This version can't move volumes: VolumeMigration answers NotImplemented. So a drain is a cordon and a list of what
is still there, with what has to be done with each volume. It moves nothing and deletes nothing, ever: data goes only
by an order of yours that names it (kubectl delete wvol NAME).

Exit code: 0 when nothing is there any more, 3 while something is, 1 when that could not be found out. A volume that
was placed at the very moment of the cordon may be seen by the next run only.")]
    Drain(cordon::Arguments),
    /// What nobody asks for, on this node or over the API in all pools: list it, adopt it, or destroy it
    #[command(after_help = "\
Examples:
  weir orphans ls                  # of this node's agent; where none listens, of all pools, over the API
  weir orphans ls --api
  weir orphans adopt --all --api")]
    Orphans(orphans::Arguments),
    /// Whose this node's pools are, and making them another cluster's after theirs was lost
    #[command(after_help = "Example:\n  weir cluster show")]
    Cluster(cluster::Arguments),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  weir completion bash > /etc/bash_completion.d/weir
  weir completion zsh > ~/.zfunc/_weir")]
    Completion(completion::Arguments),
    /// Print the manual page, or write those of all commands
    #[command(after_help = "\
Examples:
  weir man | man -l -
  weir man /usr/local/share/man/man1")]
    Man(man::Arguments),
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    let done = match command {
        Command::Status(arguments) => wait_for(status::run(arguments))?,
        Command::Explain(arguments) => wait_for(explain::run(arguments))?,
        Command::Cordon(arguments) => wait_for(cordon::run(arguments, Cordon::On))?,
        Command::Uncordon(arguments) => wait_for(cordon::run(arguments, Cordon::Off))?,
        Command::Drain(arguments) => return wait_for(drain::run(arguments))?,
        Command::Orphans(arguments) if arguments.is_over_api() => {
            wait_for(orphans::run_over_api(arguments))?
        }
        Command::Orphans(arguments) => orphans::run(arguments),
        Command::Cluster(arguments) => cluster::run(arguments),
        Command::Completion(arguments) => completion::run(arguments, Cli::command()),
        Command::Man(arguments) => man::run(arguments, Cli::command()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command's requests, one after the other.
fn wait_for<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn look(command: &clap::Command) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("Example"), "{}", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }

    #[test]
    fn a_pool_or_a_node_is_named() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for good in [
            "weir cordon pool a",
            "weir uncordon node a.b",
            "weir drain node a -o json",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "weir cordon a",
            "weir drain pool",
            "weir cordon volume a",
            "weir explain volume A_B",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
