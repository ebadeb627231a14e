//! How a pool is, and what is wrong with it.

use serde::Serialize;
use weir_api::condition::{self, Condition, READY, Truth, reason};
use weir_api::crd::StoragePool;
use weir_api::pool::ThinUsage;
use weir_api::units::Bytes;

use crate::concern::{Concern, Weight};
use crate::condition_words::is_bad;
use crate::lease::{Agent, Hearing};
use crate::remedy::{self, About};

/// Nobody has said anything about the object yet.
pub(crate) const NOT_TOLD: &str = "NotTold";

/// How a pool is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PoolState {
    pub(crate) name: String,
    pub(crate) node_name: String,
    /// What its condition Ready says.
    pub(crate) ready: Truth,
    /// Why.
    pub(crate) reason: String,
    /// The same for a person.
    pub(crate) message: String,
    /// `spec.unschedulable`.
    pub(crate) is_cordoned: bool,
    /// Whether its node's object says the same of the whole node.
    pub(crate) is_node_cordoned: bool,
    /// Whether its deletion was ordered.
    pub(crate) is_being_deleted: bool,
    pub(crate) capacity_bytes: Bytes,
    pub(crate) used_bytes: Bytes,
    pub(crate) free_bytes: Bytes,
    /// What placement may give away of what is free.
    pub(crate) usable_bytes: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thin: Option<ThinUsage>,
    /// The volumes that name it.
    pub(crate) volumes: u64,
    /// What it holds that nobody asks for, as its agent says.
    pub(crate) orphans: Option<u32>,
    pub(crate) agent: Agent,
    #[serde(skip)]
    pub(crate) concerns: Vec<Concern>,
}

impl PoolState {
    /// How a pool is. Its volumes are counted by whoever sees them.
    pub(crate) fn of(pool: &StoragePool, agent: Agent, is_node_cordoned: bool) -> Self {
        let spec = &pool.spec;
        let status = pool.status.clone().unwrap_or_default();
        let (capacity, free) = (status.capacity_bytes, status.free_bytes);
        let ready = ready(&status.conditions, agent.hearing);
        let is_being_deleted = pool.metadata.deletion_timestamp.is_some();
        let is_closed = spec.unschedulable || is_node_cordoned || is_being_deleted;
        let usable = match ready.status == Truth::True && !is_closed {
            true => free.0.saturating_sub(spec.reserved_bytes.0),
            false => 0,
        };
        let orphans = condition::get(&status.conditions, condition::ORPHANS);
        let has_orphans = orphans.is_some_and(|orphans| orphans.status == Truth::True);
        let mut state = PoolState {
            name: pool.metadata.name.clone().unwrap_or_default(),
            node_name: spec.node_name.to_string(),
            ready: ready.status,
            reason: ready.reason.clone(),
            message: ready.message.clone(),
            is_cordoned: spec.unschedulable,
            is_node_cordoned,
            is_being_deleted,
            capacity_bytes: capacity,
            used_bytes: Bytes(capacity.0.saturating_sub(free.0)),
            free_bytes: free,
            usable_bytes: Bytes(usable),
            thin: status.thin,
            volumes: 0,
            // An agent that says that there are some need not say how many.
            orphans: status.orphans.or(has_orphans.then_some(1)),
            agent,
            concerns: Vec::new(),
        };
        state.concerns = state.wrong(&ready, &status.conditions);
        state
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready == Truth::True
    }

    /// Whether its node is not heard, so that what its status says may be old.
    pub(crate) fn is_unheard(&self) -> bool {
        [reason::AGENT_SILENT, reason::NODE_DEAD].contains(&self.reason.as_str())
            || self.agent.hearing != Hearing::Heard
    }

    /// Whether something else says that its agent is not heard: it does itself, or its agent is listed as silent, which is so
    /// only while it is Ready.
    fn is_silence_told(&self) -> bool {
        match self.is_ready() {
            true => self.agent.hearing != Hearing::Heard,
            false => [reason::AGENT_SILENT, reason::NODE_DEAD].contains(&self.reason.as_str()),
        }
    }

    /// What to do about it if it is not Ready.
    pub(crate) fn next(&self) -> String {
        if self.reason == NOT_TOLD {
            return not_told_next(&self.node_name);
        }
        remedy::of_reason(&self.reason, self.about())
    }

    fn about(&self) -> About<'_> {
        About {
            short: "wpool",
            name: &self.name,
            node: Some(&self.node_name),
        }
    }

    fn concern(&self, weight: Weight, reason: &str, message: String, next: String) -> Concern {
        Concern {
            weight,
            kind: "StoragePool",
            name: self.name.clone(),
            reason: reason.to_owned(),
            message,
            next,
        }
    }

    fn wrong(&self, ready: &Condition, conditions: &[Condition]) -> Vec<Concern> {
        let mut wrong = Vec::new();
        if ready.status != Truth::True {
            let message = ready.message.clone();
            wrong.push(self.concern(Weight::Error, &ready.reason, message, self.next()));
        }
        let others = conditions
            .iter()
            .filter(|one| one.kind != READY && is_bad(one));
        for one in others {
            let weight = match one.kind.as_str() {
                condition::REFUSED
                | condition::THIN_POOL_FULL
                | condition::DEVICES_PRESENT
                | condition::PORTALS_LISTENING
                | condition::DATA_PLANE_HEALTHY => Weight::Error,
                _ => Weight::Warning,
            };
            // Ready has often the same reason, and says it once.
            let is_told = one.reason == ready.reason
                || (one.reason == reason::NOT_HEARD && self.is_silence_told());
            if !is_told {
                let next = remedy::of_reason(&one.reason, self.about());
                wrong.push(self.concern(weight, &one.reason, one.message.clone(), next));
            }
        }
        wrong
    }
}

