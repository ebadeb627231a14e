//! What matters here of a cluster's Node objects.

use k8s_openapi::api::core::v1::Node;

/// Whether a node's object says that nothing new is to be put there. The controller takes it for the node's pools
/// too.
pub(crate) fn is_cordoned(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.unschedulable).unwrap_or(false)
}
