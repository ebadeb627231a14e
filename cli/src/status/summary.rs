//! All objects in short: a function of what the API has.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::Serialize;
use weir_api::condition::{self, Condition, READY, reason};
use weir_api::crd::{StoragePool, Tombstone, Volume};
use weir_api::names::{LEASE_NAMESPACE, NodeName};
use weir_api::units::Bytes;
use weir_api::volume::Phase;

use crate::concern::{Concern, Concerns, Gathered, Weight};
use crate::condition_words::is_bad;
use crate::lease::{self, Agent, Controller, Hearing};
use crate::pool_state::PoolState;
use crate::remedy::{self, About};
use crate::tombstone_state;
use crate::volume_state::{Around, wait};

/// What a summary is made of, but for what is seen one by one.
pub(super) struct Cluster<'a> {
    pub(super) now: Timestamp,
    /// The controllers' Lease.
    pub(super) election: Option<&'a Lease>,
    /// The Leases of agents, and of kubelets.
    pub(super) leases: &'a [Lease],
    /// Nodes whose objects say that they take nothing new.
    pub(super) cordoned: &'a BTreeSet<String>,
    pub(super) pools: &'a [StoragePool],
}

/// All objects in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(super) controller: Controller,
    pub(super) agents: Vec<Agent>,
    pub(super) capacity: Capacity,
    pub(super) pools: Vec<PoolState>,
    pub(super) volumes: Volumes,
    /// How many objects of other kinds there are.
    pub(super) others: BTreeMap<String, u64>,
    /// What is wrong, the worst first.
    pub(super) wrong: Vec<Concerns>,
}

/// What the pools have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Capacity {
    pub(super) total_bytes: Bytes,
    pub(super) used_bytes: Bytes,
    pub(super) free_bytes: Bytes,
    /// What of it new volumes can have: in pools that are Ready and not cordoned.
    pub(super) usable_bytes: Bytes,
}

/// Volumes by phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Volumes {
    pub(super) total: u64,
    pub(super) by_phase: BTreeMap<String, u64>,
    /// Those that no pool was chosen for.
    pub(super) unplaced: u64,
    /// Those whose deletion was ordered.
    pub(super) being_deleted: u64,
}

/// A summary that is being made.
pub(super) struct Gathering {
    now: Timestamp,
    controller: Controller,
    agents: BTreeMap<NodeName, Agent>,
    pools: BTreeMap<String, PoolState>,
    volumes: Volumes,
    others: BTreeMap<String, u64>,
    wrong: Gathered,
}

impl Cluster<'_> {
    /// Begins a summary.
    pub(super) fn gather(&self) -> Gathering {
        let controller = Controller::of(self.election, self.now);
        let agents = self.agents();
        let pools = self.pools.iter().filter_map(|pool| {
            let node = &pool.spec.node_name;
            let agent = agents.get(node)?.clone();
            let is_node_cordoned = self.cordoned.contains(node.as_str());
            let state = PoolState::of(pool, agent, is_node_cordoned);
            Some((state.name.clone(), state))
        });
        Gathering {
            now: self.now,
            pools: pools.collect(),
            controller,
            agents,
            volumes: Volumes::default(),
            others: BTreeMap::new(),
            wrong: Gathered::default(),
        }
    }

    /// The agents of nodes that have pools, and those that have a Lease: a node without a pool uses volumes.
    fn agents(&self) -> BTreeMap<NodeName, Agent> {
        let mut leases: BTreeMap<NodeName, Option<&Lease>> = BTreeMap::new();
        for pool in self.pools {
            leases.insert(pool.spec.node_name.clone(), None);
        }
        for lease in self.leases {
            if let Some(node) = lease::node_of(lease) {
                leases.insert(node, Some(lease));
            }
        }
        let agents = leases.into_iter().map(|(node, lease)| {
            let agent = Agent::of(&node, lease, self.now);
            (node, agent)
        });
        agents.collect()
    }
}

impl Gathering {
    /// Takes a volume in.
    pub(super) fn volume(&mut self, volume: &Volume) {
        let phase = volume.status.as_ref().map(|status| status.phase);
        let phase = phase.unwrap_or(Phase::Pending);
        self.volumes.total += 1;
        *self.volumes.by_phase.entry(phase.to_string()).or_default() += 1;
        if volume.metadata.deletion_timestamp.is_some() {
            self.volumes.being_deleted += 1;
        }
        let pool = volume.spec.pool_name.as_ref();
        if pool.is_none() {
            self.volumes.unplaced += 1;
        }
        let pool = pool.and_then(|pool| self.pools.get_mut(pool.as_str()));
        let pool = pool.map(|pool| {
            pool.volumes += 1;
            &*pool
        });
        let around = Around {
            pool,
            controller: &self.controller,
            now: self.now,
        };
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        if let Some(concern) = wait(volume, &around).concern(name) {
            self.wrong.add(concern);
        }
    }

