//! A pool, as placement sees it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use weir_api::crd::{Engine, PoolEngine, StoragePool};
use weir_api::names::{NodeName, ObjectName};

use super::model::Figures;
use super::room::Space;
use super::usage::Usage;

/// Whether a pool can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It can.
    #[default]
    Ready,
    /// Its agent says it can't, or has not said anything yet.
    NotReady,
    /// Its agent has not been heard for too long.
    Silent,
    /// Its node is out of service.
    NodeDead,
    /// Its deletion was ordered.
    Deleted,
}

/// What placement has to know of a pool.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Which.
    pub name: ObjectName,
    /// The node it is on.
    pub node: NodeName,
    /// What serves its volumes; never `Any`.
    pub engine: Engine,
    /// How many disks it has, if that is known.
    pub disks: Option<usize>,
    /// Whether other nodes can use its volumes.
    pub has_portals: bool,
    /// Whether it, or its node, takes no more volumes.
    pub is_cordoned: bool,
    /// Whether it can be used.
    pub health: Health,
    /// Its space.
    pub space: Space,
    /// The most volumes it may hold.
    pub max_volumes: Option<u32>,
    /// The most volumes it may hold that other nodes may use.
    pub max_remote_volumes: Option<u32>,
    /// What the API shows as put into it.
    pub booked: Usage,
    /// What is known of its latency.
    pub live: Figures,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its node's labels.
    pub node_labels: Arc<BTreeMap<String, String>>,
    /// Of its name; ties are decided by it.
    pub(super) hash: u64,
}

impl PoolView {
    /// A pool of the kernel's target, with a name and a node, that is not Ready and has no space.
    #[must_use]
    pub fn named(name: ObjectName, node: NodeName) -> Self {
        PoolView {
            hash: hash(&name),
            name,
            node,
            engine: Engine::Kernel,
            disks: Some(1),
            has_portals: true,
            is_cordoned: false,
            health: Health::NotReady,
            space: Space::default(),
            max_volumes: None,
            max_remote_volumes: None,
            booked: Usage::default(),
            live: Figures::default(),
            labels: BTreeMap::new(),
            node_labels: Arc::default(),
        }
    }

    /// A pool as its object tells. Whether it is cordoned with its node, and its health, take more than that.
    ///
    /// `None`: the object has no valid name, which no API would have let in.
    #[must_use]
    pub fn of(pool: &StoragePool) -> Option<Self> {
        let name: ObjectName = pool.metadata.name.as_deref()?.parse().ok()?;
        let spec = &pool.spec;
        let PoolEngine { kernel, spdk } = &spec.engine;
        let disks = match kernel {
            // Without disks in its spec its volume group is as somebody made it.
            Some(kernel) => Some(kernel.devices.len()).filter(|disks| *disks > 0),
            None => Some(1),
        };
        let status = pool.status.clone().unwrap_or_default();
        Some(PoolView {
            engine: if spdk.is_some() {
                Engine::Spdk
            } else {
                Engine::Kernel
            },
            disks,
            has_portals: !spec.portals.is_empty(),
            is_cordoned: spec.unschedulable,
            space: Space::of(spec, &status),
            max_volumes: spec.max_volumes,
            max_remote_volumes: spec.max_remote_volumes,
            labels: pool.metadata.labels.clone().unwrap_or_default(),
            ..PoolView::named(name, spec.node_name.clone())
        })
    }
}

/// The same for the same name in every run: `DefaultHasher::new` has fixed keys.
pub(super) fn hash(name: &ObjectName) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.as_str().hash(&mut hasher);
    hasher.finish()
}
