//! What the controller decides, as tables.

mod decisions;
mod elections;
mod homes;
mod ledgers;
mod tombstones;

use weir_api::crd::{StoragePool, Volume};

/// An object as an API shows it; `json` is laid over it.
fn object(kind: &str, spec: serde_json::Value, json: &serde_json::Value) -> serde_json::Value {
    let mut whole = serde_json::json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "o", "uid": "u", "resourceVersion": "5", "generation": 1},
        "spec": spec,
    });
    json_patch::merge(&mut whole, json);
    whole
}

pub(super) fn volume(json: serde_json::Value) -> Volume {
    let spec = serde_json::json!({
        "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "capacityBytes": 1u64 << 30,
    });
    serde_json::from_value(object("Volume", spec, &json)).unwrap()
}

pub(super) fn pool(json: serde_json::Value) -> StoragePool {
    let spec = serde_json::json!({
        "nodeName": "n",
        "engine": {"kernel": {"volumeGroup": "vg", "devices": ["/dev/vda"]}},
    });
    serde_json::from_value(object("StoragePool", spec, &json)).unwrap()
}

pub(super) fn condition(kind: &str, status: &str, reason: &str) -> serde_json::Value {
    serde_json::json!([{"type": kind, "status": status, "reason": reason, "message": "m"}])
}
