//! What is wrong with a volume, for whoever watches over claims.

use weir_api::condition::{EXPORTED, ORPHANED, READY, REFUSED, SCHEDULED, Truth};
use weir_api::crd::Volume;
use weir_api::volume::Phase;

use crate::proto::VolumeCondition;

/// Conditions, with the value that says that something is wrong.
const WRONG: [(&str, Truth); 5] = [
    (SCHEDULED, Truth::False),
    (READY, Truth::False),
    (EXPORTED, Truth::False),
    (REFUSED, Truth::True),
    (ORPHANED, Truth::True),
];

/// How a volume is.
#[must_use]
pub fn of(volume: &Volume) -> VolumeCondition {
    let status = volume.status.clone().unwrap_or_default();
    let is_attached = !volume.spec.attachments.is_empty();
    let wrong = status.conditions.iter().filter(|one| {
        // Nobody is kept from it: not exported is as it should be.
        let is_asked = one.kind != EXPORTED || is_attached;
        is_asked && WRONG.contains(&(one.kind.as_str(), one.status))
    });
    let mut said: Vec<String> = wrong
        .map(|one| format!("{}: {}", one.kind, one.message))
        .collect();
    if volume.metadata.deletion_timestamp.is_some() {
        said.push("it is being deleted".to_owned());
    }
    let abnormal = !said.is_empty() || status.phase != Phase::Ready;
    if said.is_empty() {
        said.push(format!("it is {}", status.phase));
    }
    VolumeCondition {
        abnormal,
        message: said.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_is_abnormal_when_somebody_says_so() {
        let volume = |attachments: serde_json::Value,
                      phase: &str,
                      conditions: serde_json::Value|
         -> Volume {
            serde_json::from_value(json!({
                "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "v"},
                "spec": {"id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "capacityBytes": 1, "attachments": attachments},
                "status": {"phase": phase, "conditions": conditions},
            }))
            .unwrap()
        };
        let said = |kind: &str, status: &str| json!([{"type": kind, "status": status, "reason": "R", "message": "m"}]);
        let one = json!([{"nodeName": "n", "generation": 1}]);
        for (attachments, phase, conditions, abnormal, message) in [
            (json!([]), "Ready", json!([]), false, "it is Ready"),
            (json!([]), "Creating", json!([]), true, "it is Creating"),
            (
                json!([]),
                "Ready",
                said("Exported", "False"),
                false,
                "it is Ready",
            ),
            (one, "Ready", said("Exported", "False"), true, "Exported: m"),
            (
                json!([]),
                "Ready",
                said("Orphaned", "True"),
                true,
                "Orphaned: m",
            ),
            (
                json!([]),
                "Failed",
                said("Ready", "False"),
                true,
                "Ready: m",
            ),
        ] {
            let condition = of(&volume(attachments, phase, conditions));
            assert_eq!(
                (condition.abnormal, condition.message.as_str()),
                (abnormal, message)
            );
        }
    }
}
