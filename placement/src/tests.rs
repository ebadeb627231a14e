//! What placement decides: tables, and properties of every decision.

mod cases;
mod latency;
mod laws;

use weir_api::crd::{StoragePool, VolumeSpec};
use weir_api::names::ObjectName;

use super::*;

/// Nothing is known of anybody's latency.
pub(super) const CALM: Climate = Climate {
    hot_above: f32::INFINITY,
    of_one: 1.0,
    known: 0,
};

/// A pool as a person and its agent write it; `json` is laid over it.
pub(super) fn pool(name: &str, json: serde_json::Value) -> PoolView {
    let mut whole = serde_json::json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StoragePool",
        "metadata": {"name": name},
        "spec": {
            "nodeName": format!("node-{name}"),
            "engine": {"kernel": {"volumeGroup": "vg", "devices": ["/dev/vda"]}},
            "portals": [{"address": "10.0.0.1"}],
        },
        "status": {"capacityBytes": 100u64 << 30, "freeBytes": 100u64 << 30},
    });
    json_patch::merge(&mut whole, &json);
    let object: StoragePool = serde_json::from_value(whole).unwrap();
    PoolView {
        health: Health::Ready,
        ..PoolView::of(&object).unwrap()
    }
}

/// A volume of one GiB as a person asks for it; `json` is laid over its spec.
pub(super) fn volume(json: serde_json::Value) -> VolumeView {
    let mut whole = serde_json::json!({
        "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        "capacityBytes": 1u64 << 30,
    });
    json_patch::merge(&mut whole, &json);
    VolumeView::of(&serde_json::from_value::<VolumeSpec>(whole).unwrap())
}

pub(super) fn winner(pools: &[PoolView], volume: &VolumeView) -> Option<String> {
    let placement = place(pools, &CALM, volume, &Holds::default(), 1);
    placement.pool().map(ToString::to_string)
}

/// Holds what a placement decided, as the controller does.
pub(super) fn hold(holds: &mut Holds, id: &str, pool: &PoolView, volume: &VolumeView) {
    let hold = Hold {
        pool: pool.name.clone(),
        node: pool.node.clone(),
        usage: volume.usage(&pool.node),
        key: volume.key().map(str::to_owned),
    };
    holds.take(id, hold);
}

pub(super) fn name(text: &str) -> ObjectName {
    text.parse().unwrap()
}
