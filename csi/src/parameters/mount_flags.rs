//! Mount flags that a claim or a class may ask for.

use std::fmt;
use std::str::FromStr;

use super::refused;
use crate::capability::FsType;
use crate::failure::Failure;

/// Which may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MountPolicy {
    /// Those that neither risk data nor change whose the file system is.
    #[default]
    Known,
    /// Any, unseen: whoever writes the class answers for them.
    Any,
}

/// Of every file system.
const ALL: &[&str] = &[
    "async",
    "atime",
    "discard",
    "dirsync",
    "iversion",
    "lazytime",
    "noatime",
    "nodev",
    "nodiratime",
    "nodiscard",
    "noexec",
    "nolazytime",
    "nosuid",
    "norelatime",
    "relatime",
    "ro",
    "rw",
    "strictatime",
    "sync",
];
/// Of ext4, with or without a value. Not: `barrier=0`, `nobarrier` and `data=writeback`, which lose what was acknowledged or show
/// old data; `journal_path`, `sb`, which are of another device or place.
const EXT4: &[&str] = &[
    "acl",
    "auto_da_alloc",
    "commit",
    "data=journal",
    "data=ordered",
    "delalloc",
    "errors=remount-ro",
    "errors=continue",
    "grpid",
    "init_itable",
    "inode_readahead_blks",
    "journal_checksum",
    "max_batch_time",
    "min_batch_time",
    "noacl",
    "noauto_da_alloc",
    "nodelalloc",
    "nogrpid",
    "noinit_itable",
    "prjquota",
    "stripe",
    "user_xattr",
];
/// Of XFS. Not: `nobarrier`, `logdev`, `rtdev`, `norecovery`, `nouuid`.
const XFS: &[&str] = &[
    "allocsize",
    "attr2",
    "filestreams",
    "grpid",
    "gquota",
    "ikeep",
    "inode32",
    "inode64",
    "largeio",
    "logbsize",
    "logbufs",
    "noalign",
    "nogrpid",
    "noikeep",
    "nolargeio",
    "noquota",
    "pquota",
    "prjquota",
    "sunit",
    "swalloc",
    "swidth",
    "uquota",
    "wsync",
];

impl MountPolicy {
    pub(super) fn check(self, flags: &[String], fs_type: FsType) -> Result<(), Failure> {
        for flag in flags {
            // Several in one would pass for one that is known.
            let is_one =
                !flag.is_empty() && flag.bytes().all(|b| b.is_ascii_graphic() && b != b',');
            if !is_one {
                return Err(Failure::Invalid(format!(
                    "mount flag `{flag}`: one flag, without commas or spaces, is wanted"
                )));
            }
            let own = match fs_type {
                FsType::Ext4 => EXT4,
                FsType::Xfs => XFS,
            };
            let name = flag.split('=').next().unwrap_or_default();
            let is_known = |known: &&str| *known == flag || *known == name;
            if self == MountPolicy::Known && !ALL.iter().chain(own).any(is_known) {
                return Err(refused(
                    "mountOptions",
                    format!(
                        "mount flag `{flag}` is not known to be safe with {}; `any` lets it through",
                        fs_type.name()
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl FromStr for MountPolicy {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "known" => Ok(MountPolicy::Known),
            "any" => Ok(MountPolicy::Any),
            _ => Err("`known` or `any` is wanted"),
        }
    }
}

impl fmt::Display for MountPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MountPolicy::Known => "known",
            MountPolicy::Any => "any",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: MountPolicy, fs_type: FsType, flag: &str) -> bool {
        policy.check(&[flag.to_owned()], fs_type).is_ok()
    }

    #[test]
    fn flags_that_risk_data_are_refused_unless_all_are_let_through() {
        for flag in ["noatime", "ro", "discard", "commit=30", "data=ordered"] {
            assert!(check(MountPolicy::Known, FsType::Ext4, flag), "{flag}");
        }
        for flag in ["noatime", "logbsize=256k", "inode64"] {
            assert!(check(MountPolicy::Known, FsType::Xfs, flag), "{flag}");
        }
        for (fs_type, flag) in [
            (FsType::Ext4, "nobarrier"),
            (FsType::Ext4, "barrier=0"),
            (FsType::Ext4, "data=writeback"),
            (FsType::Ext4, "sb=8193"),
            (FsType::Ext4, "logbsize=256k"),
            (FsType::Xfs, "nouuid"),
            (FsType::Xfs, "norecovery"),
            (FsType::Xfs, "data=ordered"),
            (FsType::Xfs, "context=x"),
            (FsType::Xfs, "bind"),
        ] {
            assert!(!check(MountPolicy::Known, fs_type, flag), "{flag}");
            assert!(check(MountPolicy::Any, fs_type, flag), "{flag}");
        }
        for flag in ["", "noatime,nobarrier", "a b", "a\n"] {
            assert!(!check(MountPolicy::Known, FsType::Ext4, flag), "{flag}");
            assert!(!check(MountPolicy::Any, FsType::Ext4, flag), "{flag}");
        }
    }
}
