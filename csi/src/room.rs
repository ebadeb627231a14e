//! How much room there is for volumes of a class.
//!
//! The controller decides, by all that it knows and holds back; this is what the scheduler is told beforehand, from what pools say
//! of themselves. Too much of it costs an attempt, which is answered with RESOURCE_EXHAUSTED and made elsewhere.

use std::collections::BTreeMap;

use weir_api::condition::{self, READY, Truth};
use weir_api::crd::{Affinity, Engine, Layout, PoolEngine, StoragePool, Volume};
use weir_api::names::{NodeName, ObjectName};
use weir_api::pool::ThinUsage;
use weir_api::units::Bytes;
use weir_api::volume::Provisioning;

use crate::objects::Labels;
use crate::parameters::Class;
use crate::size::UNIT;
use crate::topology;

/// The room for volumes of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// In all pools together.
    pub total: Bytes,
    /// In the pool that has most.
    pub largest: Bytes,
}

/// What thin volumes were promised, by pool.
#[must_use]
pub fn promised<'a>(volumes: impl IntoIterator<Item = &'a Volume>) -> BTreeMap<ObjectName, Bytes> {
    let mut promised = BTreeMap::new();
    for volume in volumes {
        let is_thin = volume.spec.provisioning == Provisioning::Thin;
        if let Some(pool) = volume.spec.pool_name.as_ref().filter(|_| is_thin) {
            let size = rounded_up(volume.spec.capacity_bytes);
            let sum: &mut Bytes = promised.entry(pool.clone()).or_default();
            sum.0 = sum.0.saturating_add(size.0);
        }
    }
    promised
}

fn rounded_up(size: Bytes) -> Bytes {
    size.round_up(UNIT).unwrap_or(Bytes(u64::MAX))
}

/// The room for volumes of a class that can be used at a node, or (none) somewhere.
#[must_use]
pub fn of(
    class: &Class,
    at: Option<&NodeName>,
    pools: &[StoragePool],
    nodes: &BTreeMap<NodeName, Labels>,
    promised: &BTreeMap<ObjectName, Bytes>,
) -> Room {
    let none = Labels::new();
    let mut room = Room::default();
    for pool in pools {
        let labels = nodes.get(&pool.spec.node_name).unwrap_or(&none);
        let here = at.is_none_or(|at| topology::serves(pool, class.locality, at));
        if !here || !takes(class, pool, labels) {
            continue;
        }
        let free = free(class, pool, promised);
        room.total.0 = room.total.0.saturating_add(free.0);
        room.largest = room.largest.max(free);
    }
    room
}

/// Whether a pool takes volumes of a class, if it has room.
fn takes(class: &Class, pool: &StoragePool, node: &Labels) -> bool {
    let PoolEngine { kernel, spdk } = &pool.spec.engine;
    let is_engine = match class.engine {
        Engine::Kernel => kernel.is_some(),
        Engine::Spdk => spdk.is_some(),
        Engine::Any => true,
    };
    let status = pool.status.clone().unwrap_or_default();
    let ready = condition::get(&status.conditions, READY);
    let is_full = pool
        .spec
        .max_volumes
        .is_some_and(|most| status.volumes.unwrap_or(0) >= most);
    let labels = pool.metadata.labels.clone().unwrap_or_default();
    is_engine
        && ready.is_some_and(|ready| ready.status == Truth::True)
        && pool.metadata.deletion_timestamp.is_none()
        && !pool.spec.unschedulable
        && !is_full
        && admits(class.nodes.as_ref(), node)
        && admits(class.pools.as_ref(), &labels)
}

fn admits(affinity: Option<&Affinity>, labels: &Labels) -> bool {
    affinity.is_none_or(|affinity| affinity.admits(labels))
}

