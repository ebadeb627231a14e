//! StoragePool: one volume group on one node, and the portals on which its volumes are exported.
//!
//! [`PoolSpec`] here is what an agent serves; what may be asked of Weir at all is
//! [`crate::crd::StoragePoolSpec`], and [`crate::served`] leads from there to here.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::latency::LatencySummary;
use crate::names::{NodeName, ObjectName, VgName, VolumeId};
use crate::object::Object;
use crate::units::Bytes;
use crate::volume::{Access, Attachment, Provisioning};

/// So many orphan volumes a status names; [`PoolStatus::orphans`] counts them all.
pub const MOST_ORPHANS: usize = 1024;

/// A pool. The agent of `spec.nodeName` makes it and writes its status.
pub type StoragePool = Object<PoolSpec, PoolStatus>;

/// What a pool should be, as an agent serves it.
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

/// How a pool keeps its volumes, as an agent serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolEngine {
    /// LVM logical volumes, exported by the kernel's own NVMe target.
    pub kernel: KernelPool,
}

/// A pool on LVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KernelPool {
    /// The volume group's name.
    pub volume_group: VgName,
    /// Disks, as absolute paths. Given, and no volume group of that name: one is made from them.
    /// Empty: the volume group must exist.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::devices")]
    pub devices: Vec<String>,
    /// Make the volume group even though a device holds a signature (a file system, a partition
    /// table, another volume manager's label). That data is lost.
    #[serde(default)]
    pub overwrite_signatures: bool,
    /// The thin pool that thin volumes are carved out of; without it, thin volumes are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thin_pool: Option<ThinPool>,
    /// Over how many disks a striped volume lies; left out, over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 64))]
    pub stripes: Option<u8>,
}

/// A thin pool inside the volume group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThinPool {
    /// Size of its data part; rounded up to whole extents.
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub capacity_bytes: Bytes,
}

/// An address on which exports of a pool can be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Portal {
    /// The NVMe transport.
    #[serde(default)]
    pub transport: Transport,
    /// An address of the node. A wildcard (`0.0.0.0`, `::`) is refused: it would export on every
    /// network the node has or will have.
    #[schemars(schema_with = "crate::schema::address")]
    pub address: IpAddr,
    /// The port; NVMe-oF's own is 4420.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// NVMe transports.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolStatus {
    /// Its size.
    pub capacity_bytes: Bytes,
    /// What no volume uses.
    pub free_bytes: Bytes,
    /// What was promised to volumes, thin ones with their full size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<Bytes>,
    /// How full the thin pool is. Left as it was while its agent cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thin: Option<ThinUsage>,
    /// How many volumes it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<u32>,
    /// How many volumes it holds that no Volume asks for. Left out until its agent knows: it may hold any then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphans: Option<u32>,
    /// These volumes, in the order of their ids, so far as there is room: `orphans` counts them all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub orphan_volumes: Vec<OrphanVolume>,
    /// Its latency, lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencySummary>,
    /// What its node's kernel can do of what Weir can use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::words")]
    pub kernel_features: Vec<String>,
    /// What runs on its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// What there is to know about it.
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` this was written for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// A volume that no object asks for: enough of it to make the object again, so that its agent takes it back as
/// it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanVolume {
    /// Which.
    pub id: VolumeId,
    /// Its object's name, as its node keeps it.
    pub name: ObjectName,
    /// Its real size.
    pub capacity_bytes: Bytes,
    /// How it takes its space.
    #[serde(default)]
    pub provisioning: Provisioning,
    /// How many nodes may use it at once.
    #[serde(default)]
    pub access: Access,
    /// Who may use it still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::grants")]
    pub attachments: Vec<Attachment>,
}

/// How full a thin pool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThinUsage {
    /// Of its data, rounded up; 100 only where none is left.
    #[schemars(range(min = 0, max = 100))]
    pub data_percent: u8,
    /// Of its metadata, rounded up in the same way. Full metadata stops a pool as full data does.
    #[schemars(range(min = 0, max = 100))]
    pub metadata_percent: u8,
}

impl ThinUsage {
    /// A thin pool whose data is as full as this takes no more volumes: those it holds will grow.
    pub const DATA_LIMIT: u8 = 90;
    /// The same of its metadata, which grows in larger steps.
    pub const METADATA_LIMIT: u8 = 80;

    /// Of each part so much is used, of so much that there is.
    #[must_use]
    pub fn of(data: (u64, u64), metadata: (u64, u64)) -> Self {
        ThinUsage {
            data_percent: percent(data),
            metadata_percent: percent(metadata),
        }
    }

    /// Whether its data has reached its limit.
    #[must_use]
    pub fn is_data_over(&self) -> bool {
        self.data_percent >= Self::DATA_LIMIT
    }

    /// Whether its metadata has reached its limit.
    #[must_use]
    pub fn is_metadata_over(&self) -> bool {
        self.metadata_percent >= Self::METADATA_LIMIT
    }

    /// Whether it takes no more volumes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_data_over() || self.is_metadata_over()
    }

    /// Whether nothing is left of one of the two.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.data_percent >= 100 || self.metadata_percent >= 100
    }
}

/// Rounded up, so that no limit is passed unseen; but what is not full does not say that it is.
fn percent((used, of): (u64, u64)) -> u8 {
    if used >= of {
        return 100;
    }
    let percent = (u128::from(used) * 100).div_ceil(u128::from(of));
    u8::try_from(percent.min(99)).unwrap_or(99)
}

/// What runs on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The agent.
    #[schemars(length(max = 64))]
    pub agent: String,
    /// The kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub kernel: Option<String>,
    /// The LVM tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub lvm: Option<String>,
    /// SPDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub spdk: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentage_is_rounded_up_and_100_means_full() {
        let rows = [
            ((0, 1024), 0),
            ((1, 1024), 1),
            ((512, 1024), 50),
            ((513, 1024), 51),
            ((911, 1024), 89),
            ((912, 1024), 90),
            ((1023, 1024), 99),
            ((1024, 1024), 100),
            ((u64::MAX - 1, u64::MAX), 99),
            ((0, 0), 100),
        ];
        for (part, expected) in rows {
            let usage = ThinUsage::of(part, part);
            let both = (usage.data_percent, usage.metadata_percent);
            assert_eq!(both, (expected, expected), "{part:?}");
        }
    }

    proptest! {
        /// Seen red with: `div_ceil` in `percent` replaced by `/`.
        #[test]
        fn no_limit_is_passed_unseen(used: u32, of in 1u32..) {
            let used = used.min(of);
            let usage = ThinUsage::of((used.into(), of.into()), (used.into(), of.into()));
            let is_at = |limit: u8| u64::from(used) * 100 > u64::from(of) * u64::from(limit - 1);
            prop_assert_eq!(usage.is_data_over(), is_at(ThinUsage::DATA_LIMIT));
            prop_assert_eq!(usage.is_metadata_over(), is_at(ThinUsage::METADATA_LIMIT));
            prop_assert_eq!(usage.is_full(), used == of);
            prop_assert!(u64::from(usage.data_percent) * u64::from(of) >= u64::from(used) * 100 || usage.data_percent == 99);
        }
    }
}
