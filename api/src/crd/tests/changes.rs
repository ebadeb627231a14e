//! Changes that an API server refuses, and those it takes.

use serde_json::{Value, json};

use super::judge;
use super::samples::sample;
use super::values::with;

const NULL: Value = Value::Null;

fn bound(pool: Value) -> Value {
    with(sample("Volume"), "/spec/poolName", pool)
}

#[test]
fn what_never_changes_does_not() {
    let id = "11111111-1111-4111-8111-111111111111";
    let rows = [
        ("Volume", "/spec/id", json!(id)),
        ("Volume", "/spec/capacityBytes", json!(1)),
        ("Volume", "/spec/provisioning", json!("thick")),
        ("Volume", "/spec/layout", json!("mirror")),
        ("Volume", "/spec/access", json!("MultiHost")),
        ("Volume", "/spec/source", json!({"volume": "a"})),
        ("StoragePool", "/spec/nodeName", json!("other")),
        (
            "StoragePool",
            "/spec/engine/kernel/volumeGroup",
            json!("other"),
        ),
        (
            "StoragePool",
            "/spec/engine",
            json!({"spdk": {"lvstore": "a", "base": {"malloc": {"capacityBytes": 1}}}}),
        ),
        ("Snapshot", "/spec/id", json!(id)),
        ("Snapshot", "/spec/volumeName", json!("other")),
        ("VolumeSet", "/spec/id", json!(id)),
        ("VolumeSet", "/spec/capacityBytes", json!(1)),
        ("VolumeSet", "/spec/volumes", json!(5)),
        ("VolumeSet", "/spec/layout", json!("linear")),
        ("VolumeSet", "/spec/stripeBytes", json!(4096)),
        ("VolumeSet", "/spec/template/wipe", json!("none")),
        ("VolumeMigration", "/spec/volumeName", json!("other")),
        ("VolumeMigration", "/spec/targetPoolName", json!("other")),
        ("VolumeMigration", "/spec/targetPoolName", NULL),
        ("Tombstone", "/spec/id", json!(id)),
        ("Tombstone", "/spec/volumeName", json!("other")),
        ("Tombstone", "/spec/poolName", json!("other")),
    ];
    for (kind, pointer, value) in rows {
        let old = sample(kind);
        let new = with(old.clone(), pointer, value.clone());
        assert_eq!(
            judge::create(kind, &new),
            Vec::<String>::new(),
            "{kind} {pointer} {value}"
        );
        let refusals = judge::update(kind, &old, &new);
        assert_eq!(refusals.len(), 1, "{kind} {pointer} {value}: {refusals:?}");
        let field = pointer.trim_start_matches('/').replace('/', ".");
        let said = refusals[0].split(':').next().unwrap();
        // A rule about several fields names what they are in.
        assert!(field.starts_with(said), "{pointer} {value}: {refusals:?}");
    }
}

/// A pool is written once it was chosen and cleared after it was refused; only a migration moves a volume.
#[test]
fn a_pool_can_be_set_and_cleared_and_not_changed() {
    let rows = [
        (bound(NULL), bound("fast".into()), true),
        (bound("fast".into()), bound(NULL), true),
        (bound("fast".into()), bound("fast".into()), true),
        (bound("fast".into()), bound("slow".into()), false),
    ];
    for (old, new, is_taken) in rows {
        assert_eq!(
            judge::update("Volume", &old, &new).is_empty(),
            is_taken,
            "{new}"
        );
    }
}

#[test]
fn an_engine_can_be_changed_until_a_pool_was_chosen() {
    let any = |volume: Value| with(volume, "/spec/engine", "any".into());
    let free = bound(NULL);
    assert_eq!(
        judge::update("Volume", &free, &any(free.clone())),
        Vec::<String>::new()
    );
    let volume = bound("fast".into());
    let refusals = judge::update("Volume", &volume, &any(volume.clone()));
    assert_eq!(
        refusals,
        ["spec.engine: engine is immutable once a pool was chosen"]
    );
    // Also not in the change that clears the pool: the agent's refusal was about this engine.
    let refusals = judge::update("Volume", &volume, &any(free));
    assert_eq!(refusals.len(), 1, "{refusals:?}");
}

#[test]
fn a_generation_never_goes_back() {
    let granted = |generation: u64, read_only: bool| {
        let grant = json!([{"nodeName": "app-1", "generation": generation, "readOnly": read_only}]);
        with(sample("Volume"), "/spec/attachments", grant)
    };
    let rows = [
        (granted(2, false), granted(3, false), true),
        (granted(2, false), granted(2, false), true),
        (granted(2, false), granted(3, true), true),
        (granted(2, false), granted(2, true), false),
        (granted(2, false), granted(1, false), false),
        (
            granted(2, false),
            with(sample("Volume"), "/spec/attachments", NULL),
            true,
        ),
        (
            with(sample("Volume"), "/spec/attachments", NULL),
            granted(7, true),
            true,
        ),
    ];
    for (old, new, is_taken) in rows {
        assert_eq!(
            judge::update("Volume", &old, &new).is_empty(),
            is_taken,
            "{new}"
        );
    }
    // Another node's grant is another grant.
    let other = json!([{"nodeName": "app-2", "generation": 1}]);
    let new = with(sample("Volume"), "/spec/attachments", other);
    assert_eq!(
        judge::update("Volume", &granted(9, false), &new),
        Vec::<String>::new()
    );
}

#[test]
fn what_may_change_does() {
    let rows = [
        ("Volume", "/spec/capacityBytes", json!(1u64 << 40)),
        ("Volume", "/spec/qos", json!({"readIops": 100})),
        ("Volume", "/spec/latency", NULL),
        ("Volume", "/spec/wipe", json!("discard")),
        ("Volume", "/spec/placement/locality", json!("MustLocal")),
        ("StoragePool", "/spec/unschedulable", json!(true)),
        ("StoragePool", "/spec/engine/kernel/thinPool", NULL),
        ("StoragePool", "/spec/portals", json!([])),
        ("StoragePool", "/spec/acceptVolatileWriteCache", json!(true)),
        ("VolumeSet", "/spec/attachments", NULL),
        ("VolumeMigration", "/spec/cancelled", json!(true)),
        ("VolumeMigration", "/spec/maxBytesPerSecond", json!(1)),
    ];
    for (kind, pointer, value) in rows {
        let old = sample(kind);
        let new = with(old.clone(), pointer, value);
        assert_eq!(
            judge::update(kind, &old, &new),
            Vec::<String>::new(),
            "{kind} {pointer}"
        );
        assert_eq!(
            judge::update(kind, &old, &old),
            Vec::<String>::new(),
            "{kind}"
        );
    }
    let cancelled = with(sample("VolumeMigration"), "/spec/cancelled", json!(true));
    let refusals = judge::update("VolumeMigration", &cancelled, &sample("VolumeMigration"));
    assert_eq!(refusals, ["spec.cancelled: what was cancelled stays so"]);
}
