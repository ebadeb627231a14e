//! `weir`: helpers for people who run Weir. It talks to the agent of the node it runs on.
#![forbid(unsafe_code)]

mod orphans;
mod socket;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Helpers for people who run Weir.
#[derive(Debug, Parser)]
#[command(name = "weir", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What is on this node and nobody asks for: list it, adopt it, or destroy it
    Orphans(orphans::Arguments),
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One object, for a program
    Json,
}

fn main() -> ExitCode {
    let Command::Orphans(arguments) = Cli::parse().command;
    match orphans::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
