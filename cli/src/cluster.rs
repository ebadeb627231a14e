//! `weir cluster`: whose pools a node has.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use uuid::Uuid;
use weir_api::cluster::{ACCEPT, Accept, Clusters, SHOW};
use weir_api::orphan::{Done, SOCKET};

use crate::output::Output;
use crate::socket;

/// `weir cluster`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The agent's socket
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// What goes to standard output
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which cluster owns this node's pools, and whose API its agent follows
    #[command(after_help = "Example:\n  weir cluster show")]
    Show,
    /// Make this node's pools another cluster's, and heed its API from now on
    #[command(after_help = "\
Example, on every storage node, after the API's store was lost and a new one took its place:
  kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'
  weir cluster accept 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90

The agent must follow that cluster's API already. Volumes that have no object there are orphans then, which are served
on: weir orphans adopt --all --api")]
    Accept {
        /// The UID of the cluster's namespace kube-system
        cluster: Uuid,
    },
}

/// Does what was asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (path, output) = (&arguments.socket, arguments.output);
    match &arguments.command {
        Command::Show => output.show(&socket::get::<Clusters>(path, SHOW)?, text),
        Command::Accept { cluster } => {
            let accept = Accept { cluster: *cluster };
            let done: Done = socket::post(path, ACCEPT, &accept)?;
            output.show(&done, |done| format!("{}\n", done.message))
        }
    }
}

fn text(clusters: &Clusters) -> String {
    let mut text = match clusters.api {
        Some(cluster) => format!("the agent follows the API of cluster {cluster}\n"),
        None => "the agent follows no API, or none that answered yet\n".to_owned(),
    };
    for pool in &clusters.pools {
        text.push_str(&match pool.cluster {
            Some(cluster) if Some(cluster) == clusters.api => {
                format!("pool {}: that cluster's\n", pool.name)
            }
            Some(cluster) => format!("pool {}: belongs to cluster {cluster}\n", pool.name),
            None => format!("pool {}: no cluster's yet\n", pool.name),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_api::cluster::OwnedPool;

    #[test]
    fn a_pool_of_another_cluster_stands_out() {
        let (ours, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let pool = |name: &str, cluster| OwnedPool {
            name: name.parse().unwrap(),
            cluster,
        };
        let clusters = Clusters {
            api: Some(ours),
            pools: vec![
                pool("a", Some(ours)),
                pool("b", Some(theirs)),
                pool("c", None),
            ],
        };
        let said = text(&clusters);
        assert!(said.contains("pool a: that cluster's") && said.contains("pool c: no cluster's"));
        assert!(
            said.contains(&format!("pool b: belongs to cluster {theirs}")),
            "{said}"
        );
    }
}
