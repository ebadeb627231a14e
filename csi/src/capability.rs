//! How a volume is to be used: as a file system or as a device, and by whom.

use serde::{Deserialize, Serialize};
use weir_api::volume::Access;

use crate::failure::Failure;
use crate::proto::VolumeCapability;
use crate::proto::volume_capability::AccessType;
use crate::proto::volume_capability::access_mode::Mode;

/// File systems that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FsType {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

impl FsType {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [FsType::Ext4, FsType::Xfs]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FsType::Ext4 => "ext4",
            FsType::Xfs => "xfs",
        }
    }
}

/// What a volume appears as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A device.
    Block,
    /// A file system.
    Mount,
}

impl Form {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Block => "block",
            Form::Mount => "mount",
        }
    }
}

/// Who else may use a volume while somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody on another node.
    Alone,
    /// Others that read.
    Readers,
    /// One that writes, and others that read.
    OneWriter,
    /// Others that write.
    Writers,
}

/// One way of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// As what.
    pub form: Form,
    /// Beside whom.
    pub sharing: Sharing,
    /// Whether it only reads.
    pub is_read_only: bool,
    /// The file system that is asked for, if one is.
    pub fs_type: Option<FsType>,
    /// How it is to be mounted.
    pub mount_flags: Vec<String>,
}

/// All ways in which a volume is to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    /// As what.
    pub form: Form,
    /// By how many nodes.
    pub access: Access,
    /// Whether some of its users only read.
    pub has_readers: bool,
    /// The file system that is asked for, if one is.
    pub fs_type: Option<FsType>,
    /// Every mount flag that is asked for.
    pub mount_flags: Vec<String>,
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Invalid(message.into()))
}

impl Use {
    /// One capability.
    ///
    /// # Errors
    /// It says not enough, or what isn't served.
    pub fn of(capability: Option<&VolumeCapability>) -> Result<Self, Failure> {
        let Some(capability) = capability else {
            return invalid("volume_capability is missing");
        };
        let mode = capability.access_mode.as_ref().map(|mode| mode.mode);
        let Some(mode) = mode.and_then(|mode| Mode::try_from(mode).ok()) else {
            return invalid("access_mode is missing, or none that is known");
        };
        let (form, fs_type, mount_flags) = match &capability.access_type {
            None => return invalid("access_type is missing: neither block nor mount"),
            Some(AccessType::Block(_)) => (Form::Block, None, Vec::new()),
            Some(AccessType::Mount(mount)) => {
                if !mount.volume_mount_group.is_empty() {
                    return invalid(
                        "volume_mount_group is not served: kubelet sets the group itself",
                    );
                }
                let fs_type = match mount.fs_type.as_str() {
                    "" => None,
                    name => match FsType::named(name) {
                        Some(known) => Some(known),
                        None => {
                            return invalid(format!("fs_type `{name}`: ext4 and xfs are served"));
                        }
                    },
                };
                (Form::Mount, fs_type, mount.mount_flags.clone())
            }
        };
        let (sharing, is_read_only) = match mode {
            Mode::Unknown => return invalid("access_mode is UNKNOWN"),
            Mode::SingleNodeWriter | Mode::SingleNodeSingleWriter | Mode::SingleNodeMultiWriter => {
                (Sharing::Alone, false)
            }
            Mode::SingleNodeReaderOnly => (Sharing::Alone, true),
            Mode::MultiNodeReaderOnly => (Sharing::Readers, true),
            Mode::MultiNodeSingleWriter => (Sharing::OneWriter, false),
            Mode::MultiNodeMultiWriter => (Sharing::Writers, false),
        };
        let is_shared = matches!(sharing, Sharing::OneWriter | Sharing::Writers);
        if is_shared && form == Form::Mount {
            return invalid(
                "a file system that one node writes can't be used by another: ask for a block volume, or for readers only",
            );
        }
        Ok(Use {
            form,
            sharing,
            is_read_only,
            fs_type,
            mount_flags,
        })
    }
}

