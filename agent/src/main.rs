//! The agent's program: parse the command line, and go.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;
use weir_agent::args::{Cli, Command, Format, Run, Status};
use weir_agent::{run, status};

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(args) => agent(&args),
        Command::Status(args) => show(&args),
    }
}

fn agent(args: &Run) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let channel = run::channel();
    run::stop_on_signals(channel.0.clone()).context("cannot wait for signals")?;
    // Probes and /metrics plug in here.
    let gauges = Arc::default();
    run::run(args, Box::new(()), gauges, channel).context("cannot make a directory")
}

fn show(args: &Status) -> anyhow::Result<()> {
    let published = status::Published::read(&args.status)
        .with_context(|| format!("cannot read `{}`", args.status.display()))?;
    let text = match args.output {
        Format::Table => published.table(),
        Format::Json => format!("{:#}\n", published.json()),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print")
}
