//! What is to be said about a pool's telemetry: whether placement can go by it.

use weir_api::condition::{self, Condition, TELEMETRY_FRESH, Truth, reason};
use weir_api::crd::StoragePool;

/// What is known of the telemetry of a pool's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Nothing yet, and this leader's term is young.
    Unknown,
    /// Its agent reports.
    Fresh,
    /// Its agent has not reported for too long, or never.
    Stale,
    /// The controller that leads takes no telemetry.
    NotTaken,
}

/// The condition that the pool is to be given, if that is not the one it has. It says nothing that changes while
/// nothing happens: a pool whose state stays is not written.
#[must_use]
pub fn telemetry(pool: &StoragePool, hearing: Hearing) -> Option<Condition> {
    let conditions = pool.status.as_ref().map(|status| &status.conditions[..]);
    let said = conditions.and_then(|conditions| condition::get(conditions, TELEMETRY_FRESH));
    let node = &pool.spec.node_name;
    let (truth, reason, message) = match hearing {
        Hearing::Unknown => return None,
        Hearing::Fresh => (
            Truth::True,
            reason::AS_ASKED,
            "its latencies are heard".to_owned(),
        ),
        Hearing::Stale => (
            Truth::False,
            reason::NOT_HEARD,
            format!(
                "the agent on node `{node}` does not tell the controller that leads what it measures: see its \
                 metric weir_telemetry_connected and its log. Its volumes are served all the same"
            ),
        ),
        // Where nobody ever took any there is nothing to take back.
        Hearing::NotTaken if said.is_none() => return None,
        Hearing::NotTaken => (
            Truth::False,
            reason::NOT_TAKEN,
            "the controller that leads takes no telemetry: see its option --telemetry".to_owned(),
        ),
    };
    let is_said = said.is_some_and(|said| said.status == truth && said.reason == reason);
    (!is_said).then(|| Condition::new(TELEMETRY_FRESH, truth, reason, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pool(conditions: &[Condition]) -> StoragePool {
        let object = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": "p"},
            "spec": {"nodeName": "n", "engine": {"kernel": {"volumeGroup": "vg", "devices": ["/dev/vda"]}}},
            "status": {"conditions": conditions},
        });
        serde_json::from_value(object).unwrap()
    }

    /// Seen red with: `is_said` always false.
    #[test]
    fn what_is_said_is_not_said_again() {
        use Hearing::{Fresh, NotTaken, Stale, Unknown};
        let mut told = Vec::new();
        // What is heard, and what is said then; nothing where nothing changed.
        let story = [
            (Unknown, None),
            (NotTaken, None),
            (Stale, Some((Truth::False, reason::NOT_HEARD))),
            (Stale, None),
            (Fresh, Some((Truth::True, reason::AS_ASKED))),
            (Fresh, None),
            (Unknown, None),
            (NotTaken, Some((Truth::False, reason::NOT_TAKEN))),
            (NotTaken, None),
        ];
        for (hearing, expected) in story {
            let said = telemetry(&pool(&told), hearing);
            let seen = said
                .as_ref()
                .map(|said| (said.status, said.reason.as_str()));
            assert_eq!(seen, expected, "{hearing:?} after {told:?}");
            told = said.map_or(told, |said| vec![said]);
        }
    }
}
