//! What is done to this node for a volume, one thing at a time. Each is done in a process of its own, which may hang
//! ([`super::helper`]), and each that names a device or a controller names the volume as well: names are reused, and what has another
//! volume's by now is left alone.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_api::names::VolumeId;

use super::source::Way;
use crate::capability::FsType;

/// A device that has to be a volume's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceOf {
    /// Where.
    pub path: PathBuf,
    /// Whose.
    pub id: VolumeId,
}

/// A thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Make a directory.
    MakeDirectory(PathBuf),
    /// Make an empty file.
    MakeFile(PathBuf),
    /// Remove an empty directory or file.
    Remove(PathBuf),
    /// Connect.
    Connect(Way),
    /// Delete a controller: what it was to write and has not is lost, and so is its disk if it was the last.
    Delete {
        /// Which.
        controller: String,
        /// Whose.
        id: VolumeId,
    },
    /// Ask a controller how large its namespaces are.
    Rescan {
        /// Which.
        controller: String,
        /// Whose.
        id: VolumeId,
    },
    /// Let a device only be read, or not any more.
    SetReadOnly {
        /// Which.
        device: DeviceOf,
        /// Whether.
        is_read_only: bool,
    },
    /// Make a file system.
    Format {
        /// Where.
        device: DeviceOf,
        /// Which.
        fs_type: FsType,
        /// Its UUID.
        uuid: Uuid,
        /// How.
        options: Vec<String>,
        /// Whether an unfinished one of ours is there.
        is_begun: bool,
    },
    /// Check and mend an ext4 file system as after a crash.
    Check(DeviceOf),
    /// Mount a file system.
    Mount {
        /// Which.
        device: DeviceOf,
        /// Where.
        path: PathBuf,
        /// What it is.
        fs_type: FsType,
        /// How.
        flags: Vec<String>,
        /// Whether only to read.
        is_read_only: bool,
    },
    /// Let a directory appear at another path.
    Bind {
        /// Which.
        from: PathBuf,
        /// Where.
        to: PathBuf,
    },
    /// Let a device appear at a path.
    BindDevice {
        /// Which.
        device: DeviceOf,
        /// Where.
        to: PathBuf,
    },
    /// Let what is mounted at a path only be read there.
    Harden(PathBuf),
    /// Unmount the last of what is mounted at a path.
    Unmount(PathBuf),
    /// Make sure that nobody has a device's file system any more and all of it is written: a file system that was unmounted vanishes from
    /// the list of mounts before it is written back.
    Claim(DeviceOf),
    /// Let a file system have all of its device.
    Grow {
        /// Which.
        device: DeviceOf,
        /// What it is.
        fs_type: FsType,
        /// Where it is mounted.
        path: PathBuf,
    },
}

impl Step {
    /// How long it may take before it is given up. What takes long lawfully gets long: an ext4 that was not unmounted, or options that make
    /// mkfs write everything.
    #[must_use]
    pub fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Step::Format { .. } | Step::Check(_) => 600,
            Step::Mount { .. } | Step::Unmount(_) | Step::Claim(_) | Step::Grow { .. } => 120,
            // A portal that answers does so at once; one that does not keeps its volume's others waiting.
            Step::Connect(_) => 15,
            Step::Delete { .. } => 30,
            _ => 10,
        })
    }

    /// Whether it waits where the target does not answer.
    #[must_use]
    pub fn needs_target(&self) -> bool {
        matches!(
            self,
            Step::Format { .. }
                | Step::Check(_)
                | Step::Mount { .. }
                | Step::Claim(_)
                | Step::Grow { .. }
                | Step::SetReadOnly { .. }
        )
    }
}
