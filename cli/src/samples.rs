//! Objects for tests.

use serde_json::{Value, json};
use weir_api::crd::{StoragePool, Volume};

use crate::lease::{Agent, Controller, Hearing};

pub(crate) const ID: &str = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";

/// A pool; `spec` is put over the usual one.
pub(crate) fn pool(name: &str, node: &str, spec: Value, status: Value) -> StoragePool {
    let usual = json!({"nodeName": node, "engine": {"kernel": {"volumeGroup": "vg"}}});
    object("StoragePool", name, over(usual, spec), status)
}

/// A volume of 1 GiB; `spec` is put over the usual one.
pub(crate) fn volume(name: &str, spec: Value, status: Value) -> Volume {
    let usual = json!({"id": ID, "capacityBytes": 1 << 30});
    object("Volume", name, over(usual, spec), status)
}

/// The same, deleted.
pub(crate) fn deleted(mut volume: Volume, at: &str) -> Volume {
    volume.metadata.deletion_timestamp = Some(serde_json::from_value(json!(at)).unwrap());
    volume
}

pub(crate) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message})
}

pub(crate) fn agent(node: &str, hearing: Hearing) -> Agent {
    Agent {
        node_name: node.parse().unwrap(),
        hearing,
        renewed_seconds_ago: (hearing != Hearing::Never).then_some(3),
    }
}

pub(crate) fn controller(is_leading: bool) -> Controller {
    Controller {
        leader: Some("ctl-1".to_owned()),
        is_leading,
        renewed_seconds_ago: Some(2),
    }
}

fn over(mut usual: Value, spec: Value) -> Value {
    if let (Some(usual), Value::Object(spec)) = (usual.as_object_mut(), spec) {
        usual.extend(spec);
    }
    usual
}

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: Value, status: Value) -> K {
    let mut whole = json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "generation": 1, "creationTimestamp": "2026-11-27T11:00:00Z"},
        "spec": spec,
    });
    if !status.is_null() {
        let mut usual = status;
        if usual.get("conditions").is_none() {
            usual["conditions"] = json!([]);
        }
        whole["status"] = usual;
    }
    serde_json::from_value(whole).unwrap()
}
