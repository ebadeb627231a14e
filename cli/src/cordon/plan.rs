//! What a cordon changes: a function of the pools.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;
use weir_api::crd::StoragePool;

/// What is wanted of pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Cordon {
    /// They take no new volumes.
    On,
    /// They do.
    Off,
}

/// What is changed, and what is so already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    #[serde(rename = "cordon")]
    pub(crate) wanted: Cordon,
    pub(crate) pools: Vec<PoolChange>,
    /// What a person should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PoolChange {
    pub(crate) name: String,
    pub(crate) node_name: String,
    /// Whether it was otherwise before.
    pub(crate) is_changed: bool,
}

impl Plan {
    pub(crate) fn of(pools: &[StoragePool], wanted: Cordon) -> Self {
        let pools = pools.iter().map(|pool| PoolChange {
            name: pool.metadata.name.clone().unwrap_or_default(),
            node_name: pool.spec.node_name.to_string(),
            is_changed: pool.spec.unschedulable != (wanted == Cordon::On),
        });
        Plan {
            wanted,
            pools: pools.collect(),
            notes: Vec::new(),
        }
    }

    /// The pools that are changed.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &PoolChange> {
        self.pools.iter().filter(|pool| pool.is_changed)
    }

    /// The nodes that they are on.
    pub(super) fn nodes(&self) -> BTreeSet<String> {
        self.pools
            .iter()
            .map(|pool| pool.node_name.clone())
            .collect()
    }

    /// A node's own object says that nothing new is to be put there; that is more than this command undoes.
    pub(super) fn node_is_cordoned(&mut self, node: &str) {
        self.notes.push(format!(
            "node {node} itself is cordoned (spec.unschedulable of its Node object): its pools take no new volumes \
             until `kubectl uncordon {node}`"
        ));
    }

    /// In words, a line for each pool.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for pool in &self.pools {
            let (name, node) = (&pool.name, &pool.node_name);
            let said = match (self.wanted, pool.is_changed) {
                (Cordon::On, true) => "cordoned: it takes no new volumes, and keeps those it has",
                (Cordon::On, false) => "was cordoned already",
                (Cordon::Off, true) => "uncordoned: it takes new volumes again",
                (Cordon::Off, false) => "was not cordoned",
            };
            let _ = writeln!(text, "pool {name} on node {node} {said}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pool;
    use serde_json::{Value, json};

    #[test]
    fn only_what_is_otherwise_is_changed() {
        let open = pool("open", "n", json!({}), Value::Null);
        let closed = pool("closed", "n", json!({"unschedulable": true}), Value::Null);
        let pools = [open, closed];
        for (wanted, changed) in [(Cordon::On, "open"), (Cordon::Off, "closed")] {
            let plan = Plan::of(&pools, wanted);
            let names: Vec<_> = plan.changes().map(|pool| pool.name.as_str()).collect();
            assert_eq!(names, [changed], "{wanted:?}");
        }
    }

    #[test]
    fn each_pool_has_a_line_and_a_cordoned_node_is_told() {
        let pools = [
            pool("a", "n1", json!({"unschedulable": true}), Value::Null),
            pool("b", "n2", json!({}), Value::Null),
        ];
        let mut plan = Plan::of(&pools, Cordon::Off);
        assert_eq!(plan.nodes().into_iter().collect::<Vec<_>>(), ["n1", "n2"]);
        plan.node_is_cordoned("n1");
        let text = plan.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            "pool a on node n1 uncordoned: it takes new volumes again"
        );
        assert_eq!(lines[1], "pool b on node n2 was not cordoned");
        assert!(lines[2].contains("kubectl uncordon n1"), "{text}");
    }
}
