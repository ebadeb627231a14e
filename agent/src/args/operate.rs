//! Command lines of what an operator runs by hand.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use weir_api::names::NodeName;

use super::Format;
use crate::check::Role;

/// `weir-agent check`
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// What the node is used for; given once for each.
    #[arg(long = "for", value_name = "ROLE", value_enum, default_values_t = [Role::Storage, Role::Consumer])]
    pub roles: Vec<Role>,
    /// An address that exports are to listen on; given once for each.
    #[arg(long = "portal", value_name = "ADDR:PORT")]
    pub portals: Vec<SocketAddr>,
    /// Directory with requests: the portals of its pools are looked at too.
    #[arg(long, value_name = "DIR", default_value = "/etc/weir/requests")]
    pub requests: PathBuf,
    /// Only pools of this node.
    #[arg(long)]
    pub node: Option<NodeName>,
    /// Another directory to look below: the host's root, seen from a container.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// LVM's tool, if it isn't where programs are.
    #[arg(long, value_name = "PATH")]
    pub lvm: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// `weir-agent remove-probes`
#[derive(Clone, Debug, Args)]
pub struct RemoveProbes {
    /// The bpf file system.
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf")]
    pub bpffs: PathBuf,
    /// Directory of the durable record: whoever holds it is a running agent.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weir/record")]
    pub record: PathBuf,
}

/// `weir-agent recover`
#[derive(Clone, Debug, Args)]
pub struct Recover {
    /// This node's name, as pools and attachments gave it.
    #[arg(long)]
    pub node: NodeName,
    /// Directory for requests. Made if absent; what is there stays.
    #[arg(long, value_name = "DIR", default_value = "/etc/weir/requests")]
    pub requests: PathBuf,
    /// Directory for the record. Made if absent; what is there stays.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weir/record")]
    pub record: PathBuf,
    /// Where configfs is: an export that is there goes on.
    #[arg(long, value_name = "DIR", default_value = "/sys/kernel/config")]
    pub configfs: PathBuf,
    /// For volumes whose tags don't say up to which generation they were granted: a generation that is
    /// high enough. None up to it is granted again.
    #[arg(long, value_name = "GENERATION")]
    pub floor: Option<u64>,
    /// Only say what would be made.
    #[arg(long)]
    pub dry_run: bool,
    /// LVM's tool, if it isn't where programs are.
    #[arg(long, value_name = "PATH")]
    pub lvm: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}
