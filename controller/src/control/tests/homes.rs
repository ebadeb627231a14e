//! Where volumes belong that name no pool.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_api::condition::reason;
use weir_api::crd::{StoragePool, Volume};

use super::super::decide::{Home, Homing, home};
use super::super::ledger::Ledger;
use weir_placement::{Health, PoolView};

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn pool(name: &str, status: Value) -> StoragePool {
    serde_json::from_value(json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": name},
        "spec": {"nodeName": "n", "engine": {"kernel": {"volumeGroup": "vg0"}}},
        "status": status,
    }))
    .unwrap()
}

fn volume(name: &str, second: u32, more: &Value) -> Volume {
    let mut object = json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume",
        "metadata": {
            "name": name, "uid": format!("uid-{name}-{second}"),
            "creationTimestamp": format!("2026-11-27T00:00:{second:02}Z"),
        },
        "spec": {"id": ID, "capacityBytes": 1},
    });
    if let Some(more) = more.as_object() {
        object["spec"].as_object_mut().unwrap().extend(more.clone());
    }
    serde_json::from_value(object).unwrap()
}

fn lists(ids: &[&str], count: u32) -> Value {
    let volumes: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "name": "a", "capacityBytes": 1}))
        .collect();
    json!({"orphans": count, "orphanVolumes": volumes})
}

fn see(ledger: &mut Ledger, volume: &Volume) {
    let name = volume.metadata.name.clone().unwrap();
    ledger.see_volume(&name, Arc::new(volume.clone()));
}

fn name(name: &str) -> weir_api::names::ObjectName {
    name.parse().unwrap()
}

/// Seen red with: `see_pool` in `whereabouts.rs` taking a pool without `orphans` for one that told.
#[test]
fn what_a_pool_lists_is_there_and_what_may_be_unlisted_is_unknown() {
    let mut ledger = Ledger::default();
    let new = volume("a", 1, &Value::Null);
    see(&mut ledger, &new);
    ledger.see_pool(&pool("p", lists(&[], 0)));
    assert_eq!(ledger.home("a", &new), Home::Anywhere);
    ledger.see_pool(&pool("q", Value::Null));
    assert_eq!(ledger.home("a", &new), Home::Unknown(vec![name("q")]));
    ledger.see_pool(&pool("q", lists(&[], 2000)));
    assert_eq!(
        ledger.home("a", &new),
        Home::Unknown(vec![name("q")]),
        "cut short"
    );
    ledger.see_pool(&pool("q", lists(&[ID], 2000)));
    assert_eq!(ledger.home("a", &new), Home::In(name("q")));
    ledger.see_pool(&pool("p", lists(&[ID], 1)));
    assert_eq!(
        ledger.home("a", &new),
        Home::Several(vec![name("p"), name("q")])
    );
    // Its pool's object is gone; it is there still.
    ledger.see_pool(&pool("p", lists(&[], 0)));
    ledger.forget_pool(&name("q"));
    assert_eq!(ledger.home("a", &new), Home::In(name("q")));
}

/// Seen red with: `forget_volume` in `whereabouts.rs` remembering nothing.
#[test]
fn an_object_that_vanished_and_is_back_sooner_than_its_pools_agent_tells() {
    let mut ledger = Ledger::default();
    ledger.see_pool(&pool("p", lists(&[], 0)));
    ledger.see_pool(&pool("q", lists(&[], 0)));
    see(&mut ledger, &volume("a", 1, &json!({"poolName": "q"})));
    ledger.forget_volume("a");
    let again = volume("a", 2, &Value::Null);
    see(&mut ledger, &again);
    assert_eq!(ledger.home("a", &again), Home::In(name("q")));
    // The same, of which the watch shows only the new object.
    see(&mut ledger, &volume("a", 2, &json!({"poolName": "q"})));
    let third = volume("a", 3, &Value::Null);
    see(&mut ledger, &third);
    assert_eq!(ledger.home("a", &third), Home::In(name("q")));
    // Deleted in good order it is nowhere.
    let mut ended = volume("a", 3, &json!({"poolName": "q"}));
    see(&mut ledger, &ended);
    ended.status = Some(serde_json::from_value(json!({"phase": "Deleted"})).unwrap());
    see(&mut ledger, &ended);
    ledger.forget_volume("a");
    let new = volume("a", 4, &Value::Null);
    see(&mut ledger, &new);
    assert_eq!(ledger.home("a", &new), Home::Anywhere);
}

/// Seen red with: `ahead` in `Ledger::home` made empty.
#[test]
fn of_several_objects_with_one_id_one_is_bound() {
    let mut ledger = Ledger::default();
    let (old, young) = (volume("b", 1, &Value::Null), volume("a", 2, &Value::Null));
    see(&mut ledger, &old);
    see(&mut ledger, &young);
    assert_eq!(ledger.home("b", &old), Home::Anywhere);
    assert_eq!(ledger.home("a", &young), Home::Taken("b".to_owned()));
    let bound = volume("a", 2, &json!({"poolName": "p"}));
    see(&mut ledger, &bound);
    assert_eq!(ledger.home("b", &old), Home::Taken("a".to_owned()));
}

/// Seen red with: the arm of `Health::NotReady` in `home` made to place.
#[test]
fn a_volume_goes_where_its_data_is_or_waits_for_that_pool() {
    let mut view = PoolView::of(&pool("p", Value::Null)).unwrap();
    let there = Home::In(name("p"));
    for health in [
        Health::NotReady,
        Health::Silent,
        Health::NodeDead,
        Health::Deleted,
    ] {
        view.health = health;
        let Homing::Wait(said) = home(&there, Some(&view), false) else {
            panic!("{health:?}");
        };
        assert_eq!(said.reason, reason::ORPHAN_ELSEWHERE);
        assert!(said.message.contains("`p`"), "{}", said.message);
    }
    assert!(matches!(home(&there, None, false), Homing::Wait(_)));
    view.health = Health::Ready;
    view.is_cordoned = true;
    assert_eq!(home(&there, Some(&view), false), Homing::Bind(name("p")));
    assert!(matches!(home(&there, Some(&view), true), Homing::Wait(_)));
    let unknown = Home::Unknown(vec![name("p"), name("q")]);
    assert!(
        matches!(home(&unknown, None, false), Homing::Wait(said) if said.message.contains("`p`, `q`"))
    );
    assert!(
        matches!(home(&Home::Taken("b".to_owned()), None, false), Homing::Wait(said) if said.reason == reason::ID_IN_USE)
    );
    assert_eq!(home(&Home::Anywhere, None, false), Homing::Place);
}
