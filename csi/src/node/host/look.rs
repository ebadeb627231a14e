//! Looking at this node: mountinfo, sysfs, and what paths are. No device is opened.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use nvmet::{Controller, State as NvmeState};
use weir_api::names::VolumeId;

use super::Trouble;
use crate::node::mountinfo::{self, Mount};
use crate::node::seen::{
    Connection, Device, Kind, Mounted, Number, Place, Seen, State, Subject, Whose,
};
use crate::node::source;

/// Where the kernel's directories are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// The mounts of our namespace, `/proc/self/mountinfo`.
    pub mounts: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Roots {
            sys: "/sys".into(),
            dev: "/dev".into(),
            mounts: "/proc/self/mountinfo".into(),
        }
    }
}

fn failed(what: impl std::fmt::Display) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble::Failed(format!("{what}: {error}"))
}

impl Roots {
    /// What is there of a volume.
    ///
    /// # Errors
    /// The kernel's files can't be read, or are not as they should be.
    pub fn look(&self, subject: &Subject) -> Result<Seen, Trouble> {
        let mounts = self.mounted()?;
        let controllers = nvmet::controllers::list(&self.sys);
        let controllers = controllers.map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            Trouble::Failed(format!("{error}: {}", why.unwrap_or_default()))
        })?;
        let is_own = |one: &&Controller| VolumeId::from_nqn(&one.nqn) == Some(subject.id);
        let own: Vec<&Controller> = controllers.iter().filter(is_own).collect();
        let device = match self.remote(&own, subject.id) {
            Some(device) => Some(device),
            None => self.local(subject)?,
        };
        let place = |path: &Option<PathBuf>| match path {
            Some(path) => self
                .place(path, &mounts, device.as_ref(), subject.id)
                .map(Some),
            None => Ok(None),
        };
        let (staging, target) = (place(&subject.staging)?, place(&subject.target)?);
        let others = others(&mounts, device.as_ref(), [&staging, &target]);
        Ok(Seen {
            paths: own.into_iter().map(connection).collect(),
            staging,
            target,
            device,
            others,
        })
    }

    /// Every mount.
    ///
    /// # Errors
    /// They can't be read.
    pub fn mounted(&self) -> Result<Vec<Mount>, Trouble> {
        let text = fs::read(&self.mounts).map_err(failed(self.mounts.display()))?;
        mountinfo::parse(&text).map_err(|error| Trouble::Failed(error.to_string()))
    }

    fn remote(&self, own: &[&Controller], id: VolumeId) -> Option<Device> {
        let disks = own.iter().flat_map(|one| &one.namespaces);
        let disk = disks.into_iter().find(|disk| disk.uuid == Some(id.0))?;
        let (major, minor) = disk.device_number.as_deref()?.split_once(':')?;
        Some(Device {
            path: self.dev.join(&disk.name),
            number: (major.parse().ok()?, minor.parse().ok()?),
            size: disk.size_bytes,
            is_read_only: self.text(&disk.name, "ro").is_some_and(|ro| ro == "1"),
            is_local: false,
        })
    }

    fn local(&self, subject: &Subject) -> Result<Option<Device>, Trouble> {
        let block = self.sys.join("block");
        let entries = match fs::read_dir(&block) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(block.display())(error)),
        };
        let mut found: Vec<(bool, Device)> = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed(block.display()))?.file_name();
            let Some(disk) = entry.to_str().filter(|name| name.starts_with("dm-")) else {
                continue;
            };
            let Some(name) = self.text(disk, "dm/name") else {
                continue;
            };
            let is_grant = source::is_grant_to(&name, subject.id, &subject.node);
            let is_meant = match &subject.mapping {
                Some(mapping) => *mapping == name,
                // A volume with several users is never used itself, but through what a grant has of it.
                None => {
                    is_grant
                        || (source::is_logical_volume(&name, subject.id) && self.is_unheld(disk))
                }
            };
            if is_meant && let Some(device) = self.device(disk) {
                found.push((is_grant, device));
            }
        }
        found.sort_by_key(|(is_grant, device)| (!is_grant, device.number));
        Ok(found.into_iter().next().map(|(_, device)| device))
    }

    fn device(&self, disk: &str) -> Option<Device> {
        let number = self.text(disk, "dev")?;
        let (major, minor) = number.split_once(':')?;
        // In 512 bytes, whatever the device's own blocks are.
        let sectors: u64 = self.text(disk, "size")?.parse().ok()?;
        Some(Device {
            path: self.dev.join(disk),
            number: (major.parse().ok()?, minor.parse().ok()?),
            size: sectors.saturating_mul(512),
            is_read_only: self.text(disk, "ro").is_some_and(|ro| ro == "1"),
            is_local: true,
        })
    }

    fn is_unheld(&self, disk: &str) -> bool {
        let holders = self.sys.join("block").join(disk).join("holders");
        fs::read_dir(holders).is_ok_and(|mut held| held.next().is_none())
    }

    /// What is gone, or is going, is not there.
    fn text(&self, disk: &str, attribute: &str) -> Option<String> {
        let path = self.sys.join("block").join(disk).join(attribute);
        Some(fs::read_to_string(path).ok()?.trim().to_owned())
    }

    fn place(
        &self,
        path: &Path,
        mounts: &[Mount],
        device: Option<&Device>,
        id: VolumeId,
    ) -> Result<Place, Trouble> {
        let path = resolved(path)?;
        let Some(mount) = mountinfo::at(mounts, &path) else {
            let kind = kind(&path)?;
            return Ok(Place::bare(&path, kind));
        };
        // A node of /dev that was bound here.
        let is_device = mount.fs_type == "devtmpfs";
        let is_deleted = is_device && mount.root.to_string_lossy().ends_with("//deleted");
        let number = match (is_device, is_deleted) {
            // Its number may be another disk's by now.
            (true, true) => None,
            // Its directory needs no disk to tell what it is.
            (true, false) => number(&path),
            (false, _) => Some(mount.device),
        };
        let whose = match (number, device) {
            _ if is_deleted => Whose::Gone,
            (Some(number), Some(device)) if device.number == number => Whose::Volume,
            // What an older grant made of the volume: it was cut off, and is there as long as somebody has it.
            (Some(number), _) if self.is_mapping(number, id) => Whose::Gone,
            (Some(number), _) if self.is_there(number) => Whose::Other(format!(
                "{} of device {}:{}",
                mount.fs_type, number.0, number.1
            )),
            (Some(number), _) if is_device || is_on_disk(mount, number) => Whose::Gone,
            _ => Whose::Other(format!("{} `{}`", mount.fs_type, mount.source.display())),
        };
        Ok(Place {
            kind: Kind::Other,
            mount: Some(Mounted {
                whose,
                is_device,
                fs_type: mount.fs_type.clone(),
                is_read_only: mount.is_read_only,
                is_fs_read_only: mount.is_fs_read_only,
                number: number.unwrap_or_default(),
            }),
            path,
        })
    }

    fn is_mapping(&self, (major, minor): Number, id: VolumeId) -> bool {
        let name = self.sys.join(format!("dev/block/{major}:{minor}/dm/name"));
        fs::read_to_string(name).is_ok_and(|name| source::is_of(name.trim(), id))
    }

    fn is_there(&self, (major, minor): Number) -> bool {
        self.sys.join(format!("dev/block/{major}:{minor}")).exists()
    }
}

