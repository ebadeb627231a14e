//! The volumes that this node uses over NVMe: what it is connected to, from sysfs.

use std::fs;
use std::path::Path;

use weir_api::names::VolumeId;

use crate::probe::MeasuredImport;

/// The disks of all of Weir's subsystems that this node is connected to. What can't be read is not there: a
/// subsystem may go away while it is looked at.
pub(crate) fn of(sysfs: &Path) -> Vec<MeasuredImport> {
    let mut imports = Vec::new();
    for subsystem in children(&sysfs.join("class/nvme-subsystem")) {
        let nqn = fs::read_to_string(subsystem.join("subsysnqn")).unwrap_or_default();
        let Some(id) = VolumeId::from_nqn(nqn.trim_end()) else {
            continue;
        };
        imports.extend(disk_of(&subsystem).map(|dev| MeasuredImport { id, dev }));
    }
    imports.sort_by_key(|import| import.dev);
    imports
}

/// The disk that stands for all paths lies in the subsystem's directory (drivers/nvme/host/multipath.c); without
/// multipath each controller's own lies in the controller's. Paths that are hidden behind the former have no number.
fn disk_of(subsystem: &Path) -> Option<crate::probe::DevT> {
    let below = children(subsystem);
    let controllers = below.iter().flat_map(|child| children(child));
    let mut disks = below.iter().cloned().chain(controllers).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        is_disk(&name)
    });
    disks.find_map(|disk| fs::read_to_string(disk.join("dev")).ok()?.parse().ok())
}

/// `nvme0n1`, but neither `nvme0` nor `nvme0c0n1`.
fn is_disk(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name
        .strip_prefix("nvme")
        .and_then(|rest| rest.split_once('n'));
    parts.is_some_and(|(controller, namespace)| digits(controller) && digits(namespace))
}

fn children(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_weirs_subsystems_are_found_with_and_without_multipath() {
        let sysfs = tempfile::tempdir().unwrap();
        let class = sysfs.path().join("class/nvme-subsystem");
        let [id, other] = [1, 2].map(|number| VolumeId(uuid::Uuid::from_u128(number)));
        let rows = [
            ("nvme-subsys0", id.nqn(), "nvme0n1", "259:0"),
            ("nvme-subsys1", other.nqn(), "nvme1/nvme1n1", "259:2"),
            (
                "nvme-subsys2",
                "nqn.2014-08.com.example:x".to_owned(),
                "nvme2n1",
                "259:3",
            ),
        ];
        for (subsystem, nqn, disk, dev) in rows {
            let dir = class.join(subsystem);
            fs::create_dir_all(dir.join(disk)).unwrap();
            fs::create_dir_all(dir.join("nvme0/nvme0c0n1")).unwrap();
            fs::write(dir.join("subsysnqn"), format!("{nqn}\n")).unwrap();
            fs::write(dir.join(disk).join("dev"), format!("{dev}\n")).unwrap();
        }
        let import = |id, dev: &str| MeasuredImport {
            id,
            dev: dev.parse().unwrap(),
        };
        let found = [import(id, "259:0"), import(other, "259:2")];
        assert_eq!(of(sysfs.path()), found);
        assert_eq!(of(&sysfs.path().join("none")), []);
    }
}
