//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::standalone::identity::Identity;

/// Weir's controller, and a Kubernetes-compatible API of its own for where there is no cluster.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "weir-controller",
    version,
    group(ArgGroup::new("api").required(true).args(["standalone", "kubeconfig"])),
    after_help = "\
Examples:

Serve the API from a directory, which is made if there is none, and look at it with kubectl:

  weir-controller --standalone /var/lib/weir
  export KUBECONFIG=/var/lib/weir/admin.kubeconfig
  kubectl get wpool

For agents on other hosts: an address that they reach, and a kubeconfig for each of them.

  weir-controller --standalone /var/lib/weir --listen 10.0.0.1:6443
  weir-controller --standalone /var/lib/weir --listen 10.0.0.1:6443 kubeconfig agent:storage-1

The controller of a cluster, or a second one of a standalone API: one leads, the others wait.

  weir-controller --kubeconfig /etc/weir/controller.kubeconfig

SIGTERM stops the server; what it acknowledged is durable before and after. Whoever reads the directory may do
everything: it is kept closed to others."
)]
pub struct Cli {
    /// Serve the API from this directory: objects, certificates and kubeconfigs are kept there.
    #[arg(long, value_name = "DIR")]
    pub standalone: Option<PathBuf>,
    /// Be the controller of the API that this kubeconfig names.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// With --standalone: serve the API, and leave placement to a controller elsewhere.
    #[arg(long, requires = "standalone", conflicts_with = "kubeconfig")]
    pub api_only: bool,
    /// Listen on this address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6443")]
    pub listen: SocketAddr,
    /// Listen on every address of this host if --listen says so, as 0.0.0.0:6443 does.
    #[arg(long)]
    pub allow_any_address: bool,
    /// Another name or address under which clients reach the server; may be given several times.
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print a kubeconfig with a new certificate; the server need not run.
    #[command(after_help = "\
Identities: admin, controller, agent:NODE; csi-controller and csi-node:NODE are known and may do nothing yet.
There are no revocations: a certificate is good until it ends.

Example:

  weir-controller --standalone /var/lib/weir kubeconfig agent:storage-1 \\
      --server https://10.0.0.1:6443 > storage-1.kubeconfig")]
    Kubeconfig(Kubeconfig),
}

/// Which kubeconfig to print.
#[derive(Clone, Debug, Args)]
pub struct Kubeconfig {
    /// For whom.
    pub identity: Identity,
    /// Where the server is reached; without it, at the address of --listen.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// For how many days the certificate is good.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
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
    fn there_is_one_api() {
        let parse = |words: &str| Cli::try_parse_from(words.split(' '));
        for good in [
            "--standalone d",
            "--kubeconfig f",
            "--standalone d --api-only",
        ] {
            assert!(parse(&format!("weir-controller {good}")).is_ok(), "{good}");
        }
        for bad in [
            "--listen 127.0.0.1:1",
            "--standalone d --kubeconfig f",
            "--kubeconfig f --api-only",
        ] {
            assert!(parse(&format!("weir-controller {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kubeconfig_is_asked_for_behind_the_directory() {
        let words = "weir-controller --standalone d kubeconfig agent:n1 --days 7";
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        let Some(Command::Kubeconfig(asked)) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(
            (asked.identity.to_string().as_str(), asked.days),
            ("agent:n1", 7)
        );
        let words = "weir-controller --standalone d kubeconfig agent:N1";
        assert!(Cli::try_parse_from(words.split(' ')).is_err());
    }
}
