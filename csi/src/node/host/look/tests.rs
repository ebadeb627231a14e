//! Looking at directories that look like a kernel's.

use std::os::unix::fs::symlink;

use tempfile::TempDir;
use weir_api::names::Generation;

use super::*;

const ID: &str = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";

struct Machine {
    root: TempDir,
    mounts: String,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["sys/block", "sys/dev/block", "k/pod"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let mounts = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n".to_owned();
        Machine { root, mounts }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn mapping(&self, minor: u32, name: &str, held: bool) {
        let disk = format!("sys/block/dm-{minor}");
        self.write(&format!("{disk}/dm/name"), &format!("{name}\n"));
        self.write(&format!("{disk}/dev"), &format!("253:{minor}\n"));
        self.write(&format!("{disk}/size"), "2048\n");
        self.write(&format!("{disk}/ro"), "0\n");
        let holders = self.root.path().join(disk).join("holders");
        fs::create_dir_all(&holders).unwrap();
        if held {
            fs::write(holders.join("dm-99"), "").unwrap();
        }
        let link = format!("sys/dev/block/253:{minor}");
        self.write(&format!("{link}/size"), "2048\n");
        self.write(&format!("{link}/dm/name"), &format!("{name}\n"));
    }

    /// A controller with a disk, as native multipath shows it.
    fn controller(&self, nqn: &str, state: &str) {
        for (name, text) in [
            ("subsysnqn", nqn),
            ("state", state),
            ("hostnqn", "nqn.host"),
            ("hostid", ID),
            ("transport", "tcp"),
            ("address", "traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.2"),
            ("cntlid", "1"),
        ] {
            self.write(
                &format!("sys/class/nvme/nvme3/{name}"),
                &format!("{text}\n"),
            );
        }
        self.write("sys/class/nvme-subsystem/nvme-subsys3/nvme3", "");
        let disk = "sys/block/nvme3n1";
        for (name, text) in [
            ("uuid", ID),
            ("size", "4096"),
            ("dev", "259:4"),
            ("nsid", "1"),
            ("ro", "1"),
        ] {
            self.write(&format!("{disk}/{name}"), &format!("{text}\n"));
        }
        symlink(
            "../../class/nvme-subsystem/nvme-subsys3",
            self.root.path().join(disk).join("device"),
        )
        .unwrap();
        self.write("sys/dev/block/259:4/size", "4096\n");
    }

    fn mount(&mut self, number: &str, path: &Path, options: &str) {
        let line = format!(
            "41 22 {number} / {} {options} - ext4 /dev/x rw\n",
            path.display()
        );
        self.mounts.push_str(&line);
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.root.path()).unwrap().join(name)
    }

    fn look(&self, mapping: Option<String>) -> Seen {
        self.write("mountinfo", &self.mounts);
        let roots = Roots {
            sys: self.root.path().join("sys"),
            dev: "/dev".into(),
            mounts: self.root.path().join("mountinfo"),
        };
        let subject = Subject {
            id: VolumeId(ID.parse().unwrap()),
            node: "n".parse().unwrap(),
            mapping,
            staging: Some(self.path("k/staging")),
            target: Some(self.path("k/pod/mount")),
        };
        roots.look(&subject).unwrap()
    }
}

#[test]
fn a_volume_on_another_node_is_seen() {
    let mut machine = Machine::new();
    machine.controller(&format!("nqn.2026-11.dev.weir:{ID}"), "live");
    let (staging, target, other) = (
        machine.path("k/staging"),
        machine.path("k/pod/mount"),
        machine.path("k/pod/other"),
    );
    machine.mount("259:4", &staging, "rw");
    machine.mount("259:4", &target, "ro");
    machine.mount("259:4", &other, "rw");
    let seen = machine.look(None);
    let device = seen.device.unwrap();
    assert_eq!(
        (device.path.as_path(), device.number, device.size),
        (Path::new("/dev/nvme3n1"), (259, 4), 4096 * 512)
    );
    assert!(device.is_read_only && !device.is_local);
    assert_eq!(seen.paths[0].portal, Some("10.0.0.1:4420".parse().unwrap()));
    assert_eq!(seen.paths[0].state, State::Live);
    assert_eq!(seen.staging.unwrap().mount.unwrap().whose, Whose::Volume);
    assert!(seen.target.unwrap().mount.unwrap().is_read_only);
    assert_eq!(seen.others, [other]);
}

/// Seen red with: `is_there` always false: what is another disk's counts as gone, and is unmounted.
#[test]
fn a_mount_whose_device_is_gone_is_told_from_another_disks() {
    let mut machine = Machine::new();
    machine.mapping(1, "vg-other", false);
    let (staging, target) = (machine.path("k/staging"), machine.path("k/pod/mount"));
    machine.mount("259:9", &staging, "rw");
    machine.mount("253:1", &target, "rw");
    let seen = machine.look(None);
    assert_eq!((seen.paths.len(), seen.device), (0, None));
    assert_eq!(seen.staging.unwrap().mount.unwrap().whose, Whose::Gone);
    assert!(matches!(
        seen.target.unwrap().mount.unwrap().whose,
        Whose::Other(_)
    ));
}

