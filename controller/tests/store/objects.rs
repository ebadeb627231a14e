//! Objects to store.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_controller::standalone::store::{
    Change, Expected, Filter, Indexed, Indexer, Key, Revision, Scope, Store, StoreLimits, Stored,
};

use crate::medium::Medium;

/// The kind that is stored.
pub(crate) const VOLUMES: &str = "weir.dev/volumes";

/// The field that selectors look at.
pub(crate) const POOL: &str = "spec.poolName";

/// A key of a cluster-scoped kind.
pub(crate) fn key(name: &str) -> Key {
    Key {
        storage: VOLUMES.to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// All volumes.
pub(crate) fn volumes() -> Scope {
    Scope {
        storage: VOLUMES.to_owned(),
        namespace: None,
    }
}

/// An object in a pool, with something in it.
pub(crate) fn object(key: &Key, pool: &str, payload: &str) -> Value {
    json!({
        "kind": "Volume",
        "metadata": { "name": key.name, "namespace": key.namespace },
        "spec": { "poolName": pool, "payload": payload },
    })
}

/// What selectors look at.
pub(crate) fn indexed(value: &Value) -> Indexed {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    Indexed {
        namespace: text("/metadata/namespace").to_owned(),
        name: text("/metadata/name").to_owned(),
        labels: [("app".to_owned(), "test".to_owned())].into(),
        fields: [(POOL.to_owned(), text("/spec/poolName").to_owned())].into(),
    }
}

/// The same, for a store.
pub(crate) fn indexer() -> Indexer {
    Arc::new(|_, value| indexed(value))
}

/// A store on this disk.
pub(crate) fn open(medium: &Medium) -> Store {
    open_within(medium, StoreLimits::default())
}

/// The same, with other limits.
pub(crate) fn open_within(medium: &Medium, limits: StoreLimits) -> Store {
    Store::open_with(medium.backend(), indexer(), limits).unwrap()
}

/// Creates or replaces an object.
pub(crate) fn put(key: &Key, pool: &str, payload: &str, expected: Expected) -> Change {
    let object = object(key, pool, payload);
    Change::Put {
        key: key.clone(),
        indexed: indexed(&object),
        object,
        expected,
    }
}

/// Creates an object.
pub(crate) fn create(name: &str, pool: &str) -> Change {
    put(&key(name), pool, "", Expected::Absent)
}

/// Replaces an object by one in this pool.
pub(crate) fn update(of: &Stored, pool: &str) -> Change {
    put(&of.key, pool, "", Expected::Revision(of.revision))
}

/// Removes an object.
pub(crate) fn remove(of: &Stored) -> Change {
    remove_if(&of.key, of.revision, parsed(of))
}

/// Removes an object if it is of this revision.
pub(crate) fn remove_if(key: &Key, expected: Revision, object: Value) -> Change {
    Change::Remove {
        key: key.clone(),
        indexed: indexed(&object),
        object,
        expected,
    }
}

/// The object in the bytes.
pub(crate) fn parsed(stored: &Stored) -> Value {
    serde_json::from_slice(&stored.bytes).unwrap()
}

/// Everything.
pub(crate) fn all() -> Filter {
    Arc::new(|_| true)
}

/// What is in this pool.
pub(crate) fn in_pool(pool: &str) -> Filter {
    let pool = pool.to_owned();
    Arc::new(move |indexed| indexed.field(POOL) == pool)
}

/// The hint that goes with it.
pub(crate) fn hint(pool: &str) -> Option<(String, String)> {
    Some((POOL.to_owned(), pool.to_owned()))
}
