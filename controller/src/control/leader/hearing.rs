//! The leader's part about telemetry: whose figures are heard.

use std::time::Instant;

use weir_api::crd::StoragePool;
use weir_api::names::NodeName;

use super::super::decide::{self, Hearing};
use super::{Key, Leader};

impl Leader {
    /// Time passed: figures may have become old by that alone, or new ones have come, of which no object tells.
    pub(super) fn look_at_telemetry(&mut self, now: Instant) {
        if !self.has_seen_everything() {
            return;
        }
        let mut known = std::mem::take(&mut self.hearings);
        for node in self.ledger.nodes_with_pools() {
            let hearing = self.hearing(&node, now);
            if known.remove(&node) != Some(hearing) {
                for pool in self.ledger.pools_of(&node) {
                    self.queue.push(Key::Pool(pool.to_string()));
                }
            }
            self.hearings.insert(node, hearing);
        }
    }

    fn hearing(&self, node: &NodeName, now: Instant) -> Hearing {
        let Some(taking) = &self.settings.telemetry else {
            return Hearing::NotTaken;
        };
        let stale = self.settings.stale;
        match taking.age(node, now) {
            Some(age) if age < stale => Hearing::Fresh,
            // All agents come to a new leader at once, and it may have had to wait for its address.
            None if now.saturating_duration_since(self.since) < stale => Hearing::Unknown,
            _ => Hearing::Stale,
        }
    }

    /// Says whether a pool's telemetry is fresh, where it says something else.
    pub(super) fn tell_hearing(&mut self, name: String, pool: &StoragePool, now: Instant) {
        let hearing = self.hearing(&pool.spec.node_name, now);
        if let Some(wanted) = decide::telemetry(pool, hearing) {
            self.tell_pool(name, pool, wanted, None);
        }
    }
}
