//! What a command is about: one pool, or all pools of a node.

use clap::{Args, ValueEnum};
use thiserror::Error;
use weir_api::crd::StoragePool;
use weir_api::names::{NameError, NodeName, ObjectName};

use crate::connect::Connection;
use crate::fetch::FetchError;

/// A pool or a node, as it stands on a command line.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetArguments {
    /// Whether NAME is a pool's or a node's; a node stands for all pools on it
    #[arg(value_name = "KIND", value_enum)]
    kind: Kind,
    /// The pool's or the node's name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One StoragePool
    Pool,
    /// Every StoragePool whose spec.nodeName this is
    Node,
}

/// A pool or a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Pool(ObjectName),
    Node(NodeName),
}

/// The target is not there.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    /// It can't be anybody's name.
    #[error("NAME can't be right")]
    Name(#[from] NameError),
    /// The node has no pools.
    #[error("no StoragePool has spec.nodeName `{node}`: {others}")]
    NoPools {
        /// The node.
        node: NodeName,
        /// Which nodes there are instead.
        others: String,
    },
    /// The API did not tell.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl TargetArguments {
    /// What it names.
    pub(crate) fn target(&self) -> Result<Target, TargetError> {
        Ok(match self.kind {
            Kind::Pool => Target::Pool(self.name.parse()?),
            Kind::Node => Target::Node(self.name.parse()?),
        })
    }
}

impl Target {
    /// Its pools, at least one.
    pub(crate) async fn pools(
        &self,
        connection: &Connection,
    ) -> Result<Vec<StoragePool>, TargetError> {
        let all = connection.all::<StoragePool>();
        match self {
            Target::Pool(pool) => Ok(vec![connection.need(&all, pool.as_str()).await?]),
            Target::Node(node) => {
                let pools = connection
                    .list(&all, &format!("spec.nodeName={node}"))
                    .await?;
                if !pools.is_empty() {
                    return Ok(pools);
                }
                Err(no_pools(node, &connection.list(&all, "").await?))
            }
        }
    }
}

fn no_pools(node: &NodeName, all: &[StoragePool]) -> TargetError {
    let mut others: Vec<&str> = all
        .iter()
        .map(|pool| pool.spec.node_name.as_str())
        .collect();
    others.sort_unstable();
    others.dedup();
    let hidden = others.len().saturating_sub(10);
    others.truncate(10);
    let more = if hidden > 0 { ", …" } else { "" };
    TargetError::NoPools {
        node: node.clone(),
        others: match others.is_empty() {
            true => "there are no pools at all".to_owned(),
            false => format!("pools are on {}{more}", others.join(", ")),
        },
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Pool(pool) => write!(f, "pool {pool}"),
            Target::Node(node) => write!(f, "node {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pool;
    use serde_json::{Value, json};

    #[test]
    fn a_node_without_pools_is_told_from_those_that_have_some() {
        let node = "n9".parse().unwrap();
        let pools = ["n2", "n1", "n2"].map(|node| pool("p", node, json!({}), Value::Null));
        let said = no_pools(&node, &pools).to_string();
        assert_eq!(
            said,
            "no StoragePool has spec.nodeName `n9`: pools are on n1, n2"
        );
        assert!(no_pools(&node, &[]).to_string().contains("no pools at all"));
    }
}
