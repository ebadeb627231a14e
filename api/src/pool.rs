//! StoragePool: one volume group on one node, and the portals on which its volumes are exported.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::names::{NodeName, VgName};
use crate::object::Object;
use crate::units::Bytes;

/// A pool. The agent of `spec.nodeName` makes it and writes its status.
pub type StoragePool = Object<PoolSpec, PoolStatus>;

/// What a pool should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolSpec {
    /// The node whose disks it uses.
    pub node_name: NodeName,
    /// How volumes are kept.
    pub engine: PoolEngine,
    /// Where exports listen. Empty: volumes of this pool can only be used on its own node.
    #[serde(default)]
    pub portals: Vec<Portal>,
    /// Serve volumes on after their node stopped without a word although a disk of the pool has a
    /// volatile write cache. What was acknowledged and not flushed may be lost then, and hosts that
    /// reconnect are not told: their next flush succeeds.
    #[serde(default)]
    pub accept_volatile_write_cache: bool,
}

/// How a pool keeps its volumes: exactly one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolEngine {
    /// LVM logical volumes, exported by the kernel's own NVMe target.
    pub kernel: KernelPool,
}

/// A pool on LVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelPool {
    /// The volume group's name.
    pub volume_group: VgName,
    /// Disks, as absolute paths. Given, and no volume group of that name: one is made from them.
    /// Empty: the volume group must exist.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Make the volume group even though a device holds a signature (a file system, a partition
    /// table, another volume manager's label). That data is lost.
    #[serde(default)]
    pub overwrite_signatures: bool,
    /// The thin pool that thin volumes are carved out of; without it, thin volumes are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thin_pool: Option<ThinPool>,
}

/// A thin pool inside the volume group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThinPool {
    /// Size of its data part; rounded up to whole extents.
    pub capacity_bytes: Bytes,
}

/// An address on which exports of a pool can be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Portal {
    /// The NVMe transport.
    #[serde(default)]
    pub transport: Transport,
    /// An address of the node. A wildcard (`0.0.0.0`, `::`) is refused: it would export on every
    /// network the node has or will have.
    pub address: IpAddr,
    /// The port; NVMe-oF's own is 4420.
    #[serde(default = "default_port")]
    pub port: u16,
}

/// NVMe transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// NVMe/TCP.
    #[default]
    Tcp,
}

impl std::fmt::Display for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
        };
        let address = std::net::SocketAddr::new(self.address, self.port);
        write!(f, "{transport}://{address}")
    }
}

fn default_port() -> u16 {
    4420
}

/// What a pool is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolStatus {
    /// Size of the volume group.
    pub capacity_bytes: Bytes,
    /// Extents that no LV uses.
    pub free_bytes: Bytes,
    /// See [`crate::condition`].
    pub conditions: Vec<Condition>,
}
