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

  weir-controller --kubeconfig /etc/weir/controller.kubeconfig --telemetry 10.0.0.2:6444

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
    /// Take telemetry from agents here while this controller leads. With --standalone, without this option, one port above --listen;
    /// with --kubeconfig then nowhere.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "api_only")]
    pub telemetry: Option<SocketAddr>,
    /// The name or address under which agents reach --telemetry. Without it, that address itself, or where that is every one of this
    /// host, the first --name, or the host's.
    #[arg(long, value_name = "NAME", conflicts_with = "api_only")]
    pub telemetry_name: Option<String>,
    /// Know agents by the tokens of this ServiceAccount, which the API reviews, instead of by client certificates of the authority
    /// that the kubeconfig names: for clusters.
    #[arg(long, value_name = "NAMESPACE:NAME", conflicts_with = "standalone", value_parser = account)]
    pub agent_account: Option<Account>,
    /// Serve the controller's /metrics here.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with = "api_only")]
    pub metrics: Option<SocketAddr>,
    /// Another name or address under which clients reach the server; may be given several times.
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

fn account(text: &str) -> Result<Account, String> {
    match text.split_once(':') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(Account {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err("NAMESPACE:NAME is expected".to_owned()),
    }
}

impl Cli {
    /// Where telemetry is taken, if it is.
    #[must_use]
    pub fn telemetry(&self) -> Option<SocketAddr> {
        self.telemetry.or_else(|| {
            let beside = self
                .listen
                .port()
                .checked_add(u16::from(self.listen.port() != 0));
            let is_asked = self.standalone.is_some() && !self.api_only;
            let port = beside.filter(|_| is_asked)?;
            Some(SocketAddr::new(self.listen.ip(), port))
        })
    }
}

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print a kubeconfig with a new certificate; the server need not run.
    #[command(after_help = "\
Identities: admin, controller, agent:NODE, csi-controller, csi-node:NODE.
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
    fn telemetry_is_taken_beside_an_api_of_ones_own() {
        let rows = [
            ("--standalone d", Some("127.0.0.1:6444")),
            ("--standalone d --listen 10.0.0.1:0", Some("10.0.0.1:0")),
            ("--standalone d --listen 10.0.0.1:65535", None),
            ("--standalone d --telemetry 10.0.0.1:7", Some("10.0.0.1:7")),
            ("--standalone d --api-only", None),
            ("--kubeconfig f", None),
            (
                "--kubeconfig f --telemetry 10.0.0.1:7 --agent-account ns:name",
                Some("10.0.0.1:7"),
            ),
        ];
        for (words, expected) in rows {
            let words = format!("weir-controller {words}");
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            assert_eq!(
                cli.telemetry(),
                expected.map(|at| at.parse().unwrap()),
                "{words}"
            );
        }
        for bad in [
            "--standalone d --agent-account a:b",
            "--kubeconfig f --agent-account a",
        ] {
            let words = format!("weir-controller {bad}");
            assert!(Cli::try_parse_from(words.split(' ')).is_err(), "{bad}");
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