impl Uses {
    /// All capabilities of a request.
    ///
    /// # Errors
    /// One of them is not served, or not beside another.
    pub fn of(capabilities: &[VolumeCapability]) -> Result<Self, Failure> {
        let uses = capabilities.iter().map(|one| Use::of(Some(one)));
        let uses: Vec<Use> = uses.collect::<Result<_, _>>()?;
        let Some(first) = uses.first() else {
            return invalid("volume_capabilities are missing");
        };
        let form = first.form;
        if uses.iter().any(|one| one.form != form) {
            return invalid("a volume is a file system or a device, not both");
        }
        let mut fs_types: Vec<FsType> = uses.iter().filter_map(|one| one.fs_type).collect();
        fs_types.sort_unstable();
        fs_types.dedup();
        if fs_types.len() > 1 {
            return invalid("volume_capabilities ask for two file systems");
        }
        let is_shared = uses.iter().any(|one| one.sharing != Sharing::Alone);
        Ok(Uses {
            form,
            access: match is_shared {
                true => Access::MultiHost,
                false => Access::SingleHost,
            },
            has_readers: uses.iter().any(|one| one.is_read_only),
            fs_type: fs_types.pop(),
            mount_flags: uses.into_iter().flat_map(|one| one.mount_flags).collect(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::proto::volume_capability::{AccessMode, BlockVolume, MountVolume};

    /// A capability with a file system of this type.
    pub(crate) fn mount(mode: Mode, fs_type: &str) -> VolumeCapability {
        let mount = MountVolume {
            fs_type: fs_type.to_owned(),
            ..MountVolume::default()
        };
        VolumeCapability {
            access_mode: Some(AccessMode { mode: mode.into() }),
            access_type: Some(AccessType::Mount(mount)),
        }
    }

    /// A capability as a device.
    pub(crate) fn block(mode: Mode) -> VolumeCapability {
        VolumeCapability {
            access_mode: Some(AccessMode { mode: mode.into() }),
            access_type: Some(AccessType::Block(BlockVolume {})),
        }
    }

    #[test]
    fn kubernetes_access_modes() {
        use Access::{MultiHost, SingleHost};
        use Mode::{
            MultiNodeMultiWriter as Rwx, MultiNodeReaderOnly as Rox, SingleNodeMultiWriter as Rwo,
            SingleNodeReaderOnly, SingleNodeSingleWriter as Rwop, SingleNodeWriter,
        };
        for (asked, access, has_readers) in [
            (vec![mount(Rwo, "")], SingleHost, false),
            (vec![mount(SingleNodeWriter, "ext4")], SingleHost, false),
            (vec![mount(Rwop, "xfs")], SingleHost, false),
            (vec![mount(SingleNodeReaderOnly, "")], SingleHost, true),
            (vec![mount(Rox, "")], MultiHost, true),
            (vec![mount(Rwo, ""), mount(Rox, "")], MultiHost, true),
            (vec![block(Rwo)], SingleHost, false),
            (vec![block(Rwx)], MultiHost, false),
            (vec![block(Mode::MultiNodeSingleWriter)], MultiHost, false),
            (vec![block(Rox)], MultiHost, true),
        ] {
            let uses = Uses::of(&asked).unwrap();
            assert_eq!(
                (uses.access, uses.has_readers),
                (access, has_readers),
                "{asked:?}"
            );
        }
        for refused in [
            vec![],
            vec![mount(Rwx, "")],
            vec![mount(Mode::MultiNodeSingleWriter, "")],
            vec![mount(Rwo, ""), mount(Rwx, "")],
            vec![mount(Rwo, "btrfs")],
            vec![mount(Rwo, "ext4"), mount(Rox, "xfs")],
            vec![mount(Mode::Unknown, "")],
            vec![mount(Rwo, ""), block(Rwo)],
            vec![VolumeCapability::default()],
            vec![VolumeCapability {
                access_type: None,
                ..block(Rwo)
            }],
            vec![VolumeCapability {
                access_mode: None,
                ..block(Rwo)
            }],
            vec![VolumeCapability {
                access_mode: Some(AccessMode { mode: 99 }),
                ..block(Rwo)
            }],
        ] {
            let failure = Uses::of(&refused).unwrap_err();
            assert_eq!(failure.code(), tonic::Code::InvalidArgument, "{refused:?}");
        }
    }

    #[test]
    fn a_mount_group_is_refused() {
        let mut asked = mount(Mode::SingleNodeWriter, "");
        if let Some(AccessType::Mount(mount)) = &mut asked.access_type {
            mount.volume_mount_group = "1000".to_owned();
        }
        assert!(Use::of(Some(&asked)).is_err());
    }
}
