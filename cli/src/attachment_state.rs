//! How far a volume's attachments are.

use serde::Serialize;
use weir_api::crd::Volume;
use weir_api::names::{Generation, NodeName};
use weir_api::volume::{AttachmentStatus, TargetStatus};

/// How far one attachment is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttachmentState {
    pub(crate) node_name: NodeName,
    pub(crate) generation: Generation,
    /// Whether the spec asks for it; otherwise it is about to end.
    pub(crate) is_asked_for: bool,
    pub(crate) is_read_only: bool,
    /// Whether the node can use the volume now.
    pub(crate) is_usable: bool,
    /// How: the device, or where to connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) way: Option<String>,
    /// What is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// Those that are asked for, in the spec's order, and then those that are about to end.
pub(crate) fn attachments(volume: &Volume) -> Vec<AttachmentState> {
    let status = volume.status.clone().unwrap_or_default();
    let told = |node: &NodeName, generation: Generation| {
        let mut told = status.attachments.iter();
        told.find(|told| told.node_name == *node && told.generation == generation)
    };
    let asked = volume.spec.attachments.iter().map(|asked| {
        let told = told(&asked.node_name, asked.generation);
        let way = told.and_then(way);
        AttachmentState {
            node_name: asked.node_name.clone(),
            generation: asked.generation,
            is_asked_for: true,
            is_read_only: asked.read_only,
            is_usable: way.is_some(),
            message: match (&way, told) {
                (Some(_), _) => None,
                (None, Some(told)) => told.message.clone(),
                (None, None) => Some("the agent has not granted it yet".to_owned()),
            },
            way,
        }
    });
    let is_asked = |told: &&AttachmentStatus| {
        let mut asked = volume.spec.attachments.iter();
        asked.any(|asked| asked.node_name == told.node_name && asked.generation == told.generation)
    };
    let ending = status.attachments.iter().filter(|told| !is_asked(told));
    let ending = ending.map(|told| AttachmentState {
        node_name: told.node_name.clone(),
        generation: told.generation,
        is_asked_for: false,
        is_read_only: false,
        is_usable: false,
        way: None,
        message: Some(
            told.message
                .clone()
                .unwrap_or_else(|| "it is being ended".to_owned()),
        ),
    });
    asked.chain(ending).collect()
}

fn way(told: &AttachmentStatus) -> Option<String> {
    let target = told.target.as_ref().map(connection);
    told.device_path.clone().or(target)
}

fn connection(target: &TargetStatus) -> String {
    let portals: Vec<String> = target.portals.iter().map(ToString::to_string).collect();
    format!("{} at {}", target.nqn, portals.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::volume;
    use serde_json::json;

    #[test]
    fn an_attachment_is_usable_in_the_generation_that_is_asked_for() {
        let asked = json!([{"nodeName": "a", "generation": 2}]);
        let device = |generation: u64| json!({"nodeName": "a", "generation": generation, "devicePath": "/dev/x"});
        let waits = json!({"nodeName": "a", "generation": 2, "message": "it is open"});
        let rows = [
            (
                json!([]),
                vec![(true, false, Some("the agent has not granted it yet"))],
            ),
            (json!([device(2)]), vec![(true, true, None)]),
            (json!([waits]), vec![(true, false, Some("it is open"))]),
            (
                json!([device(1)]),
                vec![
                    (true, false, Some("the agent has not granted it yet")),
                    (false, false, Some("it is being ended")),
                ],
            ),
        ];
        for (told, states) in rows {
            let status = json!({"phase": "Ready", "attachments": told});
            let found = attachments(&volume("v", json!({"attachments": asked}), status));
            let found: Vec<_> = found
                .iter()
                .map(|one| (one.is_asked_for, one.is_usable, one.message.as_deref()))
                .collect();
            assert_eq!(found, states, "{told}");
        }
    }
}
