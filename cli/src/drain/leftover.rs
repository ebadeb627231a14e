//! What is still in pools that are to be emptied, and what has to be done with it: a function of the objects.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use weir_api::condition::{self, REJECTED, Truth};
use weir_api::crd::Volume;
use weir_api::names::NodeName;
use weir_api::units::Bytes;
use weir_api::volume::{Phase, VolumeStatus};

use crate::cordon::plan::Plan;
use crate::pool_state::PoolState;
use crate::table::table;

/// What a drain came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Drain {
    /// What was to be drained.
    pub(super) target: String,
    /// Whether nothing is there any more.
    pub(super) is_empty: bool,
    pub(super) cordon: Plan,
    pub(super) volumes: Vec<Leftover>,
    /// Things that nobody asks for, by pool: they have no object that could be listed.
    pub(super) orphans: BTreeMap<String, u32>,
}

/// A volume that is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Leftover {
    pub(super) name: String,
    pub(super) pool_name: String,
    pub(super) phase: Phase,
    pub(super) capacity_bytes: Bytes,
    /// The nodes that may use it.
    pub(super) attached: Vec<NodeName>,
    pub(super) is_being_deleted: bool,
    /// What has to be done with it.
    pub(super) next: String,
}

/// What was seen so far.
pub(super) struct Leftovers {
    pools: BTreeMap<String, PoolState>,
    volumes: Vec<Leftover>,
}

impl Leftovers {
    /// Nothing yet, of these pools.
    pub(super) fn of(pools: Vec<PoolState>) -> Self {
        let pools = pools.into_iter().map(|pool| (pool.name.clone(), pool));
        Leftovers {
            pools: pools.collect(),
            volumes: Vec::new(),
        }
    }

    /// Takes a volume in, if it is in one of the pools.
    pub(super) fn see(&mut self, volume: &Volume) {
        let nothing = VolumeStatus::default();
        let status = volume.status.as_ref().unwrap_or(&nothing);
        let Some(pool) = self.pool_of(volume, status) else {
            return;
        };
        let spec = &volume.spec;
        let name = volume.metadata.name.clone().unwrap_or_default();
        let is_being_deleted = volume.metadata.deletion_timestamp.is_some();
        let attached: Vec<NodeName> = spec
            .attachments
            .iter()
            .map(|one| one.node_name.clone())
            .collect();
        self.volumes.push(Leftover {
            next: next(&name, pool, status, &attached, is_being_deleted),
            pool_name: pool.name.clone(),
            phase: status.phase,
            capacity_bytes: spec.capacity_bytes,
            attached,
            is_being_deleted,
            name,
        });
    }

    /// The pool that a volume is in: the one that it names, and where somebody cleared that, the one where its data
    /// was put.
    fn pool_of(&self, volume: &Volume, status: &VolumeStatus) -> Option<&PoolState> {
        if let Some(pool) = &volume.spec.pool_name {
            return self.pools.get(pool.as_str());
        }
        let has_data = status.capacity_bytes > Bytes(0) && status.phase != Phase::Deleted;
        let put = status
            .placement
            .as_ref()
            .and_then(|record| record.pool_name.as_ref());
        put.filter(|_| has_data)
            .and_then(|pool| self.pools.get(pool.as_str()))
    }

    /// What it came to after a cordon.
    pub(super) fn after(self, cordon: Plan, target: String) -> Drain {
        let orphans = self.pools.values().filter_map(|pool| {
            let orphans = pool.orphans.filter(|orphans| *orphans > 0)?;
            Some((pool.name.clone(), orphans))
        });
        let orphans: BTreeMap<_, _> = orphans.collect();
        Drain {
            target,
            is_empty: self.volumes.is_empty() && orphans.is_empty(),
            cordon,
            volumes: self.volumes,
            orphans,
        }
    }
}

fn next(
    name: &str,
    pool: &PoolState,
    status: &VolumeStatus,
    attached: &[NodeName],
    is_being_deleted: bool,
) -> String {
    let rejected = condition::get(&status.conditions, REJECTED);
    if is_being_deleted {
        return match pool.is_unheard() {
            true => format!(
                "it is being deleted, once node {} is heard again",
                pool.node_name
            ),
            false => format!("nothing: it is being deleted (weir explain volume {name})"),
        };
    }
    if rejected.is_some_and(|rejected| rejected.status == Truth::True) {
        return "nothing: the pool rejected it, and the controller looks for another".to_owned();
    }
    if pool.is_unheard() {
        return format!(
            "bring node {} back, or restore its data elsewhere from a backup: nothing can be copied from there now",
            pool.node_name
        );
    }
    let nodes: Vec<&str> = attached.iter().map(NodeName::as_str).collect();
    let end = format!(
        "copy its data to a new volume; then, its data being needed here no more: kubectl delete wvol {name}"
    );
    match nodes.is_empty() {
        true => end,
        false => format!("stop what uses it on {}; {end}", nodes.join(", ")),
    }
}

