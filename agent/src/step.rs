//! Steps: the only things the agent does to its node, each one repeatable after a crash.

use std::path::PathBuf;

use nvmet::{Nqn, PortId, Target};
use strum::{IntoStaticStr, VariantNames};
use weir_api::names::{MappingName, ObjectName, VolumeId};
use weir_api::units::Bytes;

use crate::lvm::Group;
use crate::record::{PoolRecord, VolumeRecord};
use crate::zero::ZeroJob;

/// Steps about one thing, in order. The first that fails ends them; others' steps go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// What it is about.
    pub subject: Subject,
    /// What to do.
    pub steps: Vec<Step>,
}

/// What steps are about. Ordered as they are applied: pools, ports, hosts, volumes, links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantNames)]
pub enum Subject {
    /// A pool.
    Pool(ObjectName),
    /// A portal's port; the pool that asked first.
    Port(ObjectName, PortId),
    /// A host's entry, which all subsystems that name it share.
    Host(Nqn),
    /// A volume.
    Volume(ObjectName),
    /// A volume's export on one portal of its pool.
    Link {
        /// The volume.
        volume: ObjectName,
        /// Its pool.
        pool: ObjectName,
        /// The portal's port.
        port: PortId,
    },
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, IntoStaticStr, VariantNames)]
pub enum Step {
    /// Record a pool durably.
    WritePool(PoolRecord),
    /// Forget a pool durably.
    RemovePool(ObjectName),
    /// Record a volume durably.
    WriteVolume(VolumeRecord),
    /// Forget a volume durably.
    RemoveVolume(VolumeId),
    /// Erase every signature on a device. Its data is lost.
    WipeSignatures(String),
    /// Make a volume group with a tag.
    CreateGroup(Group, String),
    /// Tag a volume group.
    TagGroup(Group, String),
    /// Take a tag off a volume group.
    UntagGroup(Group, String),
    /// Make the thin pool of so many extents.
    CreateThinPool(Group, u64),
    /// Make a volume's linear LV of so many extents, marked as not zeroed.
    CreateLinear(Group, VolumeId, ObjectName, u64),
    /// Make a volume's thin LV.
    CreateThin(Group, VolumeId, ObjectName, Bytes),
    /// Activate an LV.
    Activate(Group, String),
    /// Change an LV's tags.
    RetagLv {
        /// Its group.
        group: Group,
        /// Its name,
        lv: String,
        /// and its UUID.
        uuid: String,
        /// Tags to add.
        add: Vec<String>,
        /// Tags to take off.
        remove: Vec<String>,
    },
    /// Give an LV another name.
    RenameLv {
        /// Its group.
        group: Group,
        /// Its name now,
        from: String,
        /// and its UUID.
        uuid: String,
        /// Its name afterwards.
        to: String,
    },
    /// Destroy an LV.
    RemoveLv {
        /// Its group.
        group: Group,
        /// Its name,
        lv: String,
        /// and its UUID,
        uuid: String,
        /// and a tag it must carry.
        tag: String,
    },
    /// Wait until LVM's metadata is on the disks: LVM writes it without flushing their caches.
    FlushDisks(Vec<String>),
    /// Write back and drop the page cache of a device.
    DropCache(PathBuf),
    /// Make the device through which one grant of a multi-host volume does its I/O.
    Map {
        /// The mapping.
        mapping: MappingName,
        /// The LV's device.
        device: String,
        /// Its size.
        size: Bytes,
    },
    /// Make a mapping fail all I/O, once what is on its way has ended: the fence of one grant.
    FailMapping(MappingName),
    /// Remove a mapping that nobody has open.
    Unmap(MappingName),
    /// Begin to zero.
    StartZeroing(ZeroJob, PathBuf, Bytes),
    /// End a zeroing early.
    StopZeroing(ZeroJob),
    /// Check once more that nobody has an LV open, just before it is exported.
    CheckClosed(Group, String, String),
    /// Change the NVMe target; both sides hold only what this step is about.
    Export {
        /// What is.
        have: Target,
        /// What shall be.
        want: Target,
    },
}
