//! Volume: one block device carved out of a pool, and the nodes that may use it.

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::names::{Generation, NodeName, ObjectName, VolumeId};
use crate::object::Object;
use crate::pool::Portal;
use crate::units::Bytes;

/// A volume. The agent of its pool's node makes it and writes its status.
pub type Volume = Object<VolumeSpec, VolumeStatus>;

/// What a volume should be.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// One. Its export is one subsystem, which is made anew for every grant.
    #[default]
    SingleHost,
    /// Several, which have to agree among themselves who writes what. Each has a device mapping and a
    /// subsystem of its own, so that one can be cut off without the others noticing.
    MultiHost,
}

/// When a volume takes its space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provisioning {
    /// At creation: a linear LV, zeroed before its first use.
    #[default]
    Thick,
    /// As it is written: a thin LV; a block that was never written reads as zeroes.
    Thin,
}

/// What a new volume's data is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// A logical volume of the pool's volume group that Weir did not make: it becomes this volume, under
    /// a new name and with its data as it is.
    pub logical_volume: String,
}

/// A grant: this node may use the volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// Who.
    pub node_name: NodeName,
    /// Which grant; a new one for every grant.
    pub generation: Generation,
}

/// What a volume is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// Where in its life it is.
    pub phase: Phase,
    /// Its real size.
    #[serde(default)]
    pub capacity_bytes: Bytes,
    /// The block device on the pool's node, once a single-host volume may be used there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_path: Option<String>,
    /// How the attached node reaches a single-host volume, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetStatus>,
    /// Every attachment that is recorded, in the order of node names.
    #[serde(default)]
    pub attachments: Vec<AttachmentStatus>,
    /// See [`crate::condition`].
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// What a grant is worth now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentStatus {
    /// Whose it is.
    pub node_name: NodeName,
    /// Which grant.
    pub generation: Generation,
    /// The block device, once the pool's own node may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_path: Option<String>,
    /// How another node reaches the volume, once it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetStatus>,
    /// What is waited for, if it can't be used yet or is about to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where in its life a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing was made yet; a condition says what it waits for.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The subsystem's NQN.
    pub nqn: String,
    /// The NQN of the one host that may connect.
    pub host_nqn: String,
    /// The namespace's number.
    pub nsid: u32,
    /// The namespace's UUID: the volume's id.
    pub uuid: VolumeId,
    /// Where it listens.
    pub portals: Vec<Portal>,
}
