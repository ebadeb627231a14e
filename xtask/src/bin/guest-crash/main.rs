//! The crash test, run inside a guest: an agent that is ended again and again, and what must be true
//! of its node whenever it is.
//!
//! Everything happens in this one program, next to the agent: in an emulated guest each command from
//! outside costs more than the agent's own work.

mod agent;
mod check;
mod data;
#[path = "../../inside.rs"]
mod inside;
mod life;
mod node;
mod random;
mod wishes;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use agent::Agent;
use inside::{run, say};
use life::Life;
use random::Random;
use wishes::{Pool, Wishes};

/// Ends a weir-agent again and again, and checks its node.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The life of a pool and its volumes; the agent ends itself once at each of its fail points
    Points {
        #[command(flatten)]
        node: NodeArguments,
        /// How often to live: each life meets fail points that those before it did not
        #[arg(long, default_value_t = 1)]
        lives: u32,
        /// The part of the fail points to end at
        #[arg(long, value_name = "K/N", default_value = "0/1")]
        part: String,
    },
    /// Random orders, and kills at random moments
    Random {
        #[command(flatten)]
        node: NodeArguments,
        #[arg(long)]
        seed: u64,
        /// How often the agent is killed
        #[arg(long)]
        kills: u32,
    },
}

/// The node to use. Its whole target and the device are the test's.
#[derive(Args)]
struct NodeArguments {
    /// The disk to make the pool from; what it holds is lost
    #[arg(long)]
    device: PathBuf,
    /// An address of this machine to export at
    #[arg(long)]
    address: String,
    /// Where everything but the pool is kept; emptied
    #[arg(long, default_value = "/var/lib/weir-crash")]
    dir: PathBuf,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Points { node, lives, part } => node
            .open()
            .and_then(|(agent, wishes)| Life::new(agent, wishes, part).live(lives)),
        Command::Random { node, seed, kills } => node
            .open()
            .and_then(|(agent, wishes)| Random::new(agent, wishes, seed).run(kills)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl NodeArguments {
    fn open(&self) -> Result<(Agent, Wishes)> {
        // Another run's record would tell of volumes that are not there.
        let _ = std::fs::remove_dir_all(&self.dir);
        let agent = Agent::new(&self.dir)?;
        let pool = Pool::new(&self.device, &self.address);
        let wishes = Wishes::new(&agent.requests, pool);
        Ok((agent, wishes))
    }
}
