//! What Leases tell: who leads, and which agents are alive.
//!
//! A Lease's time is that of its holder's clock, and a command looks once: it can only compare it with this
//! machine's. So it says that it did. The controller, which goes by its own clock alone, is believed first.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use weir_api::names::NodeName;

use crate::elapsed;

/// After so much silence an agent is silent, where its Lease does not say.
const AGENT_SECONDS: i32 = 40;
/// The same of a controller.
const CONTROLLER_SECONDS: i32 = 15;

/// The controller, as its Lease tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Controller {
    /// Who leads, or led last.
    pub(crate) leader: Option<String>,
    /// Whether anybody leads now.
    pub(crate) is_leading: bool,
    /// When the Lease was renewed last.
    pub(crate) renewed_seconds_ago: Option<u64>,
}

/// A node's agent, as its Lease tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Agent {
    /// The node.
    pub(crate) node_name: NodeName,
    /// Whether it is heard.
    pub(crate) hearing: Hearing,
    /// When the Lease was renewed last.
    pub(crate) renewed_seconds_ago: Option<u64>,
}

/// Whether an agent is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Hearing {
    /// It renews its Lease.
    Heard,
    /// It has not for too long.
    Silent,
    /// It has no Lease.
    Never,
}

impl Controller {
    /// What the controllers' Lease tells.
    pub(crate) fn of(lease: Option<&Lease>, now: Timestamp) -> Self {
        let renewed = lease.and_then(|lease| renewed(lease, now));
        let holder = lease.and_then(holder);
        let lasts = lease.map_or(0, |lease| duration(lease, CONTROLLER_SECONDS));
        Controller {
            is_leading: holder.is_some() && renewed.is_some_and(|ago| ago.as_secs() <= lasts),
            leader: holder.map(str::to_owned),
            renewed_seconds_ago: renewed.map(|ago| ago.as_secs()),
        }
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        let ago = self
            .renewed_seconds_ago
            .map(Duration::from_secs)
            .map(elapsed::words);
        let ago = ago.unwrap_or_else(|| "an unknown time".to_owned());
        match (&self.leader, self.is_leading) {
            (Some(leader), true) => format!("{leader} leads, heard {ago} ago"),
            (Some(leader), false) => format!(
                "nobody leads: {leader} did last, and was heard {ago} ago by this machine's clock"
            ),
            (None, _) if self.renewed_seconds_ago.is_some() => {
                format!("nobody leads: the last one stopped {ago} ago")
            }
            (None, _) => "nobody leads, and nobody ever did".to_owned(),
        }
    }
}

impl Agent {
    /// What an agent's Lease tells.
    pub(crate) fn of(node: &NodeName, lease: Option<&Lease>, now: Timestamp) -> Self {
        let ago = lease.and_then(|lease| renewed(lease, now));
        let lasts = lease.map_or(0, |lease| duration(lease, AGENT_SECONDS));
        Agent {
            node_name: node.clone(),
            hearing: match ago {
                Some(ago) if ago.as_secs() <= lasts => Hearing::Heard,
                Some(_) => Hearing::Silent,
                None => Hearing::Never,
            },
            renewed_seconds_ago: ago.map(|ago| ago.as_secs()),
        }
    }

    /// In words, behind "the agent".
    pub(crate) fn words(&self) -> String {
        let ago = self.renewed_seconds_ago.unwrap_or_default();
        let ago = elapsed::words(Duration::from_secs(ago));
        match self.hearing {
            Hearing::Heard => format!("was heard {ago} ago"),
            Hearing::Silent => format!("is silent for {ago} by this machine's clock"),
            Hearing::Never => "was never heard".to_owned(),
        }
    }
}

/// The node whose agent's Lease this is, of those in the agents' namespace.
pub(crate) fn node_of(lease: &Lease) -> Option<NodeName> {
    let node: NodeName = holder(lease)?.parse().ok()?;
    (lease.metadata.name.as_deref() == Some(node.agent_lease())).then_some(node)
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    holder.filter(|holder| !holder.is_empty())
}

fn renewed(lease: &Lease, now: Timestamp) -> Option<Duration> {
    let at = lease.spec.as_ref()?.renew_time.as_ref()?;
    Some(elapsed::since(at.0, now))
}

fn duration(lease: &Lease, usual: i32) -> u64 {
    let said = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    u64::try_from(said.unwrap_or(usual)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2026-11-27T12:00:00Z".parse().unwrap()
    }

    fn lease(name: &str, holder: &str, renewed: &str, seconds: i32) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds},
        }))
        .unwrap()
    }

    #[test]
    fn a_leader_is_one_whose_lease_lasts() {
        let rows = [
            (None, false, "nobody ever did"),
            (
                Some(("c-1", "2026-11-27T11:59:58.000000Z")),
                true,
                "c-1 leads, heard 2 s ago",
            ),
            // Its clock is ahead of ours.
            (
                Some(("c-1", "2026-11-27T12:00:30.000000Z")),
                true,
                "c-1 leads, heard 0 s ago",
            ),
            (
                Some(("c-1", "2026-11-27T11:58:58.000000Z")),
                false,
                "c-1 did last, and was heard 1 min 2 s ago",
            ),
            (
                Some(("", "2026-11-27T11:58:00.000000Z")),
                false,
                "the last one stopped 2 min ago",
            ),
        ];
        for (held, is_leading, words) in rows {
            let lease = held.map(|(holder, renewed)| lease("weir-controller", holder, renewed, 10));
            let controller = Controller::of(lease.as_ref(), now());
            assert_eq!(controller.is_leading, is_leading, "{held:?}");
            assert!(controller.words().contains(words), "{}", controller.words());
        }
    }

    #[test]
    fn an_agent_is_silent_when_its_lease_is_over() {
        let node: NodeName = "n".parse().unwrap();
        let rows = [
            (None, Hearing::Never),
            (Some("2026-11-27T11:59:20.000000Z"), Hearing::Heard),
            (Some("2026-11-27T11:59:19.000000Z"), Hearing::Silent),
        ];
        for (renewed, hearing) in rows {
            let lease = renewed.map(|renewed| lease("n", "n", renewed, 40));
            assert_eq!(
                Agent::of(&node, lease.as_ref(), now()).hearing,
                hearing,
                "{renewed:?}"
            );
        }
    }

    #[test]
    fn a_lease_of_another_name_than_its_holders_is_no_agents() {
        let at = "2026-11-27T12:00:00.000000Z";
        assert_eq!(node_of(&lease("weir-n", "n", at, 40)), None);
        assert_eq!(node_of(&lease("n", "n", at, 40)).unwrap().as_str(), "n");
    }
}