/// The largest volume of a class that a pool has room for.
fn free(class: &Class, pool: &StoragePool, promised: &BTreeMap<ObjectName, Bytes>) -> Bytes {
    let status = pool.status.clone().unwrap_or_default();
    let thin_pool = pool
        .spec
        .engine
        .kernel
        .as_ref()
        .and_then(|kernel| kernel.thin_pool.as_ref());
    let set_aside = thin_pool.map_or(0, |thin| thin.capacity_bytes.0);
    let free = match class.provisioning {
        Provisioning::Thick => {
            let there = status.capacity_bytes.0.saturating_sub(set_aside);
            let free = status
                .free_bytes
                .0
                .min(there)
                .saturating_sub(pool.spec.reserved_bytes.0);
            match class.layout {
                Layout::Mirror => free / 2,
                Layout::Linear | Layout::Striped => free,
            }
        }
        Provisioning::Thin => {
            if status.thin.as_ref().is_some_and(ThinUsage::is_over) {
                return Bytes(0);
            }
            let ratio = u128::from(pool.spec.overprovision_ratio.0);
            let promise = u64::try_from(u128::from(set_aside) * ratio / 100).unwrap_or(u64::MAX);
            let name = pool
                .metadata
                .name
                .as_deref()
                .and_then(|name| name.parse().ok());
            let taken = name
                .and_then(|name: ObjectName| promised.get(&name))
                .map_or(0, |taken| taken.0);
            promise.saturating_sub(taken)
        }
    };
    Bytes(free - free % UNIT.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::capability::Uses;
    use crate::capability::tests::mount;
    use crate::proto::volume_capability::access_mode::Mode;

    const GIB: u64 = 1 << 30;

    fn pool(name: &str, node: &str, json: Value) -> StoragePool {
        let mut whole = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": name},
            "spec": {"nodeName": node, "engine": {"kernel": {"volumeGroup": "vg"}}, "portals": [{"address": "10.0.0.1"}]},
            "status": {
                "capacityBytes": 10 * GIB, "freeBytes": 8 * GIB,
                "conditions": [{"type": "Ready", "status": "True", "reason": "AsAsked", "message": "m"}],
            },
        });
        for part in ["metadata", "spec", "status"] {
            for (name, value) in json[part].as_object().into_iter().flatten() {
                whole[part][name] = value.clone();
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    fn class(pairs: &[(&str, &str)]) -> Class {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let pairs: HashMap<String, String> = pairs.collect();
        Class::of(
            &pairs,
            &Uses::of(&[mount(Mode::SingleNodeWriter, "")]).unwrap(),
        )
        .unwrap()
    }

    fn gib(class: &Class, at: Option<&str>, pools: &[StoragePool]) -> (u64, u64) {
        let at = at.map(|node| node.parse().unwrap());
        let labels = Labels::from([("disk".to_owned(), "nvme".to_owned())]);
        let nodes = [("a".parse().unwrap(), labels)].into();
        let thin: Volume = serde_json::from_value(json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "v"},
            "spec": {
                "id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "capacityBytes": GIB, "provisioning": "thin", "poolName": "p",
            },
        }))
        .unwrap();
        let room = of(class, at.as_ref(), pools, &nodes, &promised([&thin]));
        (room.total.0 / GIB, room.largest.0 / GIB)
    }

    #[test]
    fn room_is_what_pools_say_and_take() {
        let thin = json!({"kernel": {"volumeGroup": "vg", "thinPool": {"capacityBytes": 4 * GIB}}});
        let local: &[(&str, &str)] = &[("locality", "MustLocal")];
        for (json, parameters, at, room) in [
            (json!({}), &[][..], None, 8),
            (json!({}), &[], Some("a"), 8),
            (json!({}), &[], Some("b"), 8),
            (json!({}), local, Some("a"), 8),
            (json!({}), local, Some("b"), 0),
            (json!({"spec": {"portals": []}}), &[], Some("b"), 0),
            (json!({}), &[("locality", "MustRemote")], Some("a"), 0),
            (json!({"spec": {"reservedBytes": 3 * GIB}}), &[], None, 5),
            (json!({"spec": {"unschedulable": true}}), &[], None, 0),
            (
                json!({"spec": {"maxVolumes": 2}, "status": {"volumes": 2}}),
                &[],
                None,
                0,
            ),
            (json!({"status": {"conditions": []}}), &[], None, 0),
            (json!({}), &[("layout", "mirror")], None, 4),
            (json!({}), &[("engine", "spdk")], None, 0),
            (json!({}), &[("nodeSelector", "disk=nvme")], None, 8),
            (json!({}), &[("nodeSelector", "disk=hdd")], None, 0),
            (json!({}), &[("poolSelector", "tier")], None, 0),
            (
                json!({"metadata": {"labels": {"tier": "x"}}}),
                &[("poolSelector", "tier!=y")],
                None,
                8,
            ),
            (json!({}), &[("provisioning", "thin")], None, 0),
            (json!({"spec": {"engine": thin}}), &[], None, 6),
            (
                json!({"spec": {"engine": thin}}),
                &[("provisioning", "thin")],
                None,
                3,
            ),
            (
                json!({"spec": {"engine": thin, "overprovisionRatio": "1.5"}}),
                &[("provisioning", "thin")],
                None,
                5,
            ),
            (
                json!({"spec": {"engine": thin}, "status": {"thin": {"dataPercent": 90, "metadataPercent": 0}}}),
                &[("provisioning", "thin")],
                None,
                0,
            ),
        ] {
            let row = format!("{json} {parameters:?} {at:?}");
            let one = [pool("p", "a", json)];
            assert_eq!(gib(&class(parameters), at, &one), (room, room), "{row}");
        }
        let two = [
            pool("p", "a", json!({})),
            pool("q", "b", json!({"status": {"freeBytes": 3 * GIB}})),
        ];
        assert_eq!(gib(&class(&[]), None, &two), (11, 8));
    }
}
