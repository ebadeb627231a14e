//! Snapshot: a volume's data as it was at one moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rules;
use crate::condition::Condition;
use crate::names::{ObjectName, VolumeId};
use crate::units::Bytes;
use crate::volume::Phase;

/// What a snapshot should be. Nothing of it ever changes.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns have their types and priorities in common"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "Snapshot",
    derive = "PartialEq",
    status = "SnapshotStatus",
    shortname = "wsnap",
    category = "weir",
    doc = "A volume's data as it was at one moment, in the volume's own pool.",
    selectable = ".spec.id",
    selectable = ".spec.volumeName",
    selectable = ".status.phase",
    selectable = ".status.poolName",
    printcolumn(name = "State", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volumeName"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".status.poolName"),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".status.capacityBytes",
        format = "int64",
        description = "In bytes"
    ),
    printcolumn(name = "Taken", type_ = "date", json_path = ".status.takenAt"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "a snapshot's spec is immutable", "")])))]
pub struct SnapshotSpec {
    /// Its identity, a UUID chosen by whoever creates the object, and no volume's.
    pub id: VolumeId,
    /// The volume.
    pub volume_name: ObjectName,
}

/// What a snapshot is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    /// Where in its life it is.
    #[serde(default)]
    pub phase: Phase,
    /// The pool it is in: the volume's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_name: Option<ObjectName>,
    /// The id of the volume it is of; the volume's object may be gone, or another may have its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<VolumeId>,
    /// The volume's size then: a volume made of it needs as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<Bytes>,
    /// The moment it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Time>,
    /// What there is to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}
