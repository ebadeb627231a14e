//! The command line.

mod operate;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::probe::Copies;
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_api::names::NodeName;

pub use operate::{Check, Recover, RemoveProbes};

/// Weir's agent: keeps this node's volumes and their exports as asked, and measures their latency.
#[derive(Clone, Debug, Parser)]
#[command(name = "weir-agent", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Keep volumes as asked, until SIGTERM; then leave everything as it is.
    #[command(after_help = "\
Example, on a node named storage-1 with an empty disk /dev/vdb:

  mkdir -p /etc/weir/requests
  cat > /etc/weir/requests/fast.yaml <<EOF
  apiVersion: weir.dev/v1alpha1
  kind: StoragePool
  metadata: {name: fast}
  spec:
    nodeName: storage-1
    engine: {kernel: {volumeGroup: fast, devices: [/dev/vdb], thinPool: {capacityBytes: 10737418240}}}
    portals: [{address: 10.0.0.1}]
  EOF
  weir-agent run --node storage-1 --requests /etc/weir/requests

A volume in it, for node app-1 (a new generation each time it is attached):

  apiVersion: weir.dev/v1alpha1
  kind: Volume
  metadata: {name: pg-data}
  spec:
    id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90
    capacityBytes: 1073741824
    poolName: fast
    attachments: [{nodeName: app-1, generation: 1}]

Removing a file orders nothing: the object goes on as an orphan. To delete an object and its data,
set metadata.deletionTimestamp in its file. Write a file under another name (one that begins with a
dot) and rename it, so that it is never read by half.

In a cluster, or with weir-controller's own API, the same objects are applied there, and their status is told there:

  weir-controller --standalone /var/lib/weir kubeconfig agent:storage-1 > storage-1.kubeconfig
  weir-agent run --node storage-1 --kubeconfig storage-1.kubeconfig

With --pools /etc/weir/pools the agent creates the StoragePools of this node that are in that directory and not
in the API; to end one for good, take it out of there first.

An object that vanishes there is an orphan too. An API of another cluster than that which owns the node's pools
is not heeded.")]
    Run(Run),
    /// Show the objects that the agent published, for people or as JSON.
    #[command(after_help = "Example:\n\n  weir-agent status -o json | jq '.items[].status.phase'")]
    Status(Status),
    /// Print the kinds of subjects and steps whose fail points a test has to hit, one per line.
    #[command(hide = true)]
    FailPoints,
    /// End this boot in good order: exports end, disks are flushed, and the record says so.
    #[command(after_help = "\
For the end of a node's boot, after the agent itself was stopped. Hosts wait for the node to return. Without
it, a pool whose disks have a volatile write cache takes the next boot for one after a power cut, and ends its
grants to other nodes, unless spec.acceptVolatileWriteCache says otherwise.

Example:

  weir-agent shutdown")]
    Shutdown(Shutdown),
    /// Look whether this node has what Weir needs; exits with 1 if something required is missing.
    #[command(after_help = "\
Examples:

  weir-agent check
  weir-agent check --for storage --portal 10.0.0.1:4420
  weir-agent check -o json | jq '.items[] | select(.state != \"found\")'")]
    Check(Check),
    /// Make record and requests again from LVM's tags alone, while no agent runs.
    #[command(after_help = "\
What is recorded or asked for stays as it is. Volumes come back unattached, unless they are exported
still: then that export goes on. No generation that was ever granted is granted again.

Exits with 1 if something had to be left alone.

Examples:

  weir-agent recover --node storage-1 --dry-run
  weir-agent recover --node storage-1 && weir-agent run --node storage-1")]
    Recover(Recover),
    /// End all measuring on this node: programs, counters, what device mapper counts for Weir. Volumes and exports stay.
    #[command(after_help = "\
Measuring goes on while no agent runs, so that no I/O is missed. This ends it, for a node that Weir leaves, or to make
maps of another size (run's --max-volumes). No agent may be running. The next one measures again, from 0.

Example:

  weir-agent remove-probes")]
    RemoveProbes(RemoveProbes),
}

