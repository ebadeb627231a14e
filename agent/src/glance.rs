//! A glance at the node: whether anything is other than when it was last looked at.
//!
//! A look runs commands, parses every request and record, and reads the whole target; on a node with a
//! thousand idle volumes it finds the same again and again. A glance reads what changes when they
//! change. Nothing is decided on a glance but whether to look: every plan is made from a look.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::disk::direct;
use crate::dm::Mapped;
use crate::lvm::area::MAGIC;
use crate::watch;

/// What a glance saw, as a number: two that are equal saw the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(u64);

/// Where to glance.
#[derive(Clone, Debug)]
pub struct Places {
    /// The request directory, if requests come from one.
    pub requests: Option<PathBuf>,
    /// The record's directory.
    pub record: PathBuf,
    /// `/sys`
    pub sysfs: PathBuf,
    /// The target's configfs.
    pub target: PathBuf,
}

/// The first bytes of a physical volume: its label and, where pvcreate(8) puts it unless told
/// otherwise, the header of its metadata area. With each change of the group's metadata LVM writes
/// another place and checksum into that header (lib/format_text/layout.h).
const HEAD: usize = 8192;
/// Where the header of the metadata area is.
const HEADER: usize = 4096;

impl Places {
    /// Glances at requests, record, the target, and LVM's metadata on `disks`, beside what device mapper
    /// says. `None` if any of it can't be read or is not laid out as known: then only a look tells.
    #[must_use]
    pub fn glance(&self, disks: &BTreeSet<String>, mapped: &[Mapped]) -> Option<Seen> {
        self.hash(disks, mapped).ok().map(Seen)
    }

    fn hash(&self, disks: &BTreeSet<String>, mapped: &[Mapped]) -> io::Result<u64> {
        let mut hasher = DefaultHasher::new();
        mapped.hash(&mut hasher);
        let requests = self.requests.as_deref();
        requests.map(watch::look).hash(&mut hasher);
        hash_files(&self.record, &mut hasher)?;
        for disk in disks {
            hash_disk(Path::new(disk), &mut hasher)?;
        }
        self.hash_devices(&mut hasher)?;
        if self.target.exists() {
            self.hash_target(&mut hasher)?;
        }
        Ok(hasher.finish())
    }

    fn hash_devices(&self, hasher: &mut DefaultHasher) -> io::Result<()> {
        let blocks = self.sysfs.join("block");
        for name in names(&blocks)? {
            let device = blocks.join(&name);
            name.hash(hasher);
            if name.starts_with("dm-") {
                hash_file(&device.join("dm/name"), hasher)?;
                hash_file(&device.join("size"), hasher)?;
            }
        }
        Ok(())
    }

    fn hash_target(&self, hasher: &mut DefaultHasher) -> io::Result<()> {
        names(&self.target.join("hosts"))?.hash(hasher);
        let subsystems = self.target.join("subsystems");
        for nqn in names(&subsystems)? {
            let subsystem = subsystems.join(&nqn);
            nqn.hash(hasher);
            hash_file(&subsystem.join("attr_allow_any_host"), hasher)?;
            names(&subsystem.join("allowed_hosts"))?.hash(hasher);
            let namespaces = subsystem.join("namespaces");
            for nsid in names(&namespaces)? {
                nsid.hash(hasher);
                hash_file(&namespaces.join(&nsid).join("enable"), hasher)?;
                hash_file(&namespaces.join(&nsid).join("device_path"), hasher)?;
            }
        }
        let ports = self.target.join("ports");
        for id in names(&ports)? {
            let port = ports.join(&id);
            id.hash(hasher);
            for attribute in ["addr_trtype", "addr_traddr", "addr_trsvcid"] {
                hash_file(&port.join(attribute), hasher)?;
            }
            names(&port.join("subsystems"))?.hash(hasher);
        }
        Ok(())
    }
}

