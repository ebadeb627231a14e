//! Values that an API server refuses in new objects, each with the field that it names.

use serde_json::{Value, json};

use super::judge;
use super::samples::sample;

/// Sets the field at a JSON pointer; `null` removes it.
pub(super) fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = object
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{pointer}"));
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(name)),
        (parent, value) => parent[name] = value,
    }
    object
}

#[test]
fn a_wrong_value_is_refused_with_its_field() {
    let long = "x".repeat(64);
    let attachments =
        json!([{"nodeName": "a", "generation": 1}, {"nodeName": "b", "generation": 1}]);
    let twice = json!([{"nodeName": "a", "generation": 1}, {"nodeName": "a", "generation": 2}]);
    let many: Vec<Value> = (0..17)
        .map(|n| json!({"nodeName": format!("n{n}"), "generation": 1}))
        .collect();
    let require = |operator: &str, values: Value| json!({"required": [{"key": "k", "operator": operator, "values": values}]});
    let rows = [
        ("Volume", "/spec", Value::Null, "spec"),
        (
            "Volume",
            "/metadata/name",
            long.clone().into(),
            "metadata.name",
        ),
        ("Volume", "/metadata/name", "a.b".into(), "metadata.name"),
        (
            "VolumeSet",
            "/metadata/name",
            "x".repeat(61).into(),
            "metadata.name",
        ),
        ("Volume", "/spec/id", Value::Null, "id"),
        (
            "Volume",
            "/spec/id",
            "7F2C8D6E-3C0B-4C8E-9D1A-2B8F6A1E5D90".into(),
            "spec.id",
        ),
        (
            "Volume",
            "/spec/id",
            "7f2c8d6e3c0b4c8e9d1a2b8f6a1e5d90".into(),
            "spec.id",
        ),
        (
            "Volume",
            "/spec/id",
            "00000000-0000-0000-0000-000000000000".into(),
            "spec.id",
        ),
        (
            "Volume",
            "/spec/capacityBytes",
            0.into(),
            "spec.capacityBytes",
        ),
        (
            "Volume",
            "/spec/capacityBytes",
            (-1).into(),
            "spec.capacityBytes",
        ),
        (
            "Volume",
            "/spec/capacityBytes",
            "1Gi".into(),
            "spec.capacityBytes",
        ),
        ("Volume", "/spec/engine", "zfs".into(), "spec.engine"),
        ("Volume", "/spec/engine", "Kernel".into(), "spec.engine"),
        (
            "Volume",
            "/spec/provisioning",
            "".into(),
            "spec.provisioning",
        ),
        ("Volume", "/spec/layout", "raid5".into(), "spec.layout"),
        (
            "Volume",
            "/spec/access",
            "ReadWriteMany".into(),
            "spec.access",
        ),
        ("Volume", "/spec/wipe", "shred".into(), "spec.wipe"),
        ("Volume", "/spec/bogus", 1.into(), "spec.bogus"),
        (
            "Volume",
            "/spec/attachments/0/bogus",
            1.into(),
            "spec.attachments[].bogus",
        ),
        ("Volume", "/spec/poolName", "".into(), "spec.poolName"),
        ("Volume", "/spec/poolName", "a/b".into(), "spec.poolName"),
        ("Volume", "/spec/poolName", long.into(), "spec.poolName"),
        (
            "Volume",
            "/spec/attachments",
            attachments,
            "spec.attachments: a SingleHost",
        ),
        (
            "Volume",
            "/spec/attachments",
            twice,
            "spec.attachments: duplicate",
        ),
        (
            "Volume",
            "/spec/attachments",
            many.into(),
            "spec.attachments",
        ),
        (
            "Volume",
            "/spec/attachments/0/generation",
            0.into(),
            "spec.attachments.0.generation",
        ),
        (
            "Volume",
            "/spec/attachments/0/nodeName",
            "A".into(),
            "spec.attachments.0.nodeName",
        ),
        (
            "Volume",
            "/spec/latency/readP99",
            "0ms".into(),
            "spec.latency.readP99",
        ),
        (
            "Volume",
            "/spec/latency/readP99",
            "2".into(),
            "spec.latency.readP99",
        ),
        (
            "Volume",
            "/spec/latency/readP99",
            2.into(),
            "spec.latency.readP99",
        ),
        ("Volume", "/spec/latency", json!({}), "spec.latency"),
        (
            "Volume",
            "/spec/qos",
            json!({"readIops": 0}),
            "spec.qos.readIops",
        ),
        ("Volume", "/spec/qos", json!({}), "spec.qos"),
        ("Volume", "/spec/source", json!({}), "spec.source"),
        (
            "Volume",
            "/spec/source",
            json!({"snapshot": "a", "volume": "b"}),
            "spec.source",
        ),
        (
            "Volume",
            "/spec/source",
            json!({"snapshot": "a", "logicalVolume": "b"}),
            "spec.source",
        ),
        (
            "Volume",
            "/spec/source",
            json!({"volume": "a", "logicalVolume": "b"}),
            "spec.source",
        ),
        (
            "Volume",
            "/spec/source",
            json!({"logicalVolume": "a/b"}),
            "spec.source.logicalVolume",
        ),
        (
            "Volume",
            "/spec/placement/locality",
            "Near".into(),
            "spec.placement.locality",
        ),
        (
            "Volume",
            "/spec/placement/pools",
            require("In", json!([])),
            "spec.placement.pools.required[].values",
        ),
        (
            "Volume",
            "/spec/placement/nodes",
            require("Exists", json!(["a"])),
            "spec.placement.nodes.required[].values",
        ),
        (
            "Volume",
            "/spec/placement/nodes",
            require("Near", json!(["a"])),
            "spec.placement.nodes.required.0.operator",
        ),
        ("StoragePool", "/spec/nodeName", Value::Null, "nodeName"),
        (
            "StoragePool",
            "/spec/engine",
            json!({}),
            "spec.engine: exactly one",
        ),
        (
            "StoragePool",
            "/spec/engine/spdk",
            json!({"lvstore": "a", "base": {"malloc": {"capacityBytes": 1}}}),
            "spec.engine: exactly one",
        ),
        (
            "StoragePool",
            "/spec/engine",
            json!({"spdk": {"lvstore": "a", "base": {}}}),
            "spec.engine.spdk.base",
        ),
        (
            "StoragePool",
            "/spec/engine",
            json!({"spdk": {"lvstore": "a", "base": {"nvme": {"pciAddress": "1"}}}}),
            "spec.engine.spdk.base.nvme.pciAddress",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/volumeGroup",
            "../x".into(),
            "spec.engine.kernel.volumeGroup",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/devices",
            json!(["/etc/passwd"]),
            "spec.engine.kernel.devices",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/devices",
            json!(["/dev/"]),
            "spec.engine.kernel.devices",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/devices",
            json!(["/dev//x"]),
            "spec.engine.kernel.devices",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/devices",
            json!(["/dev/../etc/passwd"]),
            "spec.engine.kernel.devices",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/devices",
            json!(["/dev/a/.."]),
            "spec.engine.kernel.devices",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/stripes",
            1.into(),
            "spec.engine.kernel.stripes",
        ),
        (
            "StoragePool",
            "/spec/engine/kernel/thinPool/capacityBytes",
            0.into(),
            "spec.engine.kernel.thinPool.capacityBytes",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "0.0.0.0".into(),
            "spec.portals[].address: a wildcard",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "::".into(),
            "spec.portals[].address: a wildcard",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "0:0:0:0:0:0:0:0".into(),
            "spec.portals[].address: a wildcard",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "::0.0.0.0".into(),
            "spec.portals[].address: a wildcard",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "::ffff:0.0.0.0".into(),
            "spec.portals[].address: a wildcard",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "0:0:0:0:0:FFFF:0:0".into(),
            "spec.portals[].address: a wildcard",
        ),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "example.org".into(),
            "spec.portals.0.address",
        ),
        (
            "StoragePool",
            "/spec/portals/0/port",
            0.into(),
            "spec.portals.0.port",
        ),
        (
            "StoragePool",
            "/spec/portals/0/port",
            65536.into(),
            "spec.portals.0.port",
        ),
        (
            "StoragePool",
            "/spec/portals/0/transport",
            "rdma".into(),
            "spec.portals.0.transport",
        ),
        (
            "StoragePool",
            "/spec/reservedBytes",
            (-1).into(),
            "spec.reservedBytes",
        ),
        (
            "StoragePool",
            "/spec/maxVolumes",
            (-1).into(),
            "spec.maxVolumes",
        ),
        (
            "StoragePool",
            "/spec/overprovisionRatio",
            "0.5".into(),
            "spec.overprovisionRatio",
        ),
        (
            "StoragePool",
            "/spec/overprovisionRatio",
            2.into(),
            "spec.overprovisionRatio",
        ),
        ("Snapshot", "/spec/volumeName", Value::Null, "volumeName"),
        (
            "Snapshot",
            "/spec/volumeName",
            "A".into(),
            "spec.volumeName",
        ),
        ("VolumeSet", "/spec/volumes", 1.into(), "spec.volumes"),
        ("VolumeSet", "/spec/volumes", 17.into(), "spec.volumes"),
        (
            "VolumeSet",
            "/spec/stripeBytes",
            65537.into(),
            "spec.stripeBytes",
        ),
        ("VolumeSet", "/spec/layout", "mirror".into(), "spec.layout"),
        (
            "VolumeSet",
            "/spec/template/engine",
            "zfs".into(),
            "spec.template.engine",
        ),
        (
            "VolumeMigration",
            "/spec/targetPoolName",
            "A".into(),
            "spec.targetPoolName",
        ),
        (
            "VolumeMigration",
            "/spec/maxBytesPerSecond",
            0.into(),
            "spec.maxBytesPerSecond",
        ),
    ];
    for (kind, pointer, value, field) in rows {
        let refusals = judge::create(kind, &with(sample(kind), pointer, value.clone()));
        assert!(!refusals.is_empty(), "{kind} {pointer} {value} is taken");
        assert!(
            refusals.iter().any(|said| said.contains(field)),
            "{pointer} {value}: {refusals:?}"
        );
    }
}

