//! An engine that answers at once: what the real one said of one pool and one volume, for all of them.

use std::collections::BTreeMap;

use weir_agent::requests::Requests;
use weir_agent::sim::node::SimNode;
use weir_agent::statuses::Statuses;
use weir_api::names::ObjectName;
use weir_api::parse::{Request, parse};
use weir_api::pool::PoolStatus;
use weir_api::units::Bytes;
use weir_api::volume::{Phase, VolumeStatus};

/// What every pool holds.
const CAPACITY: u64 = 1 << 40;

/// What the real engine said.
#[derive(Clone)]
pub(crate) struct Answers {
    pool: PoolStatus,
    volume: VolumeStatus,
}

impl Answers {
    /// Has the real engine make a pool and a volume on a simulated node.
    pub(crate) fn learn() -> Self {
        let Request::Pool(pool) = parse(
            "{apiVersion: weir.dev/v1alpha1, kind: StoragePool, metadata: {name: fast}, spec: \
             {nodeName: node-1, engine: {kernel: {volumeGroup: fast, devices: [/dev/vdb]}}}}",
        )
        .unwrap() else {
            unreachable!("it is a pool")
        };
        let Request::Volume(volume) = parse(
            "{apiVersion: weir.dev/v1alpha1, kind: Volume, metadata: {name: one}, spec: \
             {id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90, capacityBytes: 8388608, poolName: fast}}",
        )
        .unwrap() else {
            unreachable!("it is a volume")
        };
        let (fast, one) = (pool.metadata.name.clone(), volume.metadata.name.clone());
        let requests = Requests {
            pools: BTreeMap::from([(fast.clone(), pool)]),
            volumes: BTreeMap::from([(one.clone(), volume)]),
            ..Requests::default()
        };
        let node = SimNode::default();
        let mut engine = node.engine(&"node-1".parse().unwrap());
        loop {
            engine.round(&requests).unwrap();
            if !node.finish_zeroing() {
                break;
            }
        }
        let statuses = engine.statuses();
        let (_, volume) = statuses.volumes[&one].clone();
        assert_eq!(volume.phase, Phase::Ready, "{volume:?}");
        Answers {
            pool: statuses.pools[&fast].clone(),
            volume,
        }
    }

    /// What an engine would find that has done all that is asked for. `None` while not all of it is known: it goes
    /// on with what it has.
    pub(crate) fn to(&self, requests: &Requests) -> Option<Statuses> {
        if requests.unreadable.is_some() {
            return None;
        }
        let mut used: BTreeMap<&ObjectName, (u32, u64)> = BTreeMap::new();
        let mut statuses = Statuses {
            cluster: requests.cluster,
            ..Statuses::default()
        };
        for (name, volume) in &requests.volumes {
            let used = used.entry(&volume.spec.pool_name).or_default();
            used.0 += 1;
            used.1 += volume.spec.capacity_bytes.0;
            let status = VolumeStatus {
                capacity_bytes: volume.spec.capacity_bytes,
                ..self.volume.clone()
            };
            let told = (volume.spec.id, status);
            statuses.volumes.insert(name.clone(), told);
        }
        for name in requests.pools.keys() {
            let (volumes, bytes) = used.get(name).copied().unwrap_or_default();
            let status = PoolStatus {
                capacity_bytes: Bytes(CAPACITY),
                free_bytes: Bytes(CAPACITY - bytes),
                allocated_bytes: self.pool.allocated_bytes.map(|_| Bytes(bytes)),
                volumes: self.pool.volumes.map(|_| volumes),
                ..self.pool.clone()
            };
            statuses.pools.insert(name.clone(), status);
        }
        Some(statuses)
    }
}
