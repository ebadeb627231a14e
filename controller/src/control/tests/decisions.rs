//! What is to be done about one object.

use serde_json::json;

use super::super::decide::{
    AgentState, Around, Held, Step, placed, pool as decide_pool, volume as decide_with,
};
use super::{condition, pool, volume};
use weir_api::condition::{REJECTED, SCHEDULED, Truth, reason};
use weir_placement::{Climate, Holds, VolumeView, place};

const DELETED: &str = "2026-11-27T00:00:00Z";

/// With an agent that is heard, and no tombstone.
fn decide(volume: &weir_api::crd::Volume, held: Option<&Held>) -> Step {
    let around = Around {
        held,
        agent: Some(AgentState::Heard),
        graves: &[],
    };
    decide_with(volume, around)
}

fn ours() -> serde_json::Value {
    json!(["weir.dev/data"])
}

#[test]
fn a_volume_that_nobody_bound_is_placed() {
    assert_eq!(decide(&volume(json!({})), None), Step::Place);
}

/// An answer that was lost may be a bind that is done later: only the same one is safe to repeat.
///
/// Seen red with: `decide::volume` without the arm that compares versions.
#[test]
fn what_is_under_way_is_repeated_and_never_decided_anew() {
    let held = |version: &str, is_written| Held {
        pool: "p".parse().unwrap(),
        version: version.to_owned(),
        is_written,
    };
    let unbound = volume(json!({}));
    let p = "p".parse().unwrap();
    assert_eq!(decide(&unbound, Some(&held("5", false))), Step::Repeat(p));
    assert_eq!(decide(&unbound, Some(&held("5", true))), Step::Nothing);
    // The object is a newer one than the bind asked for: that can't be done any more.
    assert_eq!(decide(&unbound, Some(&held("4", false))), Step::Place);
    assert_eq!(decide(&unbound, Some(&held("4", true))), Step::Place);
}

#[test]
fn a_bound_volume_has_the_finalizer_and_says_so() {
    let bare = volume(json!({"spec": {"poolName": "p"}}));
    assert_eq!(decide(&bare, None), Step::Finalizer);
    let bound = json!({"metadata": {"finalizers": ours()}, "spec": {"poolName": "p"}});
    let Step::Show(told) = decide(&volume(bound.clone()), None) else {
        panic!("a bind is told");
    };
    assert_eq!((told.kind.as_str(), told.status), (SCHEDULED, Truth::True));
    let mut told_already = bound;
    told_already["status"] = json!({"conditions": [told]});
    assert_eq!(decide(&volume(told_already), None), Step::Nothing);
}

/// Seen red with: `decide::volume` releasing every volume that is deleted and has the finalizer.
#[test]
fn an_object_goes_only_when_its_data_is_gone_or_never_was() {
    let deleted = |pool: Option<&str>, status: serde_json::Value| {
        let metadata = json!({"finalizers": ours(), "deletionTimestamp": DELETED});
        let spec = json!({"poolName": pool});
        decide(
            &volume(json!({"metadata": metadata, "spec": spec, "status": status})),
            None,
        )
    };
    for phase in ["Pending", "Creating", "Ready", "Deleting", "Failed"] {
        let status = json!({"phase": phase});
        assert_eq!(deleted(Some("p"), status), Step::Nothing, "{phase}");
    }
    assert_eq!(
        deleted(Some("p"), json!({"phase": "Deleted"})),
        Step::Release
    );
    assert_eq!(deleted(None, json!({})), Step::Release);
    // Somebody cleared the pool of a volume that has data: it is not given up.
    let lost = deleted(None, json!({"phase": "Ready", "capacityBytes": 5}));
    assert!(matches!(lost, Step::Show(_)), "{lost:?}");
}

#[test]
fn a_rejected_volume_is_unbound_then_forgets_it_then_is_placed() {
    let rejected = |pool: Option<&str>, truth: &str, more: serde_json::Value| {
        let mut status = json!({"conditions": condition(REJECTED, truth, "NoSpace")});
        json_patch::merge(&mut status, &more);
        let metadata = json!({"finalizers": ours()});
        let spec = json!({"poolName": pool});
        decide(
            &volume(json!({"metadata": metadata, "spec": spec, "status": status})),
            None,
        )
    };
    let unbind = Step::Unbind("p".parse().unwrap(), "m".to_owned());
    assert_eq!(rejected(Some("p"), "True", json!({})), unbind);
    let Step::Show(told) = rejected(None, "True", json!({})) else {
        panic!("the next agent would find the last one's word");
    };
    assert_eq!((told.kind.as_str(), told.status), (REJECTED, Truth::False));
    assert_eq!(rejected(None, "False", json!({})), Step::Place);
    // Something was made all the same: nobody takes it away.
    for more in [json!({"capacityBytes": 5}), json!({"phase": "Ready"})] {
        let step = rejected(Some("p"), "True", more);
        assert!(matches!(step, Step::Show(_)), "{step:?}");
    }
}

/// Data that is somewhere must not be followed by an empty volume elsewhere.
///
/// Seen red with: `decide::volume` without the arm for volumes that have data and no pool.
#[test]
fn a_volume_that_has_data_or_a_source_is_not_placed() {
    for json in [
        json!({"status": {"phase": "Ready", "capacityBytes": 5}}),
        json!({"status": {"phase": "Creating"}}),
        json!({"spec": {"source": {"volume": "other"}}}),
    ] {
        let text = json.to_string();
        let Step::Show(told) = decide(&volume(json), None) else {
            panic!("{text}");
        };
        assert_eq!((told.kind.as_str(), told.status), (SCHEDULED, Truth::False));
    }
}

#[test]
fn a_volume_that_fits_nowhere_says_why_once() {
    let asked = volume(json!({}));
    let placement = place(
        &[],
        &Climate::default(),
        &VolumeView::of(&asked.spec),
        &Holds::default(),
        1,
    );
    let Step::Show(told) = placed(&asked, &placement, &[]) else {
        panic!("it says nothing");
    };
    assert_eq!(told.reason, reason::NO_POOL_FITS);
    let known = volume(json!({"status": {"conditions": [told]}}));
    assert_eq!(placed(&known, &placement, &[]), Step::Nothing);
}

#[test]
fn a_pool_that_nobody_hears_is_not_ready_and_its_agent_says_when_it_is() {
    let ready = pool(json!({"status": {"conditions": condition("Ready", "True", "AsAsked")}}));
    assert_eq!(decide_pool(&ready, AgentState::Heard), None);
    for (agent, truth, reason) in [
        (AgentState::Silent, Truth::Unknown, "AgentSilent"),
        (AgentState::Dead, Truth::False, "NodeDead"),
    ] {
        let told = decide_pool(&ready, agent).unwrap();
        assert_eq!((told.status, told.reason.as_str()), (truth, reason));
        let known = pool(json!({"status": {"conditions": [told]}}));
        assert_eq!(decide_pool(&known, agent), None);
        assert_eq!(decide_pool(&known, AgentState::Heard), None);
    }
    let fresh = pool(json!({}));
    assert!(decide_pool(&fresh, AgentState::Silent).is_some());
}
