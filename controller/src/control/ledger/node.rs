//! A node, as its object tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

/// With this taint a person, or a cloud's controller, says that a node is off and does nothing any more.
const OUT_OF_SERVICE_TAINT: &str = "node.kubernetes.io/out-of-service";
/// The same as a condition.
const OUT_OF_SERVICE_CONDITION: &str = "OutOfService";

/// What matters of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::control) struct NodeFacts {
    pub(in crate::control) labels: Arc<BTreeMap<String, String>>,
    /// Whether it takes nothing new.
    pub(in crate::control) is_cordoned: bool,
    /// Whether it is said to be off.
    pub(in crate::control) is_out_of_service: bool,
}

impl NodeFacts {
    pub(in crate::control) fn of(node: &Node) -> Self {
        let spec = node.spec.as_ref();
        let taints = spec.and_then(|spec| spec.taints.as_ref());
        let conditions = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let has_taint = taints
            .into_iter()
            .flatten()
            .any(|taint| taint.key == OUT_OF_SERVICE_TAINT);
        let has_condition = conditions.into_iter().flatten().any(|condition| {
            condition.type_ == OUT_OF_SERVICE_CONDITION && condition.status == "True"
        });
        NodeFacts {
            labels: Arc::new(node.metadata.labels.clone().unwrap_or_default()),
            is_cordoned: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
            is_out_of_service: has_taint || has_condition,
        }
    }
}
