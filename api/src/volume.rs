//! Volume: one block device carved out of a pool, and the nodes that may use it.
//!
//! [`VolumeSpec`] here is what an agent serves: it has a pool, and asks for nothing that the agent can't
//! do. What may be asked of Weir at all is [`crate::crd::VolumeSpec`]; [`crate::served`] leads from there
//! to here, and names what an agent must refuse.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::crd::rules::rules;
use crate::latency::LatencySummary;
use crate::names::{Generation, NodeName, ObjectName, VolumeId};
use crate::object::Object;
use crate::pool::Portal;
use crate::units::{Bytes, Latency};

/// A volume. The agent of its pool's node makes it and writes its status.
pub type Volume = Object<VolumeSpec, VolumeStatus>;

/// What a volume should be, as an agent serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeSpec {
    /// Its identity, chosen by whoever creates the object; never changes.
    pub id: VolumeId,
    /// At least so many bytes; rounded up to whole extents.
    pub capacity_bytes: Bytes,
    /// The pool that holds it.
    pub pool_name: ObjectName,
    /// Whether its space is taken now or as it is written.
    #[serde(default)]
    pub provisioning: Provisioning,
    /// What its data is to be, if it is not to be empty. Only read until the volume was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How many nodes may use it at once; never changes.
    #[serde(default)]
    pub access: Access,
    /// Nodes that may use it, the pool's own node included: at most one unless `access` says
    /// otherwise, and each at most once.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
}

/// How many nodes may use a volume at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// One. Its export is one subsystem, which is made anew for every grant.
    #[default]
    SingleHost,
    /// Several, which have to agree among themselves who writes what. Each has a device mapping and a
    /// subsystem of its own, so that one can be cut off without the others noticing.
    MultiHost,
}

/// When a volume takes its space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provisioning {
    /// At creation: a linear LV, zeroed before its first use.
    #[default]
    Thick,
    /// As it is written: a thin LV; a block that was never written reads as zeroes.
    Thin,
}

/// What a new volume's data is, as an agent serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// A logical volume of the pool's volume group that Weir did not make: it becomes this volume, under
    /// a new name and with its data as it is.
    pub logical_volume: String,
}

/// A grant: this node may use the volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self.generation >= oldSelf.generation", "a generation never goes back", ".generation"),
    (
        "self.generation > oldSelf.generation || self.readOnly == oldSelf.readOnly",
        "readOnly changes only with a new generation", ".readOnly",
    ),
])))]
pub struct Attachment {
    /// Who.
    pub node_name: NodeName,
    /// Which grant; a new one for every grant.
    pub generation: Generation,
    /// Whether it may only read. The node that uses the volume sees to it: a target can't.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub read_only: bool,
}

/// What a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// Where in its life it is.
    #[serde(default)]
    pub phase: Phase,
    /// The node of its pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<NodeName>,
    /// Its real size.
    #[serde(default)]
    pub capacity_bytes: Bytes,
    /// The block device on the pool's node, once a single-host volume may be used there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub device_path: Option<String>,
    /// How the attached node reaches a single-host volume, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetStatus>,
    /// Every attachment that is recorded, in the order of node names.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub attachments: Vec<AttachmentStatus>,
    /// Its latency on the storage node, lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencySummary>,
    /// Why it is in the pool it is in, or in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementRecord>,
    /// What there is to know about it.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` this was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// How a pool was chosen, in at most 4 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementRecord {
    /// The pool that was chosen, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_name: Option<ObjectName>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// What the sample was drawn with: the same seed and the same pools give the same choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The pools that were compared, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub candidates: Vec<Candidate>,
    /// The filters that left pools out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filtered: Vec<Filtered>,
}

/// A pool that was compared with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Which.
    pub pool_name: ObjectName,
    /// What 99 of 100 I/Os would take no longer than, with this volume in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_p99: Option<Latency>,
    /// I/Os that were outstanding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Volumes that were in it or on their way to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<u32>,
    /// Space that was left.
    #[serde(default)]
    pub free_bytes: Bytes,
    /// Whether more was outstanding than in most pools.
    #[serde(default)]
    pub is_hot: bool,
}

/// A filter that left pools out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filtered {
    /// Which filter.
    #[schemars(length(min = 1, max = 64))]
    pub filter: String,
    /// How many pools.
    pub count: u32,
    /// A few of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub examples: Vec<ObjectName>,
}

/// What a grant is worth now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentStatus {
    /// Whose it is.
    pub node_name: NodeName,
    /// Which grant.
    pub generation: Generation,
    /// The block device, once the pool's own node may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub device_path: Option<String>,
    /// How another node reaches the volume, once it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetStatus>,
    /// What is waited for, if it can't be used yet or is about to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
}

/// Where in its life a volume is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing was made yet; a condition says what it waits for.
    #[default]
    Pending,
    /// The logical volume is being made or zeroed.
    Creating,
    /// It can be used by the nodes it is attached to.
    Ready,
    /// Deletion was ordered and recorded; a condition says what it waits for.
    Deleting,
    /// Its data is gone.
    Deleted,
    /// It can't be served; a condition says why.
    Failed,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// An export, as a host needs it to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The subsystem's NQN.
    #[schemars(length(max = 223))]
    pub nqn: String,
    /// The NQN of the one host that may connect.
    #[schemars(length(max = 223))]
    pub host_nqn: String,
    /// The namespace's number.
    #[schemars(range(min = 1))]
    pub nsid: u32,
    /// The namespace's UUID: the volume's id.
    pub uuid: VolumeId,
    /// Where it listens.
    #[schemars(length(max = 8))]
    pub portals: Vec<Portal>,
}
