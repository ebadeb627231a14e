//! The samples that ship with Weir, and what the recorded types make of objects.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::judge;
use crate::crd;

macro_rules! sample {
    ($file:literal) => {
        include_str!(concat!("../../../../deploy/samples/", $file))
    };
}

const SAMPLES: [&str; 6] = [
    sample!("pool.yaml"),
    sample!("volume.yaml"),
    sample!("snapshot.yaml"),
    sample!("volumeset.yaml"),
    sample!("volumemigration.yaml"),
    sample!("tombstone.yaml"),
];

/// A sample as JSON, by its kind.
pub(super) fn sample(kind: &str) -> Value {
    let all = SAMPLES
        .iter()
        .map(|text| serde_yaml_ng::from_str::<Value>(text).unwrap());
    all.into_iter()
        .find(|object| object["kind"] == kind)
        .expect(kind)
}

/// Reads an object as a type, and writes it: nothing is lost and nothing but defaults is added.
fn survives<T: DeserializeOwned + Serialize>(object: &Value) {
    let typed: T = serde_json::from_value(object.clone()).unwrap();
    let mut written = serde_json::to_value(typed).unwrap();
    let mut filled = object.clone();
    let schema = super::schema(object["kind"].as_str().unwrap());
    judge::fill(&schema, &mut filled);
    judge::fill(&schema, &mut written);
    assert_eq!(written, filled);
}

fn survives_as_its_kind(object: &Value) {
    match object["kind"].as_str().unwrap() {
        "StoragePool" => survives::<crd::StoragePool>(object),
        "Volume" => survives::<crd::Volume>(object),
        "Snapshot" => survives::<crd::Snapshot>(object),
        "VolumeSet" => survives::<crd::VolumeSet>(object),
        "VolumeMigration" => survives::<crd::VolumeMigration>(object),
        "Tombstone" => survives::<crd::Tombstone>(object),
        other => panic!("{other}"),
    }
}

#[test]
fn every_sample_is_taken_and_read() {
    for definition in crd::all() {
        let kind = &definition.spec.names.kind;
        let object = sample(kind);
        assert_eq!(object["apiVersion"], crate::names::API_VERSION);
        assert_eq!(judge::create(kind, &object), Vec::<String>::new(), "{kind}");
        survives_as_its_kind(&object);
    }
}

/// The types' defaults and the schemas' defaults are the same values: what is left out means the same to
/// whoever reads an object before a server filled it in.
#[test]
fn what_is_left_out_means_the_same_to_types_and_schemas() {
    for definition in crd::all() {
        let kind = &definition.spec.names.kind;
        let object = sample(kind);
        let mut filled = object.clone();
        judge::fill(&super::schema(kind), &mut filled);
        let typed = |object: &Value| match kind.as_str() {
            "StoragePool" => format!(
                "{:?}",
                serde_json::from_value::<crd::StoragePool>(object.clone()).unwrap()
            ),
            "Volume" => format!(
                "{:?}",
                serde_json::from_value::<crd::Volume>(object.clone()).unwrap()
            ),
            "Snapshot" => format!(
                "{:?}",
                serde_json::from_value::<crd::Snapshot>(object.clone()).unwrap()
            ),
            "VolumeSet" => format!(
                "{:?}",
                serde_json::from_value::<crd::VolumeSet>(object.clone()).unwrap()
            ),
            "VolumeMigration" => format!(
                "{:?}",
                serde_json::from_value::<crd::VolumeMigration>(object.clone()).unwrap()
            ),
            _ => format!(
                "{:?}",
                serde_json::from_value::<crd::Tombstone>(object.clone()).unwrap()
            ),
        };
        assert_eq!(typed(&object), typed(&filled));
    }
}

/// The sample is called as the controller would call it.
#[test]
fn a_tombstone_is_called_by_what_it_orders() {
    let object: crd::Tombstone = serde_json::from_value(sample("Tombstone")).unwrap();
    let name = object.spec.id.tombstone(&object.spec.pool_name);
    assert_eq!(object.metadata.name, Some(name));
}

/// What an agent publishes is a status that an API server takes.
#[test]
fn an_agents_statuses_are_taken() {
    let mut pool = sample("StoragePool");
    pool["status"] = serde_json::json!({
        "capacityBytes": 1u64 << 40, "freeBytes": 1u64 << 39,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "AsAsked", "message": "it is served"},
            {"type": "DevicesPresent", "status": "Unknown", "reason": "AsAsked", "message": ""},
        ],
    });
    assert_eq!(judge::create("StoragePool", &pool), Vec::<String>::new());
    survives_as_its_kind(&pool);
    let target = serde_json::json!({
        "nqn": "nqn.2026-11.dev.weir:7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "hostNqn": "nqn.2026-11.dev.weir:host:app-1:3",
        "nsid": 1, "uuid": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "portals": [{"transport": "tcp", "address": "10.0.0.11", "port": 4420}],
    });
    let mut volume = sample("Volume");
    volume["status"] = serde_json::json!({
        "phase": "Ready", "nodeName": "storage-1", "capacityBytes": 21474836480u64, "target": target,
        "attachments": [{"nodeName": "app-1", "generation": 1, "target": target, "message": "wait"}],
        "latency": {"p99": "820us", "windowSeconds": 60, "rung": "ebpf", "observedAt": "2026-11-22T10:00:00Z",
                    "read": {"count": 10, "p50": "100us", "p99": "820us"}},
        "placement": {"poolName": "fast", "seed": -1, "candidates": [{"poolName": "fast", "inFlight": 3}],
                      "filtered": [{"filter": "capacity", "count": 2, "examples": ["slow"]}]},
        "conditions": [{"type": "Ready", "status": "True", "reason": "AsAsked", "message": "it is there",
                        "lastTransitionTime": "2026-11-22T10:00:00Z", "observedGeneration": 2}],
        "observedGeneration": 2,
    });
    assert_eq!(judge::create("Volume", &volume), Vec::<String>::new());
    survives_as_its_kind(&volume);
}

/// A client that is older than the definitions reads on.
#[test]
fn a_field_that_is_not_known_yet_does_not_stop_a_client() {
    let mut volume = sample("Volume");
    volume["spec"]["later"] = true.into();
    volume["spec"]["attachments"][0]["later"] = 1.into();
    serde_json::from_value::<crd::Volume>(volume.clone()).unwrap();
    assert!(crate::parse(&volume.to_string()).is_err());
}