impl Drain {
    /// In words.
    pub(super) fn text(&self) -> String {
        let mut text = self.cordon.text();
        if self.is_empty {
            let _ = writeln!(text, "{} is empty: no volume is there", self.target);
            return text;
        }
        if !self.volumes.is_empty() {
            let _ = writeln!(
                text,
                "\nvolumes that are still there: {}\n",
                self.volumes.len()
            );
            let rows: Vec<_> = self.volumes.iter().map(row).collect();
            text.push_str(&table(
                ["VOLUME", "POOL", "PHASE", "SIZE", "ATTACHED", "WHAT TO DO"],
                &rows,
            ));
        }
        for (pool, count) in &self.orphans {
            let node = self.cordon.pools.iter().find(|one| one.name == *pool);
            let node = node.map_or("its node", |pool| &pool.node_name);
            let _ = writeln!(
                text,
                "\npool {pool} holds {count} or more of Weir's that nobody asks for: on node {node}, weir orphans ls"
            );
        }
        let _ = writeln!(
            text,
            "\n{} is not empty. Nothing was moved or deleted: this version can't move volumes (VolumeMigration answers \
             NotImplemented), and deletes none without an order. Run this again when they are gone.",
            self.target
        );
        text
    }
}

fn row(volume: &Leftover) -> [String; 6] {
    let nodes: Vec<&str> = volume.attached.iter().map(NodeName::as_str).collect();
    [
        volume.name.clone(),
        volume.pool_name.clone(),
        volume.phase.to_string(),
        volume.capacity_bytes.to_string(),
        match nodes.is_empty() {
            true => "-".to_owned(),
            false => nodes.join(","),
        },
        volume.next.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cordon::plan::Cordon;
    use crate::lease::Hearing;
    use crate::samples::{agent, condition, deleted, pool, volume};
    use serde_json::{Value, json};
    use weir_api::crd::StoragePool;

    fn objects(status: Value) -> [StoragePool; 1] {
        [pool("fast", "n1", json!({}), status)]
    }

    fn ready() -> Value {
        json!({"conditions": [condition("Ready", "True", "AsAsked", "")]})
    }

    fn drain(status: Value, hearing: Hearing, volumes: &[Volume]) -> Drain {
        let pools = objects(status);
        let states = pools
            .iter()
            .map(|pool| PoolState::of(pool, agent("n1", hearing), false));
        let mut leftovers = Leftovers::of(states.collect());
        volumes.iter().for_each(|volume| leftovers.see(volume));
        leftovers.after(Plan::of(&pools, Cordon::On), "pool fast".to_owned())
    }

    /// Seen red with: `pool_of` returning nothing where `spec.poolName` is cleared.
    #[test]
    fn what_is_there_and_what_has_to_be_done_with_it() {
        let here = json!({"poolName": "fast"});
        let used =
            json!({"poolName": "fast", "attachments": [{"nodeName": "app", "generation": 1}]});
        let cleared =
            json!({"phase": "Ready", "capacityBytes": 1, "placement": {"poolName": "fast"}});
        let rejected = json!({"conditions": [condition("Rejected", "True", "NoSpace", "")]});
        use Hearing::{Heard, Silent};
        let rows = [
            (
                volume("v", here.clone(), Value::Null),
                Heard,
                Some("kubectl delete wvol v"),
            ),
            (
                volume("v", used.clone(), Value::Null),
                Heard,
                Some("stop what uses it on app"),
            ),
            (
                volume("v", used, Value::Null),
                Silent,
                Some("bring node n1 back"),
            ),
            (
                volume("v", json!({}), cleared),
                Heard,
                Some("kubectl delete wvol v"),
            ),
            (
                volume("v", here.clone(), rejected),
                Heard,
                Some("the pool rejected it"),
            ),
            (
                deleted(
                    volume("v", here.clone(), Value::Null),
                    "2026-11-27T11:00:00Z",
                ),
                Heard,
                Some("being deleted"),
            ),
            (
                deleted(volume("v", here, Value::Null), "2026-11-27T11:00:00Z"),
                Silent,
                Some("heard again"),
            ),
            (
                volume("v", json!({"poolName": "slow"}), Value::Null),
                Heard,
                None,
            ),
            (volume("v", json!({}), Value::Null), Heard, None),
        ];
        for (volume, hearing, next) in rows {
            let drain = drain(ready(), hearing, std::slice::from_ref(&volume));
            assert_eq!(drain.is_empty, next.is_none(), "{next:?}");
            match next {
                Some(next) => assert!(
                    drain.volumes[0].next.contains(next),
                    "{}",
                    drain.volumes[0].next
                ),
                None => assert!(drain.volumes.is_empty()),
            }
        }
    }

    #[test]
    fn a_pool_with_orphans_is_not_empty() {
        let orphans =
            json!({"orphans": 2, "conditions": [condition("Ready", "True", "AsAsked", "")]});
        let drain = drain(orphans, Hearing::Heard, &[]);
        assert!(!drain.is_empty);
        assert!(drain.text().contains("holds 2 or more"), "{}", drain.text());
        assert!(drain.text().contains("on node n1, weir orphans ls"));
    }

    #[test]
    fn an_empty_pool_is_said_to_be_empty() {
        let drain = drain(ready(), Hearing::Heard, &[]);
        assert!(drain.is_empty);
        assert!(
            drain
                .text()
                .ends_with("pool fast is empty: no volume is there\n")
        );
    }
}
