//! The leader's part about pools, nodes and agents.

use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use weir_api::condition::{self, Condition};
use weir_api::crd::StoragePool;
use weir_api::names::{NodeName, ObjectName};

use super::super::decide::{self, AgentState};
use super::super::event::{Note, Weight};
use super::super::ledger::{NodeFacts, told_health};
use super::super::write::Write;
use super::{Key, Leader};
use weir_placement::Health;

impl Leader {
    pub(super) fn see_pool(&mut self, event: Event<StoragePool>) {
        let known = match &event {
            Event::Apply(pool) => self.pools.get(&pool.name_any()).cloned(),
            _ => None,
        };
        for name in self.pools.see(event) {
            self.listen(known.as_deref(), &name);
            self.take_pool_in(&name);
            self.queue.push(Key::Pool(name));
        }
    }

    /// An agent that says itself that its pool is Ready again is alive, even if its Lease does not show it.
    /// Otherwise it and this controller would contradict each other without end.
    fn listen(&mut self, known: Option<&StoragePool>, name: &str) {
        let (Some(known), Some(now)) = (known, self.pools.get(name)) else {
            return;
        };
        if told_health(known) != Health::Ready && told_health(now) == Health::Ready {
            let node = now.spec.node_name.as_str();
            self.liveness.is_alive(node, Instant::now());
        }
    }

    fn take_pool_in(&mut self, name: &str) {
        match self.pools.get(name).cloned() {
            Some(pool) => {
                if let Some(name) = self.ledger.see_pool(&pool) {
                    if let Some(taking) = &self.settings.telemetry {
                        let node = pool.spec.node_name.clone();
                        taking.pools().see(name.clone(), node);
                    }
                    self.judge(&name, Instant::now());
                }
            }
            None => {
                if let Ok(name) = name.parse::<ObjectName>() {
                    if let Some(taking) = &self.settings.telemetry {
                        taking.pools().forget(&name);
                    }
                    self.ledger.forget_pool(&name);
                }
            }
        }
        self.wake_waiting();
    }

    pub(super) fn see_node(&mut self, event: Event<Node>) {
        for name in self.nodes.see(event) {
            let Ok(node) = name.parse::<NodeName>() else {
                continue;
            };
            let facts = self.nodes.get(&name).map(|node| NodeFacts::of(node));
            // A kubelet touches its Node often; what matters here seldom changes.
            if self.ledger.node(&node) == facts.as_ref() {
                continue;
            }
            self.ledger.see_node(&node, facts);
            for pool in self.ledger.pools_of(&node) {
                self.take_pool_in(pool.as_str());
                self.queue.push(Key::Pool(pool.to_string()));
            }
        }
    }

