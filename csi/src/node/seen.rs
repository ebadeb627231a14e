//! What is there of a volume on this node, as the kernel tells it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use weir_api::names::{NodeName, VolumeId};

use super::source::Way;

/// A device's number: major and minor.
pub type Number = (u32, u32);

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The volume.
    pub id: VolumeId,
    /// This node.
    pub node: NodeName,
    /// The device mapping that it is here, where that is known: one that was found otherwise need not be the one that was granted.
    pub mapping: Option<String>,
    /// Where it is staged.
    pub staging: Option<PathBuf>,
    /// Where a pod has it.
    pub target: Option<PathBuf>,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// At the staging path, if there is one.
    pub staging: Option<Place>,
    /// At the target path, if there is one.
    pub target: Option<Place>,
    /// Connections to the volume.
    pub paths: Vec<Connection>,
    /// Its device.
    pub device: Option<Device>,
    /// Where else it is mounted.
    pub others: Vec<PathBuf>,
}

/// A connection: a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name, such as `nvme3`.
    pub controller: String,
    /// The subsystem.
    pub nqn: String,
    /// Who this node is to it.
    pub host_nqn: String,
    /// Where to; none where the kernel shows none.
    pub portal: Option<SocketAddr>,
    /// How it is.
    pub state: State,
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Live,
    /// It is lost, or not there yet, and is tried.
    Trying,
    /// It goes away.
    Going,
}

impl Connection {
    /// Whether it is this way.
    #[must_use]
    pub fn is(&self, way: &Way) -> bool {
        self.state != State::Going && self.portal == Some(way.portal) && self.is_granted_as(way)
    }

    /// Whether it is of the same grant.
    #[must_use]
    pub fn is_granted_as(&self, way: &Way) -> bool {
        self.nqn == way.nqn && self.host_nqn == way.host_nqn
    }
}

/// The volume's device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Where.
    pub path: PathBuf,
    /// Its number.
    pub number: Number,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it can only be read.
    pub is_read_only: bool,
    /// Whether it is on this node.
    pub is_local: bool,
}

/// A path that something is, or is to be, mounted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub path: PathBuf,
    /// What is there, below any mount.
    pub kind: Kind,
    /// What is mounted there.
    pub mount: Option<Mounted>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Missing,
    /// A directory with nothing in it.
    Empty,
    /// A directory with something in it.
    Full,
    /// A plain file of no length.
    File,
    /// Anything else.
    Other,
}

/// What is mounted at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Whose it is.
    pub whose: Whose,
    /// Whether it is a device that appears there, and not what is on it.
    pub is_device: bool,
    /// Its file system.
    pub fs_type: String,
    /// Whether it can only be read here.
    pub is_read_only: bool,
    /// Whether the file system can only be read.
    pub is_fs_read_only: bool,
    /// The device.
    pub number: Number,
}

/// Whose what is mounted is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The volume's.
    Volume,
    /// Its device is there no more.
    Gone,
    /// Something else's, in words.
    Other(String),
}

impl Seen {
    /// Whether there is a connection that works.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.paths.iter().any(|path| path.state == State::Live)
    }

    /// Whether it is connected to, and no connection works: what is asked of the device waits, or fails.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        !self.paths.is_empty() && !self.is_live()
    }
}

impl Place {
    /// Nothing is mounted here, and this is what is there.
    #[must_use]
    pub fn bare(path: &Path, kind: Kind) -> Self {
        Place {
            path: path.to_owned(),
            kind,
            mount: None,
        }
    }
}