/// Whether what is mounted was on a disk: those without have the major number 0.
fn is_on_disk(mount: &Mount, number: Number) -> bool {
    number.0 != 0 && ["ext4", "xfs"].contains(&mount.fs_type.as_str())
}

/// The path as mountinfo has it. Its last part is not followed: it may be mounted on, by what hangs.
fn resolved(path: &Path) -> Result<PathBuf, Trouble> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Trouble::Unfit(format!(
            "`{}` can't be mounted on",
            path.display()
        )));
    };
    match fs::canonicalize(parent) {
        Ok(parent) => Ok(parent.join(name)),
        // Nothing can be mounted where there is nothing.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(failed(parent.display())(error)),
    }
}

fn kind(path: &Path) -> Result<Kind, Trouble> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kind::Missing),
        Err(error) => return Err(failed(path.display())(error)),
    };
    if meta.is_dir() {
        let mut entries = fs::read_dir(path).map_err(failed(path.display()))?;
        return Ok(match entries.next() {
            None => Kind::Empty,
            Some(_) => Kind::Full,
        });
    }
    Ok(match meta.is_file() && meta.len() == 0 {
        true => Kind::File,
        false => Kind::Other,
    })
}

/// The number of the device node at a path.
pub(in crate::node) fn number(path: &Path) -> Option<Number> {
    let meta = fs::symlink_metadata(path).ok()?;
    let number = meta.rdev();
    let is_device = meta.file_type().is_block_device();
    is_device
        .then(|| {
            Some((
                u32::try_from(major(number)).ok()?,
                u32::try_from(minor(number)).ok()?,
            ))
        })
        .flatten()
}

fn connection(controller: &Controller) -> Connection {
    let address = controller.target_address().zip(controller.service());
    Connection {
        controller: controller.name.clone(),
        nqn: controller.nqn.clone(),
        host_nqn: controller.host_nqn.clone().unwrap_or_default(),
        portal: address.map(|(address, port)| SocketAddr::new(address, port)),
        state: match &controller.state {
            NvmeState::Live => State::Live,
            NvmeState::Deleting | NvmeState::Dead => State::Going,
            _ => State::Trying,
        },
    }
}

/// Where else the volume appears: its file system, or its device.
fn others(mounts: &[Mount], device: Option<&Device>, known: [&Option<Place>; 2]) -> Vec<PathBuf> {
    let numbers = known
        .iter()
        .filter_map(|place| place.as_ref()?.mount.as_ref());
    let gone = numbers.filter(|mount| mount.whose == Whose::Gone && mount.number.0 != 0);
    let numbers: Vec<Number> = gone
        .map(|mount| mount.number)
        .chain(device.map(|device| device.number))
        .collect();
    let node = device.and_then(|device| Some(Path::new("/").join(device.path.file_name()?)));
    let is_its = |mount: &&Mount| match mount.fs_type.as_str() {
        "devtmpfs" => node.as_ref().is_some_and(|node| mount.root == *node),
        _ => numbers.contains(&mount.device),
    };
    let is_known = |path: &Path| {
        known
            .iter()
            .any(|place| place.as_ref().is_some_and(|place| place.path == *path))
    };
    let others = mounts.iter().filter(is_its).map(|mount| mount.path.clone());
    others.filter(|path| !is_known(path)).collect()
}

#[cfg(test)]
mod tests;