/// `weir-agent run`
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// This node's name, as pools and attachments give it.
    #[arg(long)]
    pub node: NodeName,
    /// Directory with one YAML or JSON file per object that is asked for.
    #[arg(long, value_name = "DIR", default_value = "/etc/weir/requests")]
    pub requests: PathBuf,
    /// Follow a cluster's API, with the credentials in this kubeconfig, instead of request files.
    #[arg(long, value_name = "FILE", conflicts_with = "requests")]
    pub kubeconfig: Option<PathBuf>,
    /// Show the controller that takes telemetry the ServiceAccount token in this file, with the audience weir.dev/telemetry,
    /// instead of the kubeconfig's client certificate: for clusters.
    #[arg(long, value_name = "FILE", requires = "kubeconfig")]
    pub telemetry_token: Option<PathBuf>,
    /// StoragePools of this node, in a YAML or JSON file or a directory of such: whichever the API does not have is
    /// created there, now and whenever it vanishes. One that is there stays as the API has it.
    #[arg(long, value_name = "DIR|FILE", requires = "kubeconfig")]
    pub pools: Option<PathBuf>,
    /// Directory for the durable record of what this node serves. Made if absent.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weir/record")]
    pub record: PathBuf,
    /// Directory where each object's status is published. Made if absent.
    #[arg(long, value_name = "DIR", default_value = STATUS)]
    pub status: PathBuf,
    /// Where to listen for `weir`'s orders, as root and this user alone may give them.
    #[arg(long, value_name = "PATH", default_value = weir_api::orphan::SOCKET)]
    pub socket: PathBuf,
    /// Where to serve /metrics and /healthz.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9809")]
    pub listen: SocketAddr,
    /// Where configfs is, or is to be mounted.
    #[arg(long, value_name = "DIR", default_value = "/sys/kernel/config")]
    pub configfs: PathBuf,
    /// The bpf file system, or where it is to be mounted: probes are pinned there, so that their
    /// counters survive the agent.
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf")]
    pub bpffs: PathBuf,
    /// How many volumes this node may hold.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_volumes: u32,
    /// How often the programs that see I/Os end are attached: all copies from the beginning on, so that none is missed in an interrupt,
    /// or one, which costs less, and the others once the kernel was seen to skip it.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Copies::OnDemand)]
    pub probe_copies: Copies,
    /// Seconds after which it is checked whether anything on the node changed although nothing called
    /// for it; every tenth time all of it is looked at again.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub resync: u16,
    /// LVM's tool, if it isn't where programs are.
    #[arg(long, value_name = "PATH")]
    pub lvm: Option<PathBuf>,
}

/// `weir-agent shutdown`
#[derive(Clone, Debug, Args)]
pub struct Shutdown {
    /// Directory of the durable record.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weir/record")]
    pub record: PathBuf,
    /// Where configfs is.
    #[arg(long, value_name = "DIR", default_value = "/sys/kernel/config")]
    pub configfs: PathBuf,
}

/// `weir-agent status`
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Directory where the agent publishes.
    #[arg(long, value_name = "DIR", default_value = STATUS)]
    pub status: PathBuf,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

const STATUS: &str = "/run/weir/status";

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    Table,
    /// One object: `{"items": [...]}`, each as the agent published it.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn requests_come_from_files_or_from_an_api() {
        let parse = |words: &str| Cli::try_parse_from(words.split(' '));
        assert!(parse("weir-agent run --node a --kubeconfig k").is_ok());
        assert!(parse("weir-agent run --node a --kubeconfig k --pools p").is_ok());
        assert!(parse("weir-agent run --node a --pools p").is_err());
        assert!(parse("weir-agent run --node a --requests r").is_ok());
        assert!(parse("weir-agent run --node a --requests r --kubeconfig k").is_err());
    }

    /// The examples in the help are requests that the agent accepts.
    #[test]
    fn the_help_shows_valid_requests() {
        let mut command = Cli::command();
        let run = command.find_subcommand_mut("run").unwrap();
        let help = run.render_long_help().to_string();
        let objects: Vec<&str> = help.split("apiVersion:").skip(1).collect();
        assert_eq!(objects.len(), 2);
        for object in objects {
            let end = object.find("EOF").or(object.find("\n\n")).unwrap();
            // Indented by two; the first line has lost its own.
            let text = format!("apiVersion:{}", object[..end].replace("\n  ", "\n"));
            weir_api::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        }
    }
}
