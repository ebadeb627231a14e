//! StoragePool, as anybody may ask for one.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rules;
use crate::names::NodeName;
use crate::pool::{KernelPool, PoolStatus, Portal};
use crate::units::{Bytes, Ratio};

/// What a pool should be.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns have their types and priorities in common"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "StoragePool",
    derive = "PartialEq",
    status = "PoolStatus",
    shortname = "wpool",
    category = "weir",
    doc = "Space on one node's disks, and the portals on which volumes in it are exported.",
    selectable = ".spec.nodeName",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.nodeName"),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".status.capacityBytes",
        format = "int64",
        description = "In bytes"
    ),
    printcolumn(
        name = "Free",
        type_ = "integer",
        json_path = ".status.freeBytes",
        format = "int64",
        description = "In bytes"
    ),
    printcolumn(
        name = "Thin%",
        type_ = "integer",
        json_path = ".status.thin.dataPercent",
        description = "How full the thin pool is"
    ),
    printcolumn(
        name = "P99",
        type_ = "string",
        json_path = ".status.latency.p99",
        description = "99 of 100 I/Os took no longer"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(
        name = "Unschedulable",
        type_ = "boolean",
        json_path = ".spec.unschedulable",
        priority = 1
    ),
    printcolumn(
        name = "Volumes",
        type_ = "integer",
        json_path = ".status.volumes",
        priority = 1
    ),
    printcolumn(
        name = "Orphans",
        type_ = "integer",
        json_path = ".status.orphans",
        priority = 1
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.versions.agent",
        priority = 1
    ),
    printcolumn(
        name = "Kernel",
        type_ = "string",
        json_path = ".status.versions.kernel",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct StoragePoolSpec {
    /// The node whose disks it uses. Never changes.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "nodeName is immutable", "")])))]
    pub node_name: NodeName,
    /// How volumes are kept: exactly one member. Which one, never changes.
    pub engine: PoolEngine,
    /// Where exports listen. Empty: volumes of this pool can only be used on its own node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub portals: Vec<Portal>,
    /// Put no more volumes here; those that are here stay.
    #[serde(default)]
    pub unschedulable: bool,
    /// Space that placement leaves free.
    #[serde(default)]
    pub reserved_bytes: Bytes,
    /// The most volumes it may hold; the agent has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_volumes: Option<u32>,
    /// The most volumes that other nodes may use: so many are gone with this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_remote_volumes: Option<u32>,
    /// How many times its size may be promised to thin volumes, e.g. `"1.5"`.
    #[serde(default)]
    pub overprovision_ratio: Ratio,
    /// Serve volumes on after their node stopped without a word although a disk of the pool has a
    /// volatile write cache. What was acknowledged and not flushed may be lost then, and hosts that
    /// reconnect are not told: their next flush succeeds.
    #[serde(default)]
    pub accept_volatile_write_cache: bool,
}

/// How a pool keeps its volumes: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.kernel) != has(self.spdk)", "exactly one of kernel and spdk must be given", ""),
    ("has(self.kernel) == has(oldSelf.kernel)", "a pool's engine is immutable", ""),
    (
        "!has(self.kernel) || !has(oldSelf.kernel) || self.kernel.volumeGroup == oldSelf.kernel.volumeGroup",
        "volumeGroup is immutable", ".kernel.volumeGroup",
    ),
    (
        "!has(self.spdk) || !has(oldSelf.spdk) || self.spdk.lvstore == oldSelf.spdk.lvstore && self.spdk.base == oldSelf.spdk.base",
        "lvstore and base are immutable", ".spdk",
    ),
])))]
pub struct PoolEngine {
    /// LVM logical volumes, exported by the kernel's own NVMe target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelPool>,
    /// SPDK logical volumes, exported by `nvmf_tgt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spdk: Option<SpdkPool>,
}

/// A pool on SPDK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpdkPool {
    /// The logical volume store's name. Never changes.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub lvstore: String,
    /// What it is made on: exactly one member. Never changes.
    pub base: SpdkBase,
    /// The socket on which `nvmf_tgt` takes orders.
    #[serde(default = "rpc_socket")]
    #[schemars(length(max = 107), regex(pattern = r"^/[!-~]+$"))]
    pub rpc_socket: String,
}

/// What a logical volume store is made on: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.aio) ? !has(self.nvme) && !has(self.malloc) : has(self.nvme) != has(self.malloc)",
    "exactly one of aio, nvme and malloc must be given", "",
)])))]
pub struct SpdkBase {
    /// A block device, through the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aio: Option<SpdkAio>,
    /// An NVMe controller that SPDK drives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvme: Option<SpdkNvme>,
    /// Memory, for trying things out: its content is gone with the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malloc: Option<SpdkMalloc>,
}

/// A block device, through the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpdkAio {
    /// Its path.
    #[schemars(schema_with = "crate::schema::device")]
    pub device: String,
}

/// An NVMe controller that SPDK drives itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpdkNvme {
    /// Its place on the PCI bus, e.g. `0000:5e:00.0`.
    #[schemars(
        length(max = 12),
        regex(pattern = r"^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f][.][0-7]$")
    )]
    pub pci_address: String,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpdkMalloc {
    /// How much.
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub capacity_bytes: Bytes,
}

fn rpc_socket() -> String {
    "/var/tmp/spdk.sock".to_owned()
}
