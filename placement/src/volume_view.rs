//! A volume, as placement sees it.

use std::collections::BTreeSet;

use weir_api::crd::{self, Engine, Layout, Locality, VolumeSpec};
use weir_api::latency::LatencyObjective;
use weir_api::names::{NodeName, ObjectName};
use weir_api::units::{Bytes, Latency};
use weir_api::volume::{Provisioning, VolumeStatus};

use super::usage::Usage;

/// LVM hands out whole extents. A volume group may have larger ones, which only its agent knows: what a volume
/// really takes is counted as soon as its status tells.
pub const EXTENT: Bytes = Bytes(4 << 20);

/// What placement has to know of a volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VolumeView {
    /// What it takes, copies of it included.
    pub size: Bytes,
    /// What is to serve it.
    pub engine: Engine,
    /// When it takes its space.
    pub provisioning: Provisioning,
    /// How its data is to lie on the pool's disks.
    pub layout: Layout,
    /// What was said about where it should be.
    pub placement: crd::Placement,
    /// The nodes that use it, as far as they are known.
    pub consumers: Vec<NodeName>,
    /// Pools whose agents refused it lately.
    pub left_out: BTreeSet<ObjectName>,
    /// Nodes that hold a volume with the same anti-affinity key.
    pub occupied: BTreeSet<NodeName>,
    /// What 99 of 100 reads are to take at most, in microseconds.
    pub read_p99: Option<f32>,
    /// What 99 of 100 writes are to take at most, in microseconds.
    pub write_p99: Option<f32>,
}

impl VolumeView {
    /// A volume as its object tells.
    #[must_use]
    pub fn of(spec: &VolumeSpec) -> Self {
        let rounded = spec.capacity_bytes.round_up(EXTENT);
        let size = rounded.unwrap_or(Bytes(u64::MAX));
        let placement = spec.placement.clone().unwrap_or_default();
        let attached = spec.attachments.iter().map(|one| &one.node_name);
        let consumers = match spec.attachments.is_empty() {
            true => placement.consumer_node.clone().into_iter().collect(),
            false => attached.cloned().collect(),
        };
        let objective = |of: fn(&LatencyObjective) -> Option<Latency>| {
            let latency = spec.latency.as_ref().and_then(of)?;
            // No I/O takes as long as would not fit.
            Some(u32::try_from(latency.0).unwrap_or(u32::MAX) as f32)
        };
        VolumeView {
            size: Bytes(size.0.saturating_mul(copies(spec.layout))),
            engine: spec.engine,
            provisioning: spec.provisioning,
            layout: spec.layout,
            placement,
            consumers,
            left_out: BTreeSet::new(),
            occupied: BTreeSet::new(),
            read_p99: objective(|latency| latency.read_p99),
            write_p99: objective(|latency| latency.write_p99),
        }
    }

    /// Whether anything is asked of its latency.
    #[must_use]
    pub fn has_objective(&self) -> bool {
        self.read_p99.is_some() || self.write_p99.is_some()
    }

    /// Its anti-affinity key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.placement.anti_affinity_key.as_deref()
    }

    /// Whether it is used on a node, and on that alone; not known: nobody is known to use it.
    #[must_use]
    pub fn is_local(&self, node: &NodeName) -> Option<bool> {
        match self.consumers.as_slice() {
            [] => None,
            known => Some(known.iter().all(|consumer| consumer == node)),
        }
    }

    /// What it takes of a pool on a node, while nothing of it is there.
    #[must_use]
    pub fn usage(&self, node: &NodeName) -> Usage {
        let must_be_local = self.placement.locality == Locality::MustLocal;
        let is_local = self.is_local(node).unwrap_or(must_be_local);
        let (thick, thin) = match self.provisioning {
            Provisioning::Thick => (self.size, Bytes(0)),
            Provisioning::Thin => (Bytes(0), self.size),
        };
        Usage {
            volumes: 1,
            remote: u32::from(!is_local),
            thick,
            thin,
            unshown: thick,
        }
    }

    /// What it takes of a pool on a node, now that its agent told of it. A volume that is to grow is already as
    /// large as it will be.
    #[must_use]
    pub fn usage_with(&self, node: &NodeName, status: Option<&VolumeStatus>) -> Usage {
        let shown = status.map_or(0, |status| status.capacity_bytes.0);
        let shown = shown.saturating_mul(copies(self.layout));
        let larger = VolumeView {
            size: Bytes(self.size.0.max(shown)),
            ..self.clone()
        };
        let usage = larger.usage(node);
        let unshown = usage.thick.0.saturating_sub(shown);
        Usage {
            unshown: Bytes(unshown),
            ..usage
        }
    }
}

/// How many times a volume's data is kept.
fn copies(layout: Layout) -> u64 {
    match layout {
        Layout::Linear | Layout::Striped => 1,
        Layout::Mirror => 2,
    }
}
