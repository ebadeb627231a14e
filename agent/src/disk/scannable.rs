//! Which of the node's block devices may be looked into for volume groups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use weir_api::names::NQN_PREFIX;

use super::DiskError;

/// How the UUIDs of LVs begin in device mapper (LVM's lib/activate/dev_manager.c).
const LV: &str = "LVM-";
/// How the UUIDs of Weir's own mappings begin there.
const MAPPING: &str = "WEIR-";

/// Paths below `/dev` of all block devices with a size that are no LV, no consumed volume, and not
/// stacked on a volume of Weir's. `sys` is where sysfs is mounted.
pub(super) fn list(sys: &Path) -> Result<Vec<String>, DiskError> {
    let class = sys.join("class/block");
    let failed = |error| DiskError::new("list block devices in", &class, error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&class).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // Gone again: it was no disk of a pool. A `!` in sysfs is a `/` in the device's name.
        let Ok(dir) = class.join(&name).canonicalize() else {
            continue;
        };
        let name = name.to_string_lossy().replace('!', "/");
        let has_size = read(&dir.join("size")).is_some_and(|size| size != "0");
        // Paths of a multipath NVMe disk have no device node.
        let is_hidden = read(&dir.join("hidden")).is_some_and(|hidden| hidden == "1");
        if has_size && !is_hidden && !is_lv(&dir) && !is_of_a_volume(&dir) {
            paths.push(format!("/dev/{name}"));
        }
    }
    paths.sort();
    Ok(paths)
}

/// LVM itself looks into no LV unless it is told to (lvm.conf(5), `scan_lvs`).
fn is_lv(dir: &Path) -> bool {
    read(&dir.join("dm/uuid")).is_some_and(|uuid| uuid.starts_with(LV))
}

/// Whether it is a volume's device, a partition of one, or stacked on one.
fn is_of_a_volume(dir: &Path) -> bool {
    if is_volume(dir) {
        return true;
    }
    if dir.join("partition").exists() {
        return dir.parent().is_some_and(is_of_a_volume);
    }
    let slaves = fs::read_dir(dir.join("slaves")).into_iter().flatten();
    slaves
        .flatten()
        .filter_map(|slave| slave.path().canonicalize().ok())
        .any(|slave: PathBuf| is_of_a_volume(&slave))
}

fn is_volume(dir: &Path) -> bool {
    let nqn = read(&dir.join("device/subsysnqn"));
    if nqn.is_some_and(|nqn| nqn.starts_with(NQN_PREFIX)) {
        return true;
    }
    let Some(uuid) = read(&dir.join("dm/uuid")) else {
        return false;
    };
    // Device mapper's name of an LV ends with the LV's own; hyphens in either are doubled.
    let name = read(&dir.join("dm/name")).unwrap_or_default();
    let lv = name.rsplit('-').next().unwrap_or_default();
    let is_weirs = weir_api::names::VolumeId::from_lv_name(lv).is_some();
    uuid.starts_with(MAPPING) || (uuid.starts_with(LV) && is_weirs)
}

/// An attribute; `None` where there is none.
fn read(path: &Path) -> Option<String> {
    let text: io::Result<String> = fs::read_to_string(path);
    text.ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const ID: &str = "5d0a4e5252a84a6c9f3e0a1f4b1d0011";

    /// A sysfs with one device after the other: where it is, and its attributes.
    struct Sys(tempfile::TempDir);

    impl Sys {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("class/block")).unwrap();
            Sys(dir)
        }

        fn add(&self, place: &str, attributes: &[(&str, &str)]) {
            let dir = self.0.path().join("devices").join(place);
            fs::create_dir_all(&dir).unwrap();
            let class = self.0.path().join("class/block");
            symlink(&dir, class.join(dir.file_name().unwrap())).unwrap();
            for (name, value) in [("size", "2048")].iter().chain(attributes) {
                let file = dir.join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, format!("{value}\n")).unwrap();
            }
        }

        fn stack(&self, upper: &str, lower: &str) {
            let class = self.0.path().join("class/block");
            let slaves = class.join(upper).join("slaves");
            fs::create_dir_all(&slaves).unwrap();
            symlink(class.join(lower), slaves.join(lower)).unwrap();
        }

        fn list(&self) -> Vec<String> {
            list(self.0.path()).unwrap()
        }
    }

    #[test]
    fn disks_partitions_and_what_is_stacked_on_them_are_looked_into() {
        let sys = Sys::new();
        sys.add("pci/sda", &[]);
        sys.add("pci/sda/sda1", &[("partition", "1")]);
        sys.add("pci/cciss!c0d0", &[]);
        sys.add("virtual/loop0", &[("size", "0")]);
        sys.add("nvme/nvme0c0n1", &[("hidden", "1")]);
        sys.add(
            "nvme/nvme0n1",
            &[("hidden", "0"), ("device/subsysnqn", "nqn.2014.org:disk")],
        );
        sys.add(
            "virtual/dm-0",
            &[("dm/uuid", "LVM-a"), ("dm/name", "h-root")],
        );
        sys.add(
            "virtual/dm-1",
            &[("dm/uuid", "CRYPT-a"), ("dm/name", "luks")],
        );
        sys.stack("dm-0", "sda1");
        sys.stack("dm-1", "dm-0");
        let paths = ["cciss/c0d0", "dm-1", "nvme0n1", "sda", "sda1"];
        assert_eq!(sys.list(), paths.map(|name| format!("/dev/{name}")));
    }

    /// Seen red with: `is_of_a_volume` being `is_volume` (the stacked ones are listed), and with
    /// `subsysnqn` not looked at.
    #[test]
    fn no_volume_is_looked_into_nor_what_a_tenant_stacked_on_one() {
        let sys = Sys::new();
        let lv = format!("weir--fast-w_{ID}");
        sys.add("virtual/dm-0", &[("dm/uuid", "LVM-a"), ("dm/name", &lv)]);
        let mapping = format!("weir-{ID}-0123456789abcdef-1");
        sys.add(
            "virtual/dm-1",
            &[("dm/uuid", "WEIR-a"), ("dm/name", &mapping)],
        );
        let nqn = format!("{NQN_PREFIX}5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0011");
        sys.add("subsystem/nvme1n1", &[("device/subsysnqn", &nqn)]);
        sys.add("subsystem/nvme1n1/nvme1n1p1", &[("partition", "1")]);
        sys.add("virtual/md0", &[]);
        sys.stack("md0", "dm-0");
        sys.add("virtual/dm-2", &[("dm/uuid", "CRYPT-a"), ("dm/name", "c")]);
        sys.stack("dm-2", "nvme1n1p1");
        sys.add(
            "virtual/dm-3",
            &[("dm/uuid", "part1-LVM-a"), ("dm/name", "p")],
        );
        sys.stack("dm-3", "dm-0");
        assert_eq!(sys.list(), Vec::<String>::new());
    }
}
