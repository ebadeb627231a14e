//! VolumeMigration: a volume is moved to another pool while it is used.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rules;
use crate::condition::Condition;
use crate::names::ObjectName;
use crate::units::Bytes;

/// What should be moved where.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns have their types and priorities in common"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "VolumeMigration",
    derive = "PartialEq",
    status = "VolumeMigrationStatus",
    shortname = "wmig",
    category = "weir",
    doc = "Moves a volume to another pool while it is used.",
    selectable = ".spec.volumeName",
    selectable = ".spec.targetPoolName",
    selectable = ".status.phase",
    printcolumn(name = "State", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volumeName"),
    printcolumn(name = "From", type_ = "string", json_path = ".status.sourcePoolName"),
    printcolumn(name = "To", type_ = "string", json_path = ".status.targetPoolName"),
    printcolumn(
        name = "Done%",
        type_ = "integer",
        json_path = ".status.progressPercent"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Copied",
        type_ = "integer",
        json_path = ".status.copiedBytes",
        format = "int64",
        priority = 1,
        description = "In bytes"
    ),
    printcolumn(
        name = "Finished",
        type_ = "date",
        json_path = ".status.finishedAt",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "has(self.targetPoolName) == has(oldSelf.targetPoolName) && (!has(self.targetPoolName) || self.targetPoolName == oldSelf.targetPoolName)",
        "targetPoolName is immutable", ".targetPoolName",
    ),
    ("self.cancelled || !oldSelf.cancelled", "what was cancelled stays so", ".cancelled"),
])))]
pub struct VolumeMigrationSpec {
    /// The volume. Never changes.
    #[schemars(extend("x-kubernetes-validations" = rules(&[("self == oldSelf", "volumeName is immutable", "")])))]
    pub volume_name: ObjectName,
    /// The pool it should be in; left out, placement chooses. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_pool_name: Option<ObjectName>,
    /// The most bytes that are copied each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub max_bytes_per_second: Option<Bytes>,
    /// Stop, as long as the volume was not switched over. Can't be taken back.
    #[serde(default)]
    pub cancelled: bool,
}

/// Where in its life a migration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MigrationPhase {
    /// Nothing was done yet.
    #[default]
    Pending,
    /// Data is copied; the volume is used from where it was.
    Copying,
    /// The volume is handed over.
    Switching,
    /// It is in the other pool and gone from the first.
    Completed,
    /// It was cancelled: the volume is where it was.
    Cancelled,
    /// It can't be moved; a condition says why. The volume is where it was.
    Failed,
}

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMigrationStatus {
    /// Where in its life it is.
    #[serde(default)]
    pub phase: MigrationPhase,
    /// The pool the volume was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_pool_name: Option<ObjectName>,
    /// The pool it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_pool_name: Option<ObjectName>,
    /// How much there is to copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<Bytes>,
    /// How much of it was copied; what is written meanwhile may have to be copied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_bytes: Option<Bytes>,
    /// The same as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress_percent: Option<u8>,
    /// When copying began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended, however it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// What there is to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}
