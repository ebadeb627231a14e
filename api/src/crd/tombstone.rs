//! Tombstone: the order to destroy what a pool holds of a volume whose object is gone, or about to go.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rules;
use crate::condition::Condition;
use crate::names::{ObjectName, VolumeId};

/// What is to be destroyed where. Nothing of it ever changes.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns have their types and priorities in common"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "Tombstone",
    derive = "PartialEq",
    status = "TombstoneStatus",
    shortname = "wtomb",
    category = "weir",
    doc = "The order to destroy what a pool holds of a volume that was deleted while the pool's agent was not heard.",
    selectable = ".spec.id",
    selectable = ".spec.poolName",
    selectable = ".status.phase",
    printcolumn(name = "State", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volumeName"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolName"),
    printcolumn(
        name = "Why",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Removed\")].reason",
        description = "What the pool's agent says of it"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "a tombstone's spec is immutable", "")])))]
pub struct TombstoneSpec {
    /// The volume's id: what carries it is destroyed.
    pub id: VolumeId,
    /// What the volume's object was called, for people: nothing is found by it.
    pub volume_name: ObjectName,
    /// The pool. What other pools hold is left alone.
    pub pool_name: ObjectName,
}

/// Whether it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TombstonePhase {
    /// The pool may hold something of the volume.
    #[default]
    Pending,
    /// The pool holds nothing of it. The tombstone orders nothing any more, and the controller deletes it.
    Done,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TombstoneStatus {
    /// Whether it was done.
    #[serde(default)]
    pub phase: TombstonePhase,
    /// What there is to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}
