//! `nvmet`: the kernel's NVMe-oF target and host side, for people and scripts.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use nvmet::{ConnectOptions, Host, LossTimeout, Nqn, Seconds, Transport};
use serde_json::json;
use uuid::Uuid;

mod created;
mod edit;
mod show;

const EXAMPLES: &str = "\
Examples:
  nvmet ls                                  the target's subsystems and ports, as a tree
  nvmet -o json ls | jq .subsystems         the same for programs
  nvmet export target.json                  save it, as `nvmetcli save` does; keys are in it
  nvmet plan target.json                    what `apply` would do, step by step
  nvmet apply target.json                   bring the target to what the file says, and nothing else
  nvmet clear                               remove everything, links first
  nvmet connect -a 10.0.0.1 -n nqn.2026-11.com.example:disk -q nqn.2026-11.com.example:host:a \\
      --namespace 6fa459ea-ee8a-3ca4-894e-db77e160355e
                                            connect, wait for the disk, print /dev/nvme0n1
  nvmet list                                what this machine is connected to
  nvmet disconnect nqn.2026-11.com.example:disk";

/// The Linux kernel's NVMe-oF target (configfs) and host side (/dev/nvme-fabrics).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Where the target's configfs is.
    #[arg(long, global = true, default_value = nvmet::configfs::DEFAULT_ROOT)]
    root: PathBuf,
    /// Where sysfs is.
    #[arg(long, global = true, default_value = "/sys")]
    sysfs: PathBuf,
    /// Where device nodes are.
    #[arg(long, global = true, default_value = "/dev")]
    dev: PathBuf,
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Show the target: subsystems, hosts, namespaces, ports.
    Ls,
    /// Print the target in nvmetcli's format, or save it (readable by its owner alone: keys are in it).
    #[command(after_help = "Examples:\n  nvmet export\n  nvmet export /etc/nvmet/config.json")]
    Export {
        /// Where to; standard output if not given.
        file: Option<PathBuf>,
    },
    /// Show what `apply` would do, as a shell would do it.
    #[command(
        after_help = "Examples:\n  nvmet plan target.json\n  nvmet -o json plan target.json | jq -r '.steps[]'"
    )]
    Plan {
        /// What is wanted: what `nvmet export`, `nvmetcli save` or `nvmet -o json ls` wrote; `-` for stdin.
        file: PathBuf,
        #[command(flatten)]
        consent: edit::Consent,
    },
    /// Bring the target to what a file says, with the fewest changes; what it doesn't say is removed.
    ///
    /// Attributes that the file doesn't mention stay as they are. Asks before it removes what it
    /// didn't make. Ports in use keep their address and parameters unless --interrupt is given.
    #[command(
        after_help = "Examples:\n  nvmet apply /etc/nvmet/config.json\n  nvmet apply --yes - < target.json\n  nvmet apply --interrupt moved-port.json"
    )]
    Apply {
        /// What is wanted: what `nvmet export`, `nvmetcli save` or `nvmet -o json ls` wrote; `-` for stdin.
        file: PathBuf,
        #[command(flatten)]
        consent: edit::Consent,
    },
    /// Remove everything from the target, links first; asks before it removes what it didn't make.
    #[command(after_help = "Examples:\n  nvmet clear\n  nvmet clear --yes")]
    Clear {
        #[command(flatten)]
        consent: edit::Consent,
    },
    /// Connect to a subsystem; does nothing if this connection is there already.
    Connect(Box<Connect>),
    /// Disconnect every controller of a subsystem; does nothing if there is none.
    Disconnect {
        /// The subsystem.
        nqn: Nqn,
    },
    /// List the controllers of this machine and their disks.
    List,
}

