//! Volumes whose agent is not heard, and the tombstones that stand for it.

use serde_json::{Value, json};

use super::super::decide::{AgentState, Around, Grave, Step, Tidy, tombstone, volume as decide};
use super::super::ledger::NodeFacts;
use super::{object, volume};
use weir_api::condition::{NODE_AVAILABLE, SCHEDULED, Truth};
use weir_api::crd::{Tombstone, Volume};

const DELETED: &str = "2026-11-27T00:00:00Z";

fn deleted(json: Value) -> Volume {
    let mut whole = json!({
        "metadata": {"finalizers": ["weir.dev/data"], "deletionTimestamp": DELETED},
        "spec": {"poolName": "p"},
        "status": {"phase": "Ready", "capacityBytes": 5},
    });
    json_patch::merge(&mut whole, &json);
    volume(whole)
}

fn step(volume: &Volume, agent: Option<AgentState>, graves: &[(&str, bool)]) -> Step {
    let grave = |(pool, stands): &(&str, bool)| Grave {
        pool: pool.parse().unwrap(),
        stands: *stands,
    };
    let graves: Vec<Grave> = graves.iter().map(grave).collect();
    let around = Around {
        held: None,
        agent,
        graves: &graves,
    };
    decide(volume, around)
}

/// Seen red with: `bury` releasing without a tombstone, and with one of another pool.
#[test]
fn an_object_goes_without_its_agents_word_only_when_a_tombstone_stands_for_it() {
    use AgentState::{Dead, Heard, Silent};
    type Row<'a> = (Option<AgentState>, &'a [(&'a str, bool)], Step);
    let bury = || Step::Bury("p".parse().unwrap());
    let rows: [Row<'_>; 11] = [
        (Some(Heard), &[], Step::Nothing),
        (Some(Heard), &[("p", true)], Step::Nothing),
        (Some(Silent), &[], bury()),
        (Some(Dead), &[], bury()),
        // A pool without an object is no order, nor a reason to wait: the person deleted the volume.
        (None, &[], bury()),
        (Some(Silent), &[("p", true)], Step::Release),
        (Some(Dead), &[("p", true)], Step::Release),
        (None, &[("p", true)], Step::Release),
        (Some(Silent), &[("q", true)], bury()),
        // It was carried out, or is being taken back: nobody would follow it.
        (Some(Silent), &[("p", false)], Step::Nothing),
        (Some(Silent), &[("q", true), ("p", false)], Step::Nothing),
    ];
    for (agent, graves, wanted) in rows {
        let found = step(&deleted(json!({})), agent, graves);
        assert_eq!(found, wanted, "{agent:?} {graves:?}");
    }
}

#[test]
fn what_needs_no_tombstone_gets_none() {
    let silent = Some(AgentState::Silent);
    let gone = deleted(json!({"status": {"phase": "Deleted"}}));
    assert_eq!(step(&gone, silent, &[]), Step::Release);
    let unbound = deleted(json!({"spec": {"poolName": null}, "status": null}));
    assert_eq!(step(&unbound, None, &[]), Step::Release);
    // Somebody else's finalizer holds it, and ours is dropped.
    let released = deleted(json!({"metadata": {"finalizers": ["other/one"]}}));
    assert_eq!(step(&released, silent, &[]), Step::Nothing);
    // Nobody ordered anything.
    let live = deleted(json!({"metadata": {"deletionTimestamp": null}}));
    assert!(matches!(step(&live, silent, &[]), Step::Show(_)));
    // The rejection is its agent's word that nothing is there.
    let rejected =
        json!([{"type": "Rejected", "status": "True", "reason": "NoSpace", "message": "m"}]);
    let rejected = deleted(
        json!({"status": {"phase": "Pending", "capacityBytes": 0, "conditions": rejected}}),
    );
    assert!(matches!(step(&rejected, silent, &[]), Step::Unbind(..)));
}

/// Two orders would contradict each other, and what is left may be served under the same id still.
///
/// Seen red with: `decide::volume` without the arm about graves.
#[test]
fn a_volume_whose_id_has_a_tombstone_is_not_placed_until_that_is_gone() {
    let unbound = volume(json!({}));
    for graves in [[("p", true)], [("p", false)]] {
        let Step::Show(told) = step(&unbound, None, &graves) else {
            panic!("{graves:?}");
        };
        assert_eq!(
            (told.kind.as_str(), told.status, told.reason.as_str()),
            (SCHEDULED, Truth::False, "Tombstone")
        );
        assert!(told.message.contains("`p`"), "{}", told.message);
        let known = volume(json!({"status": {"conditions": [told]}}));
        assert_eq!(step(&known, None, &graves), Step::Nothing);
    }
    assert_eq!(step(&unbound, None, &[]), Step::Place);
}

#[test]
fn a_volume_says_when_its_agent_is_not_heard_and_when_it_is_again() {
    use AgentState::{Dead, Heard, Silent};
    let bound = |conditions: Value| {
        let mut whole = deleted(json!({"metadata": {"deletionTimestamp": null}}));
        let mut all: Vec<Value> = vec![json!({
            "type": "Scheduled", "status": "True", "reason": "Bound", "message": "it belongs in pool `p`",
        })];
        all.extend(conditions.as_array().cloned().unwrap_or_default());
        let status = whole.status.as_mut().unwrap();
        status.conditions = serde_json::from_value(all.into()).unwrap();
        whole
    };
    assert_eq!(step(&bound(json!([])), Some(Heard), &[]), Step::Nothing);
    let mut conditions = json!([]);
    for (agent, truth, reason) in [
        (Some(Silent), Truth::Unknown, "AgentSilent"),
        (Some(Dead), Truth::False, "NodeDead"),
        (None, Truth::Unknown, "NotFound"),
        (Some(Heard), Truth::True, "AgentHeard"),
    ] {
        let Step::Show(told) = step(&bound(conditions), agent, &[]) else {
            panic!("{agent:?}");
        };
        let said = (told.kind.as_str(), told.status, told.reason.as_str());
        assert_eq!(said, (NODE_AVAILABLE, truth, reason));
        conditions = json!([told]);
        assert_eq!(step(&bound(conditions.clone()), agent, &[]), Step::Nothing);
    }
}

/// Seen red with: `tombstone` not comparing pools, not comparing ids, not looking at `deletion_timestamp`.
#[test]
fn a_tombstone_goes_when_it_is_done_or_a_volume_claims_what_it_is_about() {
    let of = |json: Value| -> Tombstone {
        let spec = json!({
            "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "volumeName": "o", "poolName": "p",
        });
        serde_json::from_value(object("Tombstone", spec, &json)).unwrap()
    };
    let live = json!({"metadata": {"deletionTimestamp": null}});
    let other = json!({"spec": {"id": "11111111-1111-4111-8111-111111111111"}});
    let with = |more: &Value| {
        let mut json = live.clone();
        json_patch::merge(&mut json, more);
        deleted(json)
    };
    let mut unbound = with(&json!({}));
    unbound.spec.pool_name = None;
    let taken = Tidy::TakeBack("o".parse().unwrap());
    let rows = [
        (vec![], Tidy::Wait),
        (vec![deleted(json!({}))], Tidy::Wait),
        (vec![with(&json!({}))], taken.clone()),
        (vec![with(&other)], Tidy::Wait),
        (vec![with(&json!({"spec": {"poolName": "q"}}))], Tidy::Wait),
        (vec![unbound], Tidy::Wait),
        (vec![with(&other), with(&json!({}))], taken),
    ];
    for (volumes, wanted) in rows {
        assert_eq!(tombstone(&of(json!({})), &volumes), wanted, "{volumes:?}");
    }
    let done = json!({"status": {"phase": "Done"}});
    assert_eq!(tombstone(&of(done), &[]), Tidy::Delete);
    let pending = json!({"status": {"phase": "Pending"}});
    assert_eq!(tombstone(&of(pending), &[]), Tidy::Wait);
    let going = json!({"metadata": {"deletionTimestamp": DELETED}, "status": {"phase": "Done"}});
    assert_eq!(tombstone(&of(going), &[]), Tidy::Wait);
}

/// A kubelet that is not heard says nothing of the agent, and neither does a Node object that is not there.
#[test]
fn a_node_is_off_only_where_somebody_says_so() {
    let is_off =
        |json: Value| NodeFacts::of(&serde_json::from_value(json).unwrap()).is_out_of_service;
    let status = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
    let taint = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoExecute"}]}});
    for (json, wanted) in [
        (json!({}), false),
        (status("Ready", "False"), false),
        (status("Ready", "Unknown"), false),
        (taint("node.kubernetes.io/unreachable"), false),
        (taint("node.kubernetes.io/out-of-service"), true),
        (status("OutOfService", "True"), true),
        (status("OutOfService", "False"), false),
        (json!({"spec": {"unschedulable": true}}), false),
        (json!({"metadata": {"deletionTimestamp": DELETED}}), false),
    ] {
        assert_eq!(is_off(json.clone()), wanted, "{json}");
    }
}
