//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use weir_api::names::NodeName;

use crate::socket::Endpoint;

/// Weir's CSI plugin.
#[derive(Debug, Parser)]
#[command(
    name = "weir-csi",
    version,
    after_help = "Example:\n  weir-csi --mode controller --endpoint unix:///csi/csi.sock"
)]
pub struct Args {
    /// Which half to serve
    #[arg(long)]
    pub mode: Mode,
    /// The socket to listen on; its directory must exist
    #[arg(long, value_name = "unix:///PATH")]
    pub endpoint: Endpoint,
    /// The API's kubeconfig [default: in a pod, its service account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A request that waits for a volume is answered after so many seconds at the latest; a client's own deadline may be
    /// shorter
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub patience: u32,
    /// What this node is called in the API; with --mode node
    #[arg(long, value_name = "NAME", required_if_eq("mode", "node"))]
    pub node: Option<NodeName>,
    /// Kubelet's directory, which has to be here under its own path; with --mode node
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/kubelet")]
    pub kubelet_dir: PathBuf,
    /// So many volumes at most are used on this node at once, each of which takes memory for its connections; 0: as many as
    /// there are; with --mode node
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub max_volumes: u32,
}

/// The half of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Once per cluster: makes and deletes volumes, grants them to nodes
    Controller,
    /// On each node: connects, makes file systems, mounts
    Node,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
        let parse = |line: &str| Args::try_parse_from(line.split(' '));
        assert!(parse("weir-csi --mode controller --endpoint unix:///csi/csi.sock").is_ok());
        for bad in [
            "weir-csi --mode node --endpoint unix:///csi/csi.sock --node A_b",
            "weir-csi --mode controller --endpoint tcp://127.0.0.1:1",
            "weir-csi --mode both --endpoint unix:///csi.sock",
            "weir-csi --mode controller --endpoint unix:///csi.sock --patience 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