#[derive(Args)]
struct Connect {
    /// The target's address.
    #[arg(short, long)]
    address: IpAddr,
    /// The target's TCP port.
    #[arg(short, long, default_value_t = 4420)]
    service: u16,
    /// The subsystem.
    #[arg(short, long)]
    nqn: Nqn,
    /// Who this machine is to the target.
    #[arg(short = 'q', long)]
    host_nqn: Nqn,
    /// The host's id [default: a UUIDv5 of the host's NQN].
    #[arg(short = 'I', long)]
    host_id: Option<Uuid>,
    /// Wait for the namespace with this UUID and print its device; may be given several times.
    #[arg(long, value_name = "UUID")]
    namespace: Vec<Uuid>,
    /// Seconds to wait for namespaces.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u32,
    /// Seconds after which a lost controller is given up; `forever` never gives up.
    #[arg(long, value_name = "SECONDS", value_parser = loss_timeout)]
    ctrl_loss_tmo: Option<LossTimeout>,
    /// Seconds between two attempts to reconnect.
    #[arg(long, value_name = "SECONDS")]
    reconnect_delay: Option<u32>,
    /// Seconds without a connection after which I/O fails instead of waiting.
    #[arg(long, value_name = "SECONDS")]
    fast_io_fail_tmo: Option<u32>,
    /// Seconds between keep-alives.
    #[arg(long, value_name = "SECONDS")]
    keep_alive_tmo: Option<u32>,
    /// I/O queues, at most.
    #[arg(long)]
    nr_io_queues: Option<u32>,
    /// Commands in each queue.
    #[arg(long)]
    queue_size: Option<u32>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain on one line: each link says what the ones before it don't.
            let _ = writeln!(io::stderr(), "nvmet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let host = Host::at(&cli.sysfs, &cli.dev);
    let (text, json) = match &cli.command {
        Command::Ls => {
            let target = nvmet::read(&cli.root)?.without_secrets();
            (show::target(&target), serde_json::to_value(&target)?)
        }
        Command::Export { file } => edit::export(&cli.root, file.as_deref())?,
        Command::Plan { file, consent } => {
            edit::show_plan(&cli.root, edit::read_file(file)?, consent)?
        }
        Command::Apply { file, consent } => {
            edit::apply(&cli.root, edit::read_file(file)?, consent)?
        }
        Command::Clear { consent } => edit::apply(&cli.root, edit::nothing(&cli.root)?, consent)?,
        Command::Connect(connect) => connect_and_wait(&host, connect)?,
        Command::Disconnect { nqn } => {
            let outcome = host.disconnect(nqn)?;
            let text = if outcome.is_changed() {
                format!("{nqn} disconnected\n")
            } else {
                format!("{nqn} was not connected\n")
            };
            (text, json!({ "outcome": outcome }))
        }
        Command::List => {
            let controllers = host.list()?;
            (
                show::controllers(&controllers),
                serde_json::to_value(&controllers)?,
            )
        }
    };
    let mut stdout = io::stdout().lock();
    match cli.output {
        Output::Text => stdout.write_all(text.as_bytes()),
        Output::Json => writeln!(stdout, "{json:#}"),
    }
    .and_then(|()| stdout.flush())
    .context("cannot write to stdout")
}

fn connect_and_wait(host: &Host, connect: &Connect) -> anyhow::Result<(String, serde_json::Value)> {
    let connected = host.connect(&connect.options())?;
    let deadline = Instant::now() + Duration::from_secs(connect.timeout.into());
    let devices = connect
        .namespace
        .iter()
        .map(|uuid| host.wait_for_namespace(*uuid, deadline));
    let devices = devices.collect::<Result<Vec<PathBuf>, _>>()?;
    let text = if devices.is_empty() {
        format!("{}\n", connected.controller)
    } else {
        devices
            .iter()
            .map(|device| format!("{}\n", device.display()))
            .collect()
    };
    let mut json = serde_json::to_value(&connected)?;
    json["devices"] = serde_json::to_value(&devices)?;
    Ok((text, json))
}

impl Connect {
    fn options(&self) -> ConnectOptions {
        ConnectOptions {
            transport: Transport::Tcp,
            address: self.address,
            service: self.service,
            subsystem: self.nqn.clone(),
            host: self.host_nqn.clone(),
            host_id: self
                .host_id
                .unwrap_or_else(|| nvmet::host_id(&self.host_nqn)),
            ctrl_loss_tmo: self.ctrl_loss_tmo,
            reconnect_delay: self.reconnect_delay.map(Seconds),
            fast_io_fail_tmo: self.fast_io_fail_tmo.map(Seconds),
            keep_alive_tmo: self.keep_alive_tmo.map(Seconds),
            nr_io_queues: self.nr_io_queues,
            queue_size: self.queue_size,
        }
    }
}

fn loss_timeout(text: &str) -> Result<LossTimeout, std::num::ParseIntError> {
    if text == "forever" {
        return Ok(LossTimeout::Forever);
    }
    text.parse()
        .map(|seconds| LossTimeout::After(Seconds(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_connect_option_reaches_the_kernel() {
        let id = Uuid::from_u128(7).to_string();
        let cli = Cli::try_parse_from([
            "nvmet",
            "connect",
            "-a",
            "::1",
            "-s",
            "4421",
            "-n",
            "nqn.s",
            "-q",
            "nqn.h",
            "-I",
            &id,
            "--ctrl-loss-tmo",
            "forever",
            "--reconnect-delay",
            "1",
            "--fast-io-fail-tmo",
            "2",
            "--keep-alive-tmo",
            "3",
            "--nr-io-queues",
            "4",
            "--queue-size",
            "5",
        ]);
        let Command::Connect(connect) = cli.unwrap_or_else(|error| panic!("{error}")).command
        else {
            panic!("not a connect");
        };
        assert_eq!(
            connect.options().to_option_string(),
            format!(
                "nqn=nqn.s,transport=tcp,traddr=::1,trsvcid=4421,hostnqn=nqn.h,hostid={id},\
                 ctrl_loss_tmo=-1,reconnect_delay=1,fast_io_fail_tmo=2,keep_alive_tmo=3,\
                 nr_io_queues=4,queue_size=5"
            )
        );
    }
}