/// Seen red with: `is_mapping` always false: what is mounted can't be unmounted any more.
#[test]
fn what_an_older_grant_left_counts_as_gone() {
    let id = VolumeId(ID.parse().unwrap());
    let grant = |number| id.mapping(&"n".parse().unwrap(), Generation(number));
    let mut machine = Machine::new();
    machine.mapping(1, &grant(5).dm_name(), false);
    machine.mapping(2, &grant(6).dm_name(), false);
    let (staging, target) = (machine.path("k/staging"), machine.path("k/pod/mount"));
    machine.mount("253:1", &staging, "rw");
    machine.mount("253:2", &target, "rw");
    let seen = machine.look(Some(grant(6).dm_name()));
    assert_eq!(seen.staging.unwrap().mount.unwrap().whose, Whose::Gone);
    assert_eq!(seen.target.unwrap().mount.unwrap().whose, Whose::Volume);
}

/// Its number may be another disk's by now.
///
/// Seen red with: `is_deleted` not looked at.
#[test]
fn a_device_that_was_removed_is_gone_where_it_was_bound() {
    let mut machine = Machine::new();
    machine.mapping(1, "vg-other", false);
    let target = machine.path("k/pod/mount");
    machine.mounts.push_str(&format!(
        "41 22 0:6 /nvme3n1//deleted {} rw - devtmpfs dev rw\n",
        target.display()
    ));
    let seen = machine.look(None);
    let mount = seen.target.unwrap().mount.unwrap();
    assert!(mount.is_device && mount.number == (0, 0));
    assert_eq!(mount.whose, Whose::Gone);
}

#[test]
fn another_volumes_controller_is_not_seen() {
    let machine = Machine::new();
    machine.controller(
        "nqn.2026-11.dev.weir:7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d91",
        "live",
    );
    let seen = machine.look(None);
    assert_eq!((seen.paths.len(), seen.device), (0, None));
}

/// A volume with several users has a mapping for each; its logical volume is nobody's to use.
#[test]
fn the_device_of_a_volume_on_this_node_is_its_grants_own() {
    let id = VolumeId(ID.parse().unwrap());
    let lv = format!("vg-{}", id.lv_name());
    let grant = |node: &str| id.mapping(&node.parse().unwrap(), Generation(5)).dm_name();
    let machine = Machine::new();
    machine.mapping(1, &lv, true);
    machine.mapping(2, &grant("m"), false);
    assert_eq!(machine.look(None).device, None);
    machine.mapping(3, &grant("n"), false);
    assert_eq!(machine.look(None).device.unwrap().number, (253, 3));
    assert_eq!(
        machine.look(Some(grant("n"))).device.unwrap().number,
        (253, 3)
    );
    assert_eq!(
        machine.look(Some(grant("n").replace("-5", "-6"))).device,
        None
    );
    let single = Machine::new();
    single.mapping(1, &lv, false);
    let device = single.look(None).device.unwrap();
    assert!(device.is_local);
    assert_eq!(
        (device.path.as_path(), device.size),
        (Path::new("/dev/dm-1"), 2048 * 512)
    );
}

#[test]
fn what_is_at_a_path_is_told() {
    let machine = Machine::new();
    let kinds = || {
        let seen = machine.look(None);
        (seen.staging.unwrap().kind, seen.target.unwrap().kind)
    };
    assert_eq!(kinds(), (Kind::Missing, Kind::Missing));
    fs::create_dir(machine.path("k/staging")).unwrap();
    fs::write(machine.path("k/pod/mount"), "").unwrap();
    assert_eq!(kinds(), (Kind::Empty, Kind::File));
    fs::write(machine.path("k/staging/x"), "").unwrap();
    fs::write(machine.path("k/pod/mount"), "x").unwrap();
    assert_eq!(kinds(), (Kind::Full, Kind::Other));
}

/// Kubelet's directory may be reached through a link, and the kernel tells of mounts without.
#[test]
fn a_path_through_a_link_is_the_one_that_the_kernel_tells() {
    let mut machine = Machine::new();
    machine.controller(&format!("nqn.2026-11.dev.weir:{ID}"), "connecting");
    fs::create_dir(machine.path("real")).unwrap();
    fs::remove_dir_all(machine.path("k")).unwrap();
    symlink(machine.path("real"), machine.path("k")).unwrap();
    let real = machine.path("real/staging");
    machine.mount("259:4", &real, "rw");
    let seen = machine.look(None);
    assert_eq!(seen.staging.unwrap().mount.unwrap().whose, Whose::Volume);
    assert_eq!(seen.others.len(), 0);
    assert_eq!(seen.paths[0].state, State::Trying);
}