/// Names, sizes and times of a directory's files.
fn hash_files(dir: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    for name in names(dir)? {
        let meta = fs::metadata(dir.join(&name))?;
        (
            name,
            meta.len(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ino(),
        )
            .hash(hasher);
    }
    Ok(())
}

fn hash_disk(disk: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let meta = fs::metadata(disk)?;
    let head = direct::read(&direct::open(disk)?, 0, HEAD as u64)?;
    if !head[HEADER + 4..].starts_with(MAGIC) {
        return Err(io::Error::other("its metadata is somewhere else"));
    }
    (meta.rdev(), &head).hash(hasher);
    Ok(())
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    // Attributes are short; one read returns all of one.
    let mut text = [0; 256];
    let length = File::open(path)?.read_at(&mut text, 0)?;
    text[..length].hash(hasher);
    Ok(())
}

/// Names in a directory, in order: the kernel promises none.
fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path, and what somebody does to it.
    type Change<'a> = (&'a str, &'a dyn Fn(&Path));

    /// A node as far as a glance goes. Plain files stand for disks.
    fn node() -> (tempfile::TempDir, Places, BTreeSet<String>) {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let files = [
            ("requests/v.yaml", "kind: Volume"),
            ("record/volume-1.json", "{}"),
            ("sys/block/vda/size", "8"),
            ("sys/block/dm-0/dm/name", "vg-w_1"),
            ("sys/block/dm-0/size", "8"),
            ("target/hosts/h/x", ""),
            ("target/subsystems/n/attr_allow_any_host", "0"),
            ("target/subsystems/n/allowed_hosts/h", ""),
            ("target/subsystems/n/namespaces/1/enable", "1"),
            (
                "target/subsystems/n/namespaces/1/device_path",
                "/dev/mapper/vg-w_1",
            ),
            ("target/ports/1/addr_trtype", "tcp"),
            ("target/ports/1/addr_traddr", "10.0.0.1"),
            ("target/ports/1/addr_trsvcid", "4420"),
            ("target/ports/1/subsystems/n", ""),
        ];
        for (path, text) in files {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        }
        let mut disk = vec![0; 4 * HEAD];
        disk[HEADER + 4..][..MAGIC.len()].copy_from_slice(MAGIC);
        fs::write(at("disk"), disk).unwrap();
        let places = Places {
            requests: Some(at("requests")),
            record: at("record"),
            sysfs: at("sys"),
            target: at("target"),
        };
        let disks = BTreeSet::from([at("disk").display().to_string()]);
        (root, places, disks)
    }

    #[test]
    fn whatever_changes_is_seen() {
        let changes: [Change<'_>; 9] = [
            ("requests/w.yaml", &|path| fs::write(path, "x").unwrap()),
            ("record/volume-1.json", &|path| {
                fs::remove_file(path).unwrap()
            }),
            ("disk", &|path| {
                // What a commit of LVM's changes: the place of the text, in the header.
                let file = fs::OpenOptions::new().write(true).open(path).unwrap();
                file.write_all_at(&[7], (HEADER + 40) as u64).unwrap();
            }),
            ("sys/block/dm-0", &|path| fs::remove_dir_all(path).unwrap()),
            ("sys/block/dm-0/dm/name", &|path| {
                fs::write(path, "vg-w_2").unwrap()
            }),
            ("target/hosts/i", &|path| fs::create_dir(path).unwrap()),
            ("target/subsystems/n/attr_allow_any_host", &|path| {
                fs::write(path, "1").unwrap()
            }),
            ("target/subsystems/n/allowed_hosts/i", &|path| {
                fs::write(path, "").unwrap()
            }),
            ("target/ports/1/subsystems/n", &|path| {
                fs::remove_file(path).unwrap()
            }),
        ];
        for (path, change) in changes {
            let (root, places, disks) = node();
            let before = places.glance(&disks, &[]);
            assert!(before.is_some());
            assert_eq!(places.glance(&disks, &[]), before, "nothing changed");
            change(&root.path().join(path));
            assert_ne!(places.glance(&disks, &[]), before, "{path}");
        }
    }

    #[test]
    fn an_opener_is_seen() {
        let (_root, places, disks) = node();
        let mapped = |open| Mapped {
            uuid: String::new(),
            mapping: None,
            number: "253:0".parse().unwrap(),
            open,
            below: Vec::new(),
        };
        let before = places.glance(&disks, &[mapped(1)]);
        assert_eq!(places.glance(&disks, &[mapped(1)]), before);
        assert_ne!(places.glance(&disks, &[mapped(2)]), before);
    }

    #[test]
    fn what_cannot_be_read_or_is_laid_out_otherwise_is_nothing_seen() {
        let (root, places, disks) = node();
        fs::write(root.path().join("disk"), vec![0; 4 * HEAD]).unwrap();
        assert_eq!(places.glance(&disks, &[]), None);
        fs::remove_file(root.path().join("disk")).unwrap();
        assert_eq!(places.glance(&disks, &[]), None);
    }
}
