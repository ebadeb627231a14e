//! Objects that tests make, with names of their own, since the API may be somebody else's.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use uuid::Uuid;
use weir_api::crd::{StoragePool, Volume};

/// A name that nothing else has.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{next}", std::process::id())
}

/// A volume of 1 GiB in a pool.
pub(crate) fn volume(name: &str, pool: &str) -> Volume {
    let object = json!({
        "metadata": {"name": name},
        "spec": {"id": Uuid::new_v4(), "capacityBytes": 1_u64 << 30, "poolName": pool},
    });
    serde_json::from_value(with_type(object, "Volume")).unwrap()
}

/// A pool on a node.
pub(crate) fn pool(name: &str, node: &str) -> StoragePool {
    let object = json!({
        "metadata": {"name": name},
        "spec": {"nodeName": node, "engine": {"kernel": {"volumeGroup": "fast", "devices": ["/dev/sdb"]}}},
    });
    serde_json::from_value(with_type(object, "StoragePool")).unwrap()
}

fn with_type(mut object: serde_json::Value, kind: &str) -> serde_json::Value {
    object["apiVersion"] = "weir.dev/v1alpha1".into();
    object["kind"] = kind.into();
    object
}
