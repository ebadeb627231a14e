//! What a tombstone waits for.

use weir_api::condition::{self, REMOVED, reason};
use weir_api::crd::{Tombstone, TombstonePhase};

use crate::concern::{Concern, Weight};
use crate::pool_state::PoolState;

/// What it waits for; nothing, if it was carried out. `pool` is its pool, if there is one of that name.
pub(crate) fn concern(tombstone: &Tombstone, pool: Option<&PoolState>) -> Option<Concern> {
    let status = tombstone.status.clone().unwrap_or_default();
    if status.phase == TombstonePhase::Done {
        return None;
    }
    let spec = &tombstone.spec;
    let name = tombstone.metadata.name.clone().unwrap_or_default();
    let (volume, pool_name) = (&spec.volume_name, &spec.pool_name);
    let give_up = format!("if its disks are gone for good: kubectl delete wtomb {name}");
    let (why, message, next) = match (pool, condition::get(&status.conditions, REMOVED)) {
        (None, _) => (
            reason::POOL_NOT_FOUND.to_owned(),
            format!("there is no StoragePool {pool_name}"),
            format!("create that object again; {give_up}"),
        ),
        (Some(pool), _) if !pool.is_ready() => (
            pool.reason.clone(),
            format!("its pool {pool_name} is not Ready: {}", pool.message),
            format!("{}; {give_up}", pool.next()),
        ),
        (Some(_), Some(said)) => (
            said.reason.clone(),
            said.message.clone(),
            "do what the message says".to_owned(),
        ),
        (Some(pool), None) => (
            reason::WAITING.to_owned(),
            format!(
                "the agent on node {} has not said anything of it",
                pool.node_name
            ),
            format!("nothing: it goes on by itself; {give_up}"),
        ),
    };
    Some(Concern {
        weight: Weight::Warning,
        kind: "Tombstone",
        name,
        reason: why,
        message: format!(
            "what is left of the deleted volume {volume} is to be destroyed in pool {pool_name}: {message}"
        ),
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Hearing;
    use crate::samples::{agent, condition, pool};
    use serde_json::{Value, json};

    fn tombstone(status: Value) -> Tombstone {
        serde_json::from_value(json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Tombstone", "metadata": {"name": "t"},
            "spec": {"id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "volumeName": "v", "poolName": "p"},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_tombstone_that_waits_says_for_what() {
        let with = |ready: &str, why: &str| {
            let conditions = [condition("Ready", ready, why, "m")];
            let pool = pool("p", "n", json!({}), json!({"conditions": conditions}));
            PoolState::of(&pool, agent("n", Hearing::Heard), false)
        };
        let (ready, silent) = (with("True", "AsAsked"), with("Unknown", "AgentSilent"));
        let opened = json!({"phase": "Pending", "conditions": [condition(REMOVED, "False", "InUse", "close it")]});
        let why =
            |status: &Value, pool| concern(&tombstone(status.clone()), pool).map(|one| one.reason);
        let rows = [
            (json!(null), None, Some("PoolNotFound")),
            (json!(null), Some(&silent), Some("AgentSilent")),
            (json!(null), Some(&ready), Some("Waiting")),
            (opened, Some(&ready), Some("InUse")),
            (json!({"phase": "Done"}), Some(&ready), None),
        ];
        for (status, pool, wanted) in rows {
            assert_eq!(why(&status, pool).as_deref(), wanted, "{status}");
        }
    }
}
