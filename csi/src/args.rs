//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

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
}

/// The half of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Once per cluster: makes and deletes volumes, grants them to nodes
    Controller,
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
            "weir-csi --mode controller --endpoint tcp://127.0.0.1:1",
            "weir-csi --mode both --endpoint unix:///csi.sock",
            "weir-csi --mode controller --endpoint unix:///csi.sock --patience 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
