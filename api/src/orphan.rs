//! Orphans: what is on a node and nobody asks for, and the orders about it that an agent takes on its
//! local socket.

use serde::{Deserialize, Serialize};

use crate::names::{ObjectName, VgName, VolumeId};
use crate::units::Bytes;

/// Where an agent listens unless told otherwise.
pub const SOCKET: &str = "/run/weir/agent.sock";

/// `GET`: [`Orphans`].
pub const LIST: &str = "/v1/orphans";
/// `POST` an [`Adopt`]: [`Done`].
pub const ADOPT: &str = "/v1/orphans/adopt";
/// `POST` a [`Remove`]: [`Done`].
pub const REMOVE: &str = "/v1/orphans/remove";

/// What nobody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    /// By kind, then by name.
    pub items: Vec<Orphan>,
}

/// One thing that nobody asks for. It is kept, and served on as far as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// Its object's name, as record or tags tell it.
    pub name: Option<ObjectName>,
    /// The volume it is, or is a part of.
    pub id: Option<VolumeId>,
    /// Its pool.
    pub pool: Option<ObjectName>,
    /// Its volume group and, after a `/`, its logical volume; a subsystem's NQN; a file's path.
    pub place: String,
    /// Its size.
    pub capacity_bytes: Bytes,
    /// Whether somebody has it open, the kernel's target included.
    pub is_open: bool,
    /// What is the case, and what can be done.
    pub message: String,
}

/// Kinds of orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OrphanKind {
    /// A volume group with a pool's mark of which nothing is recorded.
    VolumeGroup,
    /// A recorded pool.
    Pool,
    /// A logical volume with a volume's mark of which nothing is recorded.
    LogicalVolume,
    /// A recorded volume.
    Volume,
    /// A subsystem with a volume's NQN of which nothing is recorded.
    Export,
    /// A file among the records that can't be used.
    Record,
}

impl std::fmt::Display for OrphanKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// An order to bring something under management: a request for it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase", deny_unknown_fields)]
pub enum Adopt {
    /// An orphan LV, or a recorded volume.
    #[serde(rename_all = "camelCase")]
    Volume {
        /// Which.
        id: VolumeId,
        /// What to call it, if not as its record or tags do.
        name: Option<ObjectName>,
    },
    /// A logical volume that Weir did not make. Its data becomes the volume's.
    #[serde(rename_all = "camelCase")]
    Foreign {
        /// The volume group, which must be a pool's.
        volume_group: VgName,
        /// The logical volume.
        logical_volume: String,
        /// What to call the volume.
        name: ObjectName,
        /// The id it is to have; a new one if left out.
        id: Option<VolumeId>,
    },
    /// A recorded pool, or a volume group with a pool's mark.
    #[serde(rename_all = "camelCase")]
    Pool {
        /// Which.
        name: ObjectName,
    },
}

/// An order to destroy an orphan volume, its data included. It is refused while somebody has the volume
/// open, and recorded before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Remove {
    /// Which.
    pub id: VolumeId,
}

/// An order that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// What was done and what follows.
    pub message: String,
    /// The volume it was about, if it was about one.
    pub id: Option<VolumeId>,
}

/// An order that was not taken: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub error: String,
}
