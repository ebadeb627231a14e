//! What the probes are told to measure. Level-triggered: each call says all of it.

use weir_api::names::{NodeName, ObjectName, VolumeId};

use crate::disk::DevT;

/// Everything that is to be measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Volumes whose device is there.
    pub volumes: Vec<MeasuredVolume>,
    /// Disks below them.
    pub disks: Vec<MeasuredDisk>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredVolume {
    /// Its identity.
    pub id: VolumeId,
    /// Its object's name.
    pub name: ObjectName,
    /// Its pool's name.
    pub pool: ObjectName,
    /// Its LV's number.
    pub dev: DevT,
    /// How it is used.
    pub mode: Mode,
}

/// How a volume is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On this node, or not at all.
    Local,
    /// By other nodes.
    Exported {
        /// NQN and node of each host it is granted to.
        initiators: Vec<(String, NodeName)>,
    },
}

/// A pool's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredDisk {
    /// The pool's name.
    pub pool: ObjectName,
    /// Its path, as the pool's physical volume has it.
    pub disk: String,
    /// Its number.
    pub dev: DevT,
}

/// Measures.
pub trait Measure {
    /// Measures this from now on, and nothing else.
    fn sync(&mut self, wanted: &Wanted);
}

/// Measures nothing.
impl Measure for () {
    fn sync(&mut self, _: &Wanted) {}
}