    pub(super) fn see_lease(&mut self, event: Event<Lease>) {
        let now = Instant::now();
        for name in self.leases.see(event) {
            let lease = self.leases.get(&name);
            let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
                continue;
            };
            let holder = spec.holder_identity.as_ref();
            let node = holder.and_then(|holder| holder.parse::<NodeName>().ok());
            // What somebody else put there is no sign of life.
            let Some(node) = node.filter(|node| node.agent_lease() == name) else {
                continue;
            };
            let renewal = format!("{:?}", spec.renew_time);
            self.liveness.hear(node.as_str(), &renewal, now);
            self.judge_node(&node, now);
        }
    }

    /// Time passed: agents may have become silent by that alone.
    pub(super) fn look_for_silence(&mut self) {
        if !self.has_seen_everything() {
            return;
        }
        let now = Instant::now();
        for node in self.ledger.nodes_with_pools() {
            self.judge_node(&node, now);
        }
    }

    fn judge_node(&mut self, node: &NodeName, now: Instant) {
        for pool in self.ledger.pools_of(node) {
            if self.judge(&pool, now) {
                self.queue.push(Key::Pool(pool.to_string()));
            }
        }
    }

    fn agent(&self, node: &NodeName, now: Instant) -> AgentState {
        let silence = self.liveness.silence(node.as_str(), now);
        let is_off = self.ledger.is_out_of_service(node);
        // A Node object that says so of a node whose agent is heard is behind: it is not believed.
        if is_off && silence >= self.settings.dead {
            AgentState::Dead
        } else if silence >= self.settings.silence {
            AgentState::Silent
        } else {
            AgentState::Heard
        }
    }

    /// Finds out how a pool is; returns whether that is new. Placement goes by it at once, before the pool's object
    /// shows it.
    fn judge(&mut self, name: &ObjectName, now: Instant) -> bool {
        let Some(pool) = self.pools.get(name.as_str()) else {
            return false;
        };
        let node = &pool.spec.node_name;
        let is_off = self.ledger.is_out_of_service(node);
        let health = match (told_health(pool), self.agent(node, now)) {
            (Health::Deleted, _) => Health::Deleted,
            // Nothing new where somebody says that it is off, even while its agent is heard.
            (_, AgentState::Dead) => Health::NodeDead,
            _ if is_off => Health::NodeDead,
            (_, AgentState::Silent) => Health::Silent,
            (told, AgentState::Heard) => told,
        };
        let is_new = self.ledger.set_health(name, health);
        if is_new && health == Health::Ready {
            self.wake_waiting();
        }
        is_new
    }

    /// How the agent of a pool is; `None`: there is no such pool. Whoever asks for one that is not there is looked at
    /// again once it is.
    pub(super) fn agent_of(&mut self, pool: &ObjectName, now: Instant) -> Option<AgentState> {
        let Some(object) = self.pools.get(pool.as_str()) else {
            self.agents.entry(pool.to_string()).or_insert(None);
            return None;
        };
        Some(self.agent(&object.spec.node_name, now))
    }

    /// A pool's volumes are looked at again where its agent is otherwise than it was.
    fn note_agent(&mut self, name: &str, agent: Option<AgentState>) {
        let before = self.agents.insert(name.to_owned(), agent);
        let is_as_before =
            before.map_or(agent == Some(AgentState::Heard), |before| before == agent);
        let Some(pool) = name.parse::<ObjectName>().ok().filter(|_| !is_as_before) else {
            return;
        };
        for (volume, _) in self.ledger.volumes_in(&pool) {
            self.queue.push(Key::Volume(volume.to_owned()));
        }
    }

    pub(super) fn look_at_pool(&mut self, name: String, now: Instant) {
        let pool = self.pools.get(&name).cloned();
        let agent = pool
            .as_ref()
            .map(|pool| self.agent(&pool.spec.node_name, now));
        self.note_agent(&name, agent);
        let (Some(pool), Some(agent)) = (pool, agent) else {
            return;
        };
        if agent != AgentState::Dead && self.ledger.is_out_of_service(&pool.spec.node_name) {
            // It is looked at again when its agent would be believed to be dead.
            self.queue
                .push_at(Key::Pool(name.clone()), now + self.settings.dead);
        }
        let Some(wanted) = decide::pool(&pool, agent) else {
            return self.tell_hearing(name, &pool, now);
        };
        let note = Note {
            weight: Weight::Warning,
            reason: wanted.reason.clone(),
            action: "WatchAgent",
            text: wanted.message.clone(),
        };
        self.tell_pool(name, &pool, wanted, Some(note));
    }

    /// Puts a condition into a pool's status.
    pub(super) fn tell_pool(
        &mut self,
        name: String,
        pool: &StoragePool,
        mut wanted: Condition,
        note: Option<Note>,
    ) {
        wanted.observed_generation = pool.metadata.generation;
        let mut conditions = pool.status.clone().unwrap_or_default().conditions;
        condition::set(&mut conditions, wanted, &Time(Timestamp::now()));
        let version = pool.metadata.resource_version.as_deref();
        let write = Write::status(Key::Pool(name), version, &conditions, None);
        self.write(write, false, note);
    }
}