#[test]
fn an_unusual_value_is_taken() {
    let spdk = |base: Value| json!({"spdk": {"lvstore": "a", "base": base}});
    let rows = [
        ("Volume", "/metadata/name", json!("x".repeat(63))),
        ("Volume", "/spec/capacityBytes", i64::MAX.into()),
        ("Volume", "/spec/attachments", json!([])),
        ("Volume", "/spec/source", json!({"snapshot": "a"})),
        ("Volume", "/spec/source", json!({"volume": "a"})),
        ("Volume", "/spec/source", json!({"logicalVolume": "a"})),
        ("StoragePool", "/spec/portals/0/address", "fd00::1".into()),
        ("StoragePool", "/spec/portals/0/address", "::1".into()),
        (
            "StoragePool",
            "/spec/portals/0/address",
            "::ffff:10.0.0.1".into(),
        ),
        ("StoragePool", "/spec/portals/0/address", "10.0.0.0".into()),
        ("StoragePool", "/spec/portals", json!([])),
        (
            "StoragePool",
            "/spec/engine/kernel/devices",
            json!(["/dev/disk/by-label/a\\x20b", "/dev/..a/b.."]),
        ),
        (
            "StoragePool",
            "/spec/engine",
            spdk(json!({"aio": {"device": "/dev/vdb"}})),
        ),
        (
            "StoragePool",
            "/spec/engine",
            spdk(json!({"nvme": {"pciAddress": "0000:5e:00.0"}})),
        ),
        (
            "StoragePool",
            "/spec/engine",
            spdk(json!({"malloc": {"capacityBytes": 1}})),
        ),
        ("VolumeSet", "/spec/stripeBytes", 4096.into()),
        ("VolumeMigration", "/spec/targetPoolName", Value::Null),
    ];
    for (kind, pointer, value) in rows {
        let refusals = judge::create(kind, &with(sample(kind), pointer, value.clone()));
        assert_eq!(refusals, Vec::<String>::new(), "{kind} {pointer} {value}");
    }
}
