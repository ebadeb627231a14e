//! Summaries of small clusters.

use serde_json::{Value, json};

use super::*;
use crate::samples::{condition, pool, volume};

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

pub(super) fn lease(name: &str, holder: &str, renewed: &str) -> Lease {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 40},
    }))
    .unwrap()
}

const JUST_NOW: &str = "2026-11-27T11:59:57.000000Z";
const LONG_AGO: &str = "2026-11-27T11:50:00.000000Z";

fn ready() -> Value {
    json!({
        "capacityBytes": 100_u64 << 30, "freeBytes": 60_u64 << 30,
        "conditions": [condition("Ready", "True", "AsAsked", "it is served")],
    })
}

fn summary(
    leases: &[Lease],
    election: Option<&Lease>,
    pools: &[StoragePool],
    volumes: &[Volume],
) -> Summary {
    let cluster = Cluster {
        now: now(),
        election,
        leases,
        cordoned: &BTreeSet::from(["n3".to_owned()]),
        pools,
    };
    let mut gathering = cluster.gather();
    volumes.iter().for_each(|volume| gathering.volume(volume));
    gathering.finish()
}

fn reasons(summary: &Summary) -> Vec<String> {
    let say = |one: &Concerns| format!("{} {} {}", one.kind, one.reason, one.names.join(" "));
    summary.wrong.iter().map(say).collect()
}

#[test]
fn a_cluster_in_which_nothing_is_wrong() {
    let election = lease("weir-controller", "ctl-1", JUST_NOW);
    let leases = [lease("n1", "n1", JUST_NOW)];
    let pools = [pool("fast", "n1", json!({}), ready())];
    let serving =
        json!({"phase": "Ready", "conditions": [condition("Ready", "True", "AsAsked", "")]});
    let volumes = [volume("v", json!({"poolName": "fast"}), serving)];
    let found = summary(&leases, Some(&election), &pools, &volumes);
    assert_eq!(reasons(&found), Vec::<String>::new());
    assert_eq!(found.capacity.used_bytes, Bytes(40 << 30));
    assert_eq!(found.capacity.usable_bytes, Bytes(60 << 30));
    assert_eq!(
        (found.volumes.total, found.volumes.by_phase["Ready"]),
        (1, 1)
    );
    assert_eq!((found.agents.len(), found.pools[0].volumes), (1, 1));
}

#[test]
fn everything_that_is_wrong_is_said_once() {
    let leases = [
        lease("n1", "n1", JUST_NOW),
        lease("n2", "n2", LONG_AGO),
        lease("user", "user", LONG_AGO),
    ];
    let silent = json!({
        "capacityBytes": 10, "freeBytes": 10,
        "conditions": [condition("Ready", "Unknown", "AgentSilent", "the agent on node `n2` does not renew its Lease")],
    });
    let pools = [
        pool("closed", "n1", json!({"unschedulable": true}), ready()),
        pool("gone", "n2", json!({}), silent),
        pool("kept", "n3", json!({}), ready()),
    ];
    let serving =
        json!({"phase": "Ready", "conditions": [condition("Ready", "True", "AsAsked", "")]});
    let lost = |name: &str| volume(name, json!({"poolName": "gone"}), serving.clone());
    let volumes = [
        lost("a"),
        lost("b"),
        volume("c", json!({"poolName": "nowhere"}), Value::Null),
        volume("d", json!({}), Value::Null),
    ];
    let found = summary(&leases, None, &pools, &volumes);
    assert_eq!(
        reasons(&found),
        [
            "Controller NoLeader none",
            "StoragePool AgentSilent gone",
            "Volume NoLeader d",
            "Volume PoolNotFound c",
            "Agent AgentNeverHeard n3",
            "Agent AgentSilent user",
            "Volume AgentSilent a b",
        ]
    );
    assert_eq!(found.volumes.unplaced, 1);
    assert_eq!(found.volumes.by_phase["Pending"], 2);
    // One is cordoned, one not Ready, and the third's node is cordoned.
    assert_eq!(found.capacity.usable_bytes, Bytes(0));
    assert!(
        found
            .wrong
            .iter()
            .all(|one| !one.next.is_empty() && !one.message.is_empty())
    );
}

#[test]
fn a_program_finds_what_is_wrong_by_reason() {
    let found = summary(&[], None, &[], &[]);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["wrong"][0]["reason"], "NoLeader");
    assert_eq!(json["controller"]["isLeading"], false);
    assert_eq!(json["capacity"]["totalBytes"], 0);
}
