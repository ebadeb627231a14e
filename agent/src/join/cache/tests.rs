//! What is known, and what that comes to.

use kube::api::DynamicObject;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const OURS: ClusterId = ClusterId(Uuid::from_u128(1));
const THEIRS: ClusterId = ClusterId(Uuid::from_u128(2));

fn known(kind: Kind, object: Value) -> Known {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    Known::of(kind, object).unwrap()
}

fn pool(name: &str) -> Known {
    known(
        Kind::Pool,
        json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"nodeName": "n", "engine": {"kernel": {"volumeGroup": "vg0"}}},
        }),
    )
}

fn volume(name: &str, pool: &str, version: u32, more: Value) -> Known {
    let mut spec = json!({
        "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "capacityBytes": 4096,
        "poolName": pool,
    });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    known(
        Kind::Volume,
        json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": version.to_string()},
            "spec": spec,
        }),
    )
}

fn of(pool: &str) -> Place {
    Place::Volumes(pool.parse().unwrap())
}

/// With pool `p`, nothing else recorded, and volume `a` in it.
fn cache() -> Cache {
    let mut cache = Cache::default();
    cache.listed(&Place::Pools, OURS, vec![pool("p")]);
    cache.listed(&of("p"), OURS, vec![volume("a", "p", 2, Value::Null)]);
    cache.keeps(BTreeSet::new());
    cache
}

fn volumes(cache: &Cache) -> Vec<String> {
    let requests = cache.requests();
    requests.volumes.keys().map(ToString::to_string).collect()
}

/// Seen red with: the three conditions of `unknown` removed in turn.
#[test]
fn what_was_not_listed_completely_is_unknown() {
    let mut cache = Cache::default();
    let is_known = |cache: &Cache| cache.requests().unreadable.is_none();
    assert!(!is_known(&cache));
    cache.keeps(BTreeSet::from(["kept".parse().unwrap()]));
    assert!(!is_known(&cache), "no pools");
    cache.listed(&Place::Pools, OURS, vec![pool("p")]);
    cache.listed(&of("p"), OURS, Vec::new());
    assert!(
        !is_known(&cache),
        "not the volumes of the pool that is recorded"
    );
    assert!(cache.listed(&of("kept"), OURS, Vec::new()).asks);
    assert!(is_known(&cache));
    let mut cache = Cache::default();
    cache.keeps(BTreeSet::new());
    assert!(!is_known(&cache), "no pools, and none is recorded");
    let mut cache = Cache::default();
    cache.listed(&Place::Pools, OURS, Vec::new());
    assert!(!is_known(&cache), "nobody looked at the node");
    assert!(cache.keeps(BTreeSet::new()).asks);
    assert!(is_known(&cache));
    cache.changed(&Place::Pools, OURS, pool("new")).unwrap();
    assert!(!is_known(&cache), "not the volumes of a new pool");
}

#[test]
fn only_what_asks_for_something_else_wakes_the_engine() {
    let mut cache = cache();
    let mut told = volume("a", "p", 3, Value::Null);
    told.status = json!({"phase": "Ready"});
    let effect = cache.changed(&of("p"), OURS, told.clone()).unwrap();
    assert_eq!((effect.asks, effect.status), (false, true));
    let again = cache.listed(&of("p"), OURS, vec![told.clone()]);
    assert!(!again.asks);
    let effect = cache.changed(
        &of("p"),
        OURS,
        volume("a", "p", 4, json!({"capacityBytes": 8192})),
    );
    assert!(effect.unwrap().asks);
    let gone = cache.gone(&of("p"), OURS, &told).unwrap();
    assert!(gone.asks);
    assert!(volumes(&cache).is_empty());
}

/// Seen red with: the guard in `changed` removed.
#[test]
fn an_older_state_does_not_replace_a_newer_one() {
    let mut cache = cache();
    let written = volume("a", "p", 5, Value::Null);
    cache.wrote(Kind::Volume, written);
    let late = volume("a", "p", 4, json!({"capacityBytes": 8192}));
    assert_eq!(cache.changed(&of("p"), OURS, late), Some(Effect::default()));
    assert_eq!(cache.known(Kind::Volume, "a").unwrap().version, "5");
}

/// Seen red with: `is_other` in `listed` made `false`.
#[test]
fn another_clusters_answer_makes_all_that_is_known_unknown() {
    let mut cache = cache();
    assert!(cache.listed(&Place::Pools, THEIRS, vec![pool("p")]).asks);
    let requests = cache.requests();
    assert_eq!(requests.cluster, Some(THEIRS));
    assert!(requests.unreadable.is_some() && requests.volumes.is_empty());
    let late = volume("a", "p", 9, Value::Null);
    assert_eq!(cache.changed(&of("p"), OURS, late), None);
}

