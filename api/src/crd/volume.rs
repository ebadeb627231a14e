//! Volume, as anybody may ask for one.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::Placement;
use super::rules::rules;
use crate::latency::LatencyObjective;
use crate::names::{ObjectName, VolumeId};
use crate::units::Bytes;
use crate::volume::{Access, Attachment, Provisioning, VolumeStatus};

/// What a volume should be.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns have their types and priorities in common"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "Volume",
    derive = "PartialEq",
    status = "VolumeStatus",
    shortname = "wvol",
    category = "weir",
    doc = "A block device that is carved out of a pool, and the nodes that may use it.",
    selectable = ".spec.id",
    selectable = ".spec.poolName",
    selectable = ".status.phase",
    printcolumn(name = "State", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolName"),
    printcolumn(
        name = "Node",
        type_ = "string",
        json_path = ".status.nodeName",
        description = "Where its data is"
    ),
    printcolumn(
        name = "Attached",
        type_ = "string",
        json_path = ".spec.attachments[*].nodeName",
        description = "The first node that may use it"
    ),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".spec.capacityBytes",
        format = "int64",
        description = "In bytes"
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
        name = "Engine",
        type_ = "string",
        json_path = ".spec.engine",
        priority = 1
    ),
    printcolumn(
        name = "Provisioning",
        type_ = "string",
        json_path = ".spec.provisioning",
        priority = 1
    ),
    printcolumn(
        name = "Access",
        type_ = "string",
        json_path = ".spec.access",
        priority = 1
    ),
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.capacityBytes >= oldSelf.capacityBytes", "a volume never shrinks", ".capacityBytes"),
    ("self.provisioning == oldSelf.provisioning", "provisioning is immutable", ".provisioning"),
    ("self.layout == oldSelf.layout", "layout is immutable", ".layout"),
    ("self.access == oldSelf.access", "access is immutable", ".access"),
    ("!has(oldSelf.poolName) || self.engine == oldSelf.engine", "engine is immutable once a pool was chosen", ".engine"),
    (
        "!has(oldSelf.poolName) || !has(self.poolName) || self.poolName == oldSelf.poolName",
        "poolName is immutable: a VolumeMigration moves a volume", ".poolName",
    ),
    ("has(self.source) == has(oldSelf.source) && (!has(self.source) || self.source == oldSelf.source)", "source is immutable", ".source"),
    ("self.access != 'SingleHost' || !has(self.attachments) || size(self.attachments) <= 1", "a SingleHost volume can be attached to one node at a time", ".attachments"),
])))]
pub struct VolumeSpec {
    /// Its identity, a UUID chosen by whoever creates the object: its data is found by it, also after the
    /// object was restored. Never changes.
    #[schemars(schema_with = "crate::schema::own_id")]
    pub id: VolumeId,
    /// At least so many bytes; rounded up to whole extents. May grow, never shrinks.
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub capacity_bytes: Bytes,
    /// What serves it. Never changes once a pool was chosen.
    #[serde(default)]
    pub engine: Engine,
    /// Whether its space is taken now (`thick`) or as it is written (`thin`). Never changes.
    #[serde(default)]
    pub provisioning: Provisioning,
    /// How its data lies on its pool's disks. Never changes.
    #[serde(default)]
    pub layout: Layout,
    /// How many nodes may use it at once. Never changes.
    #[serde(default)]
    pub access: Access,
    /// Which pools may hold it, and which are better than others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// What its latency should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyObjective>,
    /// The most I/O that is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// What its data is to be, if it is not to be empty. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What happens to its space before another volume gets it. Other values than `zero` let the next
    /// owner read what was there, and raise a condition.
    #[serde(default)]
    pub wipe: Wipe,
    /// Nodes that may use it, the pool's own node included: at most one unless `access` says otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["nodeName"]))]
    pub attachments: Vec<Attachment>,
    /// The pool that holds it. Written by the controller; cleared only after the pool's agent refused the
    /// volume, before it made anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_name: Option<ObjectName>,
}

/// What serves a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// LVM and the kernel's own NVMe target.
    #[default]
    Kernel,
    /// SPDK's NVMe target.
    Spdk,
    /// Whichever the chosen pool has.
    Any,
}

/// How a volume's data lies on its pool's disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One disk after the other.
    #[default]
    Linear,
    /// In stripes over as many disks as the pool says.
    Striped,
    /// Twice, on different disks of the pool's node.
    Mirror,
}

/// What happens to a volume's space before another volume gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wipe {
    /// It is overwritten with zeroes.
    #[default]
    Zero,
    /// It is discarded; whether old data can be read then, the disk decides.
    Discard,
    /// Nothing.
    None,
}

/// What a new volume's data is: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "has(self.snapshot) ? !has(self.volume) && !has(self.logicalVolume) : has(self.volume) != has(self.logicalVolume)",
    "exactly one of snapshot, volume and logicalVolume must be given", "",
)])))]
pub struct Source {
    /// A Snapshot: the volume begins with the data as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<ObjectName>,
    /// A Volume: the volume begins as a copy of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<ObjectName>,
    /// A logical volume of the pool's volume group that Weir did not make: it becomes this volume, under a
    /// new name and with its data as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 127),
        regex(pattern = r"^[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$")
    )]
    pub logical_volume: Option<String>,
}

/// The most I/O that is let through, each second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct Qos {
    /// Reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub read_iops: Option<u32>,
    /// Writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub write_iops: Option<u32>,
    /// Bytes that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub read_bytes_per_second: Option<Bytes>,
    /// Bytes that are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub write_bytes_per_second: Option<Bytes>,
}
