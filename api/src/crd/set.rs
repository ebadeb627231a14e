//! VolumeSet: several volumes that are used as one device.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::Placement;
use super::rules::rules;
use super::volume::{Engine, Qos, Wipe};
use crate::condition::Condition;
use crate::latency::{LatencyObjective, LatencySummary};
use crate::names::{NodeName, ObjectName, VolumeId};
use crate::units::Bytes;
use crate::volume::{Attachment, Phase, Provisioning};

/// What a set should be.
#[expect(
    clippy::duplicated_attributes,
    reason = "columns have their types and priorities in common"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "VolumeSet",
    derive = "PartialEq",
    status = "VolumeSetStatus",
    shortname = "wset",
    category = "weir",
    doc = "Several volumes, in as many pools, that the node which uses them sees as one device.",
    selectable = ".spec.id",
    selectable = ".status.phase",
    printcolumn(name = "State", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Volumes", type_ = "integer", json_path = ".spec.volumes"),
    printcolumn(name = "Layout", type_ = "string", json_path = ".spec.layout"),
    printcolumn(
        name = "Attached",
        type_ = "string",
        json_path = ".spec.attachments[*].nodeName"
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
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.capacityBytes >= oldSelf.capacityBytes", "a set never shrinks", ".capacityBytes"),
    ("self.volumes == oldSelf.volumes", "the number of volumes is immutable", ".volumes"),
    ("self.layout == oldSelf.layout", "layout is immutable", ".layout"),
    ("self.stripeBytes == oldSelf.stripeBytes", "stripeBytes is immutable", ".stripeBytes"),
    ("self.template == oldSelf.template", "template is immutable", ".template"),
])))]
pub struct VolumeSetSpec {
    /// Its identity, a UUID chosen by whoever creates the object. Never changes; the volumes' ids are made
    /// from it.
    #[schemars(schema_with = "crate::schema::own_id")]
    pub id: VolumeId,
    /// At least so many bytes in all, in equal parts. May grow, never shrinks.
    #[schemars(schema_with = "crate::schema::some_bytes")]
    pub capacity_bytes: Bytes,
    /// How many volumes it consists of. Never changes.
    #[schemars(range(min = 2, max = 16))]
    pub volumes: u8,
    /// How its data lies on them. Never changes.
    #[serde(default)]
    pub layout: SetLayout,
    /// The length of a stripe where `layout` is `striped`. Never changes.
    #[serde(default = "stripe_bytes")]
    #[schemars(schema_with = "stripe_schema")]
    pub stripe_bytes: Bytes,
    /// What each of its volumes should be. Never changes.
    #[serde(default)]
    pub template: VolumeTemplate,
    /// The node that may use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["nodeName"]))]
    pub attachments: Vec<Attachment>,
}

/// How a set's data lies on its volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SetLayout {
    /// One volume after the other.
    #[default]
    Linear,
    /// In stripes over all of them.
    Striped,
}

/// What each volume of a set should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeTemplate {
    /// What serves it.
    #[serde(default)]
    pub engine: Engine,
    /// Whether its space is taken now (`thick`) or as it is written (`thin`).
    #[serde(default)]
    pub provisioning: Provisioning,
    /// Which pools may hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// What its latency should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyObjective>,
    /// The most I/O that is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// What happens to its space before another volume gets it.
    #[serde(default)]
    pub wipe: Wipe,
}

/// What a set is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSetStatus {
    /// Where in its life it is.
    #[serde(default)]
    pub phase: Phase,
    /// Its real size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<Bytes>,
    /// Its volumes, in the order of its data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["volumeName"]))]
    pub members: Vec<Member>,
    /// The slowest member's latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencySummary>,
    /// What there is to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// One volume of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The Volume.
    pub volume_name: ObjectName,
    /// Where in its life it is.
    #[serde(default)]
    pub phase: Phase,
    /// The pool that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_name: Option<ObjectName>,
    /// The node of that pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<NodeName>,
}

fn stripe_bytes() -> Bytes {
    Bytes(64 << 10)
}

/// What device mapper can do: a power of two, from a page on.
fn stripe_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let sizes: Vec<String> = (12..=24).map(|shift| (1 << shift).to_string()).collect();
    let rule = format!("self in [{}]", sizes.join(", "));
    schemars::json_schema!({
        "type": "integer", "format": "int64", "minimum": 4096, "maximum": 1 << 24,
        "x-kubernetes-validations": rules(&[(&rule, "must be a power of two", "")]),
    })
}