#[test]
fn what_an_agent_cannot_serve_is_named() {
    let mut cache = cache();
    let mirror = volume("m", "p", 3, json!({"layout": "mirror", "new": 1}));
    cache.changed(&of("p"), OURS, mirror).unwrap();
    let requests = cache.requests();
    assert_eq!(requests.volumes.len(), 1);
    let name = "m".parse().unwrap();
    let invalid = requests.invalid_for("Volume", &name).unwrap();
    assert!(invalid.error.starts_with("spec.layout: "), "{invalid:?}");
    assert_eq!(invalid.file, "volume-m");
}

/// Seen red with: `is_deleted` in `Known::of` made `false` for volumes.
#[test]
fn what_an_agent_cannot_serve_can_be_deleted() {
    let deleted = json!({
        "metadata": {
            "name": "m", "uid": "m", "resourceVersion": "3", "deletionTimestamp": "2026-11-27T00:00:00Z",
        },
        "spec": {
            "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "capacityBytes": 4096, "poolName": "p",
            "layout": "mirror",
        },
    });
    let mut cache = cache();
    let deleted = known(Kind::Volume, deleted);
    cache.changed(&of("p"), OURS, deleted).unwrap();
    let requests = cache.requests();
    assert!(requests.invalid.is_empty(), "{:?}", requests.invalid);
    let name: ObjectName = "m".parse().unwrap();
    assert!(requests.volumes[&name].is_deleted());
}

#[test]
fn placements_fields_are_the_controllers_and_new_ones_are_left_alone() {
    let placed = json!({"engine": "any", "placement": {"locality": "MustLocal"}, "new": 1});
    let placed = volume("a", "p", 1, placed);
    assert!(placed.asked.is_ok(), "{:?}", placed.asked);
}

#[test]
fn a_volume_on_its_way_to_another_pool_is_asked_for_once() {
    let mut cache = cache();
    let kept = ["p", "q"].map(|name| name.parse().unwrap());
    cache.keeps(BTreeSet::from(kept));
    cache.listed(&of("q"), OURS, vec![volume("a", "q", 7, Value::Null)]);
    let requests = cache.requests();
    let volume = requests.volumes.values().next().unwrap();
    assert_eq!(volume.spec.pool_name.as_str(), "q");
}

fn tombstone(name: &str, pool: &str, version: u32, status: Value) -> Known {
    known(
        Kind::Tombstone,
        json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": version.to_string()},
            "spec": {"id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "volumeName": "a", "poolName": pool},
            "status": status,
        }),
    )
}

fn buried(cache: &Cache) -> Vec<Option<String>> {
    let requests = cache.requests();
    let claims = requests.tombstones.values();
    claims.map(|burial| burial.claimed_by.clone()).collect()
}

/// Seen red with: `claim` returning nothing.
#[test]
fn a_tombstone_is_an_order_unless_a_volume_of_its_pool_claims_what_it_is_about() {
    let mut cache = cache();
    let place = Place::Tombstones("p".parse().unwrap());
    let first = tombstone("t", "p", 3, Value::Null);
    assert!(cache.listed(&place, OURS, vec![first]).asks);
    assert_eq!(buried(&cache), [Some("a".to_owned())]);
    // One that can't be served claims it too, and one whose id can't be read.
    for more in [json!({"layout": "mirror"}), json!({"id": 1})] {
        let unserved = volume("a", "p", 4, more);
        assert!(unserved.asked.is_err());
        cache.changed(&of("p"), OURS, unserved).unwrap();
        assert_eq!(buried(&cache), [Some("a".to_owned())]);
    }
    let mut deleted = volume("a", "p", 5, json!({"id": 1}));
    deleted.is_deleted = true;
    assert!(cache.changed(&of("p"), OURS, deleted).unwrap().asks);
    assert_eq!(buried(&cache), [None]);
    let other = json!({"id": "11111111-1111-4111-8111-111111111111"});
    cache
        .changed(&of("p"), OURS, volume("a", "p", 6, other))
        .unwrap();
    assert_eq!(buried(&cache), [None]);
}

/// What is there after it was carried out was made since.
///
/// Seen red with: the look at `phase` in `requests` left out.
#[test]
fn a_tombstone_that_is_done_or_taken_back_orders_nothing() {
    let place = Place::Tombstones("p".parse().unwrap());
    let done = tombstone("t", "p", 3, json!({"phase": "Done"}));
    let mut deleted = tombstone("t", "p", 3, Value::Null);
    deleted.asked = Ok(Asked::Nothing);
    for spent in [done, deleted] {
        let mut cache = cache();
        cache.listed(&place, OURS, vec![spent]);
        assert!(buried(&cache).is_empty());
    }
    let text = json!({
        "metadata": {"name": "t", "deletionTimestamp": "2026-11-27T00:00:00Z"},
        "spec": {"id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "volumeName": "a", "poolName": "p"},
    });
    assert_eq!(known(Kind::Tombstone, text).asked, Ok(Asked::Nothing));
}

#[test]
fn without_tombstones_everything_else_is_known() {
    let cache = cache();
    assert_eq!(cache.requests().unreadable, None);
    assert!(buried(&cache).is_empty());
}
