//! What is to be done about a pool: it is not Ready while nobody is heard who could say so.

use weir_api::condition::{self, Condition, READY, Truth, reason};
use weir_api::crd::StoragePool;

/// What is known of a pool's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// It renews its Lease.
    Heard,
    /// It has not for too long.
    Silent,
    /// It does not, and its node is said to be out of service.
    Dead,
}

/// The condition that the pool is to be given, if that is not the one it has. That it is Ready again, its agent
/// says.
#[must_use]
pub fn pool(pool: &StoragePool, agent: AgentState) -> Option<Condition> {
    let node = &pool.spec.node_name;
    let (truth, reason, message) = match agent {
        AgentState::Heard => return None,
        AgentState::Silent => (
            Truth::Unknown,
            reason::AGENT_SILENT,
            format!(
                "the agent on node `{node}` does not renew its Lease: see whether the node and weir-agent run \
                 there, and whether it reaches this API. Its volumes may be served all the same"
            ),
        ),
        AgentState::Dead => (
            Truth::False,
            reason::NODE_DEAD,
            format!(
                "node `{node}` is out of service, as its Node object says, and its agent is not heard: its \
                 volumes can't be used until it is back"
            ),
        ),
    };
    let conditions = pool.status.as_ref().map(|status| &status.conditions[..]);
    let ready = conditions.and_then(|conditions| condition::get(conditions, READY));
    let is_told = ready.is_some_and(|ready| ready.status == truth && ready.reason == reason);
    (!is_told).then(|| Condition::new(READY, truth, reason, message))
}