/// What is said of its being Ready, or that nobody has said anything.
fn ready(conditions: &[Condition], hearing: Hearing) -> Condition {
    if let Some(ready) = condition::get(conditions, READY) {
        return ready.clone();
    }
    let message = match hearing {
        Hearing::Never => {
            "no agent has said anything about it, and none was ever heard on its node"
        }
        _ => "its agent has not said anything about it yet",
    };
    Condition::new(READY, Truth::Unknown, NOT_TOLD, message)
}

fn not_told_next(node: &str) -> String {
    format!(
        "start an agent there: weir-agent run --node {node} --kubeconfig FILE, with a kubeconfig of its own"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{agent, condition, pool};
    use serde_json::{Value, json};

    fn state(spec: Value, status: Value, hearing: Hearing) -> PoolState {
        PoolState::of(
            &pool("fast", "n1", spec, status),
            agent("n1", hearing),
            false,
        )
    }

    fn ready() -> Value {
        condition("Ready", "True", "AsAsked", "")
    }

    fn unheard() -> Value {
        condition("TelemetryFresh", "False", "NotHeard", "")
    }

    /// Seen red with: `is_silence_told` made `false`.
    #[test]
    fn what_is_wrong_with_a_pool() {
        use Hearing::{Heard, Never, Silent};
        let rows = [
            (json!({"conditions": [ready()]}), Heard, vec![]),
            (Value::Null, Never, vec!["NotTold"]),
            (
                json!({"conditions": [condition("Ready", "Unknown", "AgentSilent", "")]}),
                Silent,
                vec!["AgentSilent"],
            ),
            // No telemetry from an agent that is not heard is no news.
            (
                json!({"conditions": [condition("Ready", "Unknown", "AgentSilent", ""), unheard()]}),
                Silent,
                vec!["AgentSilent"],
            ),
            (
                json!({"conditions": [condition("Ready", "False", "NodeDead", ""), unheard()]}),
                Silent,
                vec!["NodeDead"],
            ),
            (json!({"conditions": [ready(), unheard()]}), Silent, vec![]),
            (
                json!({"conditions": [ready(), unheard()]}),
                Heard,
                vec!["NotHeard"],
            ),
            (
                json!({"conditions": [condition("Ready", "False", "DeviceMissing", ""), unheard()]}),
                Silent,
                vec!["DeviceMissing", "NotHeard"],
            ),
            (
                json!({"conditions": [ready(), condition("VolatileWriteCache", "True", "WriteBack", "")]}),
                Heard,
                vec!["WriteBack"],
            ),
            (
                json!({"conditions": [ready(), condition("VolatileWriteCache", "True", "Accepted", "")]}),
                Heard,
                vec![],
            ),
            (
                json!({"conditions": [
                    condition("Ready", "False", "DeviceMissing", ""),
                    condition("DevicesPresent", "False", "DeviceMissing", ""),
                ]}),
                Heard,
                vec!["DeviceMissing"],
            ),
            (
                json!({
                    "conditions": [ready(), condition("ThinPoolFull", "True", "ThinPoolNearlyFull", "")],
                    "thin": {"dataPercent": 90, "metadataPercent": 1},
                }),
                Heard,
                vec!["ThinPoolNearlyFull"],
            ),
        ];
        for (status, hearing, reasons) in rows {
            let state = state(json!({}), status.clone(), hearing);
            let found: Vec<_> = state
                .concerns
                .iter()
                .map(|one| one.reason.as_str())
                .collect();
            assert_eq!(found, reasons, "{status}");
            assert!(state.concerns.iter().all(|one| !one.next.is_empty()));
        }
    }

    #[test]
    fn only_an_open_pool_that_is_ready_has_usable_space() {
        let status =
            |ready: Value| json!({"capacityBytes": 100, "freeBytes": 70, "conditions": [ready]});
        let rows = [
            (json!({}), ready(), 70),
            (json!({"reservedBytes": 20}), ready(), 50),
            (json!({"reservedBytes": 80}), ready(), 0),
            (json!({"unschedulable": true}), ready(), 0),
            (json!({}), condition("Ready", "False", "StepFailed", ""), 0),
        ];
        for (spec, ready, usable) in rows {
            let state = state(spec.clone(), status(ready), Hearing::Heard);
            assert_eq!(
                (state.usable_bytes, state.used_bytes),
                (Bytes(usable), Bytes(30)),
                "{spec}"
            );
        }
    }
}