    /// Takes a tombstone in.
    pub(super) fn tombstone(&mut self, tombstone: &Tombstone) {
        *self.others.entry("Tombstone".to_owned()).or_default() += 1;
        let pool = self.pools.get(tombstone.spec.pool_name.as_str());
        if let Some(concern) = tombstone_state::concern(tombstone, pool) {
            self.wrong.add(concern);
        }
    }

    /// Takes an object of another kind in.
    pub(super) fn other<K>(&mut self, object: &K, conditions: Option<&[Condition]>)
    where
        K: Resource<DynamicType = ()>,
    {
        let kind = K::kind(&());
        *self.others.entry(kind.to_string()).or_default() += 1;
        let name = object.meta().name.clone().unwrap_or_default();
        let bad = conditions.and_then(|conditions| condition::get(conditions, READY));
        let Some(bad) = bad.filter(|one| is_bad(one)) else {
            return;
        };
        let (kind, short) = match kind.as_ref() {
            "Snapshot" => ("Snapshot", "wsnap"),
            "VolumeSet" => ("VolumeSet", "wset"),
            _ => ("VolumeMigration", "wmig"),
        };
        let next = match bad.reason.as_str() {
            reason::NOT_IMPLEMENTED => {
                format!("kubectl delete {short} {name}; nothing was done for it")
            }
            why => remedy::of_reason(
                why,
                About {
                    short,
                    name: &name,
                    node: None,
                },
            ),
        };
        self.wrong.add(Concern {
            weight: Weight::Warning,
            kind,
            name,
            reason: bad.reason.clone(),
            message: bad.message.clone(),
            next,
        });
    }

    /// The summary.
    pub(super) fn finish(mut self) -> Summary {
        let mut capacity = Capacity::default();
        let add = |sum: &mut Bytes, one: Bytes| sum.0 = sum.0.saturating_add(one.0);
        for pool in self.pools.values() {
            add(&mut capacity.total_bytes, pool.capacity_bytes);
            add(&mut capacity.used_bytes, pool.used_bytes);
            add(&mut capacity.free_bytes, pool.free_bytes);
            add(&mut capacity.usable_bytes, pool.usable_bytes);
            pool.concerns
                .iter()
                .for_each(|concern| self.wrong.add(concern.clone()));
        }
        self.concerns_of_controller();
        self.concerns_of_agents();
        Summary {
            controller: self.controller,
            agents: self.agents.into_values().collect(),
            capacity,
            pools: self.pools.into_values().collect(),
            volumes: self.volumes,
            others: self.others,
            wrong: self.wrong.list(),
        }
    }

    fn concerns_of_controller(&mut self) {
        if self.controller.is_leading {
            return;
        }
        self.wrong.add(Concern {
            weight: Weight::Error,
            kind: "Controller",
            name: self.controller.leader.clone().unwrap_or_else(|| "none".to_owned()),
            reason: "NoLeader".to_owned(),
            message: format!(
                "{}: volumes are served, but none is placed, and nobody looks for agents that fall silent",
                self.controller.words()
            ),
            next: "start weir-controller, or see its log".to_owned(),
        });
    }

    /// Agents that are silent and of which no pool tells: consumers', and those that the controller has not
    /// noticed yet.
    fn concerns_of_agents(&mut self) {
        let told: BTreeSet<&str> = self
            .pools
            .values()
            .filter(|pool| !pool.is_ready())
            .map(|pool| pool.node_name.as_str())
            .collect();
        let silent = self
            .agents
            .values()
            .filter(|agent| agent.hearing != Hearing::Heard);
        for agent in silent.filter(|agent| !told.contains(agent.node_name.as_str())) {
            let node = &agent.node_name;
            let next = match agent.hearing {
                Hearing::Never => format!(
                    "start an agent there: weir-agent run --node {node} --kubeconfig FILE, with a kubeconfig of its own"
                ),
                _ => format!(
                    "on node {node}: see whether weir-agent runs, and whether the clocks agree; if the node is gone \
                     for good: kubectl delete lease -n {LEASE_NAMESPACE} {}",
                    node.agent_lease()
                ),
            };
            self.wrong.add(Concern {
                weight: Weight::Warning,
                kind: "Agent",
                name: node.to_string(),
                reason: match agent.hearing {
                    Hearing::Never => "AgentNeverHeard".to_owned(),
                    _ => reason::AGENT_SILENT.to_owned(),
                },
                message: format!(
                    "the agent on node {node} {}; its volumes may be served all the same",
                    agent.words()
                ),
                next,
            });
        }
    }
}

#[cfg(test)]
mod tests;
