//! Who on this node uses a block device: programs that have it open, mounts in any mount namespace,
//! devices stacked upon it. For telling people; whether it is open at all, device mapper counts.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::probe::DevT;

/// More than a person reads.
const MOST: usize = 8;

/// Users of the device `number`, each in a few words, as procfs below `proc` and sysfs below `sys` tell.
/// What vanishes meanwhile, or may not be looked into, is left out.
#[must_use]
pub fn users(proc: &Path, sys: &Path, number: DevT) -> Vec<String> {
    let mut users = BTreeSet::new();
    for name in entries(&sys.join(format!("dev/block/{number}/holders"))) {
        users.insert(format!("device {}", name.to_string_lossy()));
    }
    let mut namespaces = BTreeSet::new();
    for pid in entries(proc) {
        let Some(pid) = pid.to_str().filter(|pid| pid.parse::<u32>().is_ok()) else {
            continue;
        };
        let process = proc.join(pid);
        let has_open = entries(&process.join("fd")).into_iter().any(|fd| {
            // Following the link asks the device that is open, whatever its path was.
            let file = fs::metadata(process.join("fd").join(fd)).ok();
            file.is_some_and(|file| {
                file.file_type().is_block_device() && DevT::of_rdev(file.rdev()) == number
            })
        });
        if has_open {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            users.insert(format!("process {pid} ({})", name.trim()));
        }
        // One process of each mount namespace tells of all its mounts.
        let namespace = fs::read_link(process.join("ns/mnt")).ok();
        if namespace.is_none_or(|namespace| namespaces.insert(namespace)) {
            let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
            users.extend(mounts_of(&mounts, number).map(|point| format!("mount {point}")));
        }
    }
    users.into_iter().take(MOST).collect()
}

/// Mount points of a device in a mountinfo file (proc_pid_mountinfo(5): id, parent, major:minor, root,
/// mount point, ...). Of a file system with a number of its own, such as btrfs, the source tells.
fn mounts_of(mountinfo: &str, number: DevT) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(move |line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let source = fields.iter().position(|field| *field == "-");
        let source = source.and_then(|dash| fields.get(dash + 2));
        let is_source = source.is_some_and(|source| {
            source.starts_with("/dev/")
                && fs::metadata(source).is_ok_and(|file| DevT::of_rdev(file.rdev()) == number)
        });
        let is_it = fields.get(2)?.parse() == Ok(number) || is_source;
        is_it.then_some(*fields.get(4)?)
    })
}

fn entries(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(PathBuf::from(dir))
        .into_iter()
        .flatten()
        .flatten();
    entries.map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_and_mounts_of_every_namespace_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (proc, sys) = (dir.path().join("proc"), dir.path().join("sys"));
        fs::create_dir_all(sys.join("dev/block/253:7/holders/dm-9")).unwrap();
        for (pid, mount) in [("1", "/"), ("77", "/var/lib/pod")] {
            let process = proc.join(pid);
            fs::create_dir_all(process.join("ns")).unwrap();
            std::os::unix::fs::symlink(format!("mnt:[{pid}]"), process.join("ns/mnt")).unwrap();
            let number = if pid == "77" { "253:7" } else { "8:1" };
            let line = format!("36 35 {number} / {mount} rw,noatime - ext4 /dev/none rw\n");
            fs::write(process.join("mountinfo"), line).unwrap();
        }
        let number = "253:7".parse().unwrap();
        let found = users(&proc, &sys, number);
        assert_eq!(found, ["device dm-9", "mount /var/lib/pod"]);
    }

    #[test]
    fn nothing_to_look_into_is_nobody() {
        assert!(
            users(
                Path::new("/none"),
                Path::new("/none"),
                "1:2".parse().unwrap()
            )
            .is_empty()
        );
    }
}
