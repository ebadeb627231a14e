//! What has to be written.

use kube::api::DynamicObject;
use uuid::Uuid;
use weir_api::condition::{self, Truth};
use weir_api::names::VolumeId;
use weir_api::volume::VolumeStatus;

use super::*;
use crate::cluster::ClusterId;
use crate::join::cache::Place;

const OURS: ClusterId = ClusterId(Uuid::from_u128(1));

fn known(kind: Kind, object: Value) -> Known {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    Known::of(kind, object).unwrap()
}

fn id(number: u128) -> VolumeId {
    VolumeId(Uuid::from_u128(number))
}

/// An API with pool `p` and volume `a` (1), which the engine found to be Ready.
fn state(status: Value) -> State {
    let pool = json!({
        "metadata": {"name": "p", "uid": "p", "resourceVersion": "1", "generation": 1},
        "spec": {"nodeName": "n", "engine": {"kernel": {"volumeGroup": "vg0"}}},
    });
    let volume = json!({
        "metadata": {"name": "a", "uid": "a", "resourceVersion": "7", "generation": 2},
        "spec": {"id": id(1), "capacityBytes": 4096, "poolName": "p"},
        "status": status,
    });
    let mut state = State::default();
    let pools = vec![known(Kind::Pool, pool)];
    state.cache.listed(&Place::Pools, OURS, pools);
    let place = Place::Volumes("p".parse().unwrap());
    let volumes = vec![known(Kind::Volume, volume)];
    state.cache.listed(&place, OURS, volumes);
    let key = (Kind::Volume, "a".to_owned());
    state.generations.insert(key, 2);
    state.statuses = Some(Statuses {
        cluster: Some(OURS),
        volumes: [("a".parse().unwrap(), (id(1), ready()))].into(),
        ..Statuses::default()
    });
    state
}

fn ready() -> VolumeStatus {
    let said = Condition::new(condition::READY, Truth::True, "AsAsked", "it is there");
    VolumeStatus {
        phase: Phase::Ready,
        conditions: vec![said],
        ..VolumeStatus::default()
    }
}

fn due_of(state: &State) -> BTreeMap<Key, Due> {
    due(state, &"n".parse().unwrap(), &now())
}

#[test]
fn a_status_is_written_once_with_the_version_it_was_made_from() {
    let due = due_of(&state(Value::Null));
    let due = &due[&(Kind::Volume, "a".to_owned())];
    assert_eq!(due.version, "7");
    assert_eq!(due.patch["phase"], "Ready");
    assert_eq!(due.patch["nodeName"], "n");
    assert_eq!(due.patch["observedGeneration"], 2);
    let written: Value = due.patch.clone().into();
    assert!(due_of(&state(written)).is_empty());
}

/// Seen red with: the filter on `known.id` in `found` removed.
#[test]
fn nothing_is_said_of_another_volume_of_the_same_name() {
    let mut state = state(Value::Null);
    let statuses = state.statuses.as_mut().unwrap();
    statuses.volumes.values_mut().next().unwrap().0 = id(2);
    assert!(due_of(&state).is_empty());
}

/// Seen red with: the match on `foreign` in `due` made to go to `found`.
#[test]
fn in_another_clusters_api_only_its_pools_are_told_why() {
    let mut state = state(Value::Null);
    state.statuses.as_mut().unwrap().foreign = Some("not ours".to_owned());
    let due = due_of(&state);
    assert_eq!(due.len(), 1);
    let due = &due[&(Kind::Pool, "p".to_owned())];
    assert_eq!(due.patch["conditions"][0]["reason"], "ForeignCluster");
}

/// Another cluster's API took the place of ours a moment ago, and the engine has not looked at it yet.
///
/// Seen red with: the arm on `heeded` in `due` left out.
#[test]
fn what_was_found_for_one_cluster_is_not_told_to_another() {
    for of in [None, Some(ClusterId(Uuid::from_u128(2)))] {
        let mut state = state(Value::Null);
        state.statuses.as_mut().unwrap().cluster = of;
        assert!(due_of(&state).is_empty());
        assert!(!state.is_heeding());
    }
}

#[test]
fn an_object_that_cannot_be_served_is_told_why() {
    let mut state = state(Value::Null);
    let statuses = state.statuses.as_mut().unwrap();
    statuses.volumes.clear();
    let key = ("Volume".to_owned(), "a".parse().unwrap());
    statuses.invalid.insert(key, "spec.layout: no".to_owned());
    let due = due_of(&state);
    let patch = &due[&(Kind::Volume, "a".to_owned())].patch;
    assert_eq!(patch["phase"], "Pending");
    assert_eq!(patch["conditions"][1]["type"], "Refused");
}

/// Seen red with: `pauses` in `said` made `false`.
#[test]
fn what_is_said_again_and_what_failed_waits_and_what_is_vain_is_left() {
    let key = (Kind::Volume, "a".to_owned());
    let due = due_of(&state(Value::Null)).remove(&key).unwrap();
    let mut past = Past::begins(Instant::now());
    past.said(&key, due.clone(), Ok(due.there.clone()));
    assert!(past.not_before.is_none());
    assert!(past.is_vain(&due), "the API made nothing of it");
    let mut other = due.clone();
    other.there = json!({"phase": "Pending"});
    assert!(!past.is_vain(&other), "somebody wrote over it");
    past.said(&key, due.clone(), Ok(Value::Null));
    assert!(past.not_before.is_some(), "said again");
    let mut past = Past::begins(Instant::now());
    past.said(&key, due, Err(JoinError::Nameless));
    assert!(past.not_before.is_some(), "it failed");
}

/// Found by chaos (`cargo xtask test control`): a pool's free space was told wrongly for good once the API was away at the
/// wrong moment. Seen red with: `self.status = None` left out of `said`.
#[test]
fn what_could_not_be_said_is_said_once_it_can_be() {
    let key = (Kind::Volume, "a".to_owned());
    let due = due_of(&state(Value::Null)).remove(&key).unwrap();
    let mut past = Past::begins(Instant::now());
    past.said(&key, due.clone(), Ok(due.there.clone()));
    let later = Due {
        ours: Ours::conditions(Vec::new()),
        ..due
    };
    past.said(&key, later.clone(), Err(JoinError::Nameless));
    assert!(!past.is_vain(&later), "the API never heard it");
}
