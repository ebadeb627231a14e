//! What a block device is, from sysfs.

use std::path::{Path, PathBuf};

use super::wanted::DevT;

pub(super) fn is_partition(sysfs: &Path, dev: DevT) -> bool {
    dir(sysfs, dev).join("partition").exists()
}

/// The whole disk that a device is, or is a partition of. `None` if there is no such device.
pub(super) fn whole_disk(sysfs: &Path, dev: DevT) -> Option<DevT> {
    let dir = dir(sysfs, dev);
    if !is_partition(sysfs, dev) {
        return dir.exists().then_some(dev);
    }
    // A partition's directory lies in its disk's. The kernel resolves the symbolic link before `..`.
    let disk = std::fs::read_to_string(dir.join("../dev")).ok()?;
    disk.parse().ok()
}

/// Whether a whole disk's I/O travels as requests, which drivers get from blk-mq. The others (device
/// mapper's linear, thin and delay, zram) take bios as they are.
pub(super) fn has_requests(sysfs: &Path, disk: DevT) -> bool {
    dir(sysfs, disk).join("mq").exists()
}

/// Whether a disk stands for several paths to one NVMe namespace (drivers/nvme/host/multipath.c).
pub(super) fn is_nvme_multipath(sysfs: &Path, disk: DevT) -> bool {
    let dir = dir(sysfs, disk).canonicalize().unwrap_or_default();
    let mut above = dir.components().rev();
    above
        .nth(2)
        .is_some_and(|name| name.as_os_str() == "nvme-subsystem")
}

fn dir(sysfs: &Path, dev: DevT) -> PathBuf {
    sysfs.join("dev/block").join(dev.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_disk_with_several_paths_is_told() {
        let sysfs = tempfile::tempdir().unwrap();
        let head = "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1";
        let single = "devices/pci0000:00/nvme/nvme1/nvme1n1";
        fs::create_dir_all(sysfs.path().join("dev/block")).unwrap();
        for (disk, dev) in [(head, "259:0"), (single, "259:1")] {
            fs::create_dir_all(sysfs.path().join(disk)).unwrap();
            let link = sysfs.path().join("dev/block").join(dev);
            symlink(format!("../../{disk}"), link).unwrap();
        }
        let dev = |minor| DevT { major: 259, minor };
        assert!(is_nvme_multipath(sysfs.path(), dev(0)));
        assert!(!is_nvme_multipath(sysfs.path(), dev(1)));
    }

    #[test]
    fn a_partition_is_traced_to_its_disk() {
        let sysfs = tempfile::tempdir().unwrap();
        let disk = sysfs.path().join("devices/sda");
        fs::create_dir_all(disk.join("sda1")).unwrap();
        fs::create_dir_all(disk.join("mq")).unwrap();
        fs::write(disk.join("dev"), "8:0\n").unwrap();
        fs::write(disk.join("sda1/partition"), "1\n").unwrap();
        fs::create_dir_all(sysfs.path().join("dev/block")).unwrap();
        symlink("../../devices/sda", sysfs.path().join("dev/block/8:0")).unwrap();
        symlink("../../devices/sda/sda1", sysfs.path().join("dev/block/8:1")).unwrap();
        let (whole, part) = (DevT { major: 8, minor: 0 }, DevT { major: 8, minor: 1 });
        assert_eq!(whole_disk(sysfs.path(), part), Some(whole));
        assert_eq!(whole_disk(sysfs.path(), whole), Some(whole));
        assert!(has_requests(sysfs.path(), whole));
        let none = DevT { major: 9, minor: 9 };
        assert_eq!(whole_disk(sysfs.path(), none), None);
    }
}
