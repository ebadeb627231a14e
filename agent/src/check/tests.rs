//! Both sides of every check.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::facts::{Clock, Facts, MODULES, Module, Node, Portal, SHARED, facts};
use super::*;
use crate::cmd::{Cmd, CmdError, Runner};

const BOTH: [Role; 2] = [Role::Storage, Role::Consumer];
const PORTAL: &str = "10.0.0.1:4420";
const LVM: &str = "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n";

/// A node that has everything.
fn good() -> Facts {
    Facts {
        release: "6.12.95".to_owned(),
        modules: MODULES.map(|module| (module, Module::Loaded)).into(),
        btf: ["vmlinux", "nvmet"].map(str::to_owned).into(),
        lvm: Ok(LVM.to_owned()),
        lvm_config: Ok(
            "devices {\n\tdir=\"/dev\"\n\tscan_lvs=0\n\tglobal_filter=[\"r|^/dev/weir/|\"]\n}\n"
                .to_owned(),
        ),
        container: None,
        portals: BTreeMap::from([(PORTAL.parse().unwrap(), Portal::Free)]),
        clock: Clock {
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            is_synchronised: Some(true),
        },
        host_nqn: Some("nqn.2014-08.org.nvmexpress:uuid:2b8f6a1e".to_owned()),
        nvme_multipath: Some("Y".to_owned()),
        has_udev: true,
        udev_rules: vec!["/etc/udev/rules.d/57-weir.rules".into()],
        udev_order: [
            "55-dm.rules",
            "57-weir.rules",
            "60-persistent-storage-dm.rules",
            "60-persistent-storage.rules",
        ]
        .map(str::to_owned)
        .into(),
        has_devices_file: false,
        has_multipath_tools: true,
        multipath_config: vec!["/etc/multipath/conf.d/weir.conf".into()],
    }
}

fn found(facts: &Facts, name: &str) -> Finding {
    let all = findings(facts, &BOTH);
    let finding = all.iter().find(|finding| finding.name == name);
    finding.unwrap_or_else(|| panic!("{name}: {all:?}")).clone()
}

#[test]
fn a_node_with_everything_is_fit() {
    let findings = findings(&good(), &BOTH);
    assert!(is_fit(&findings), "{}", text(&findings));
    for finding in &findings {
        assert_eq!(finding.state, State::Found, "{finding:?}");
        assert_eq!(finding.remedy, None, "{finding:?}");
    }
    assert!(text(&findings).ends_with("everything that is required is there\n"));
}

/// Each row: what is wrong with an otherwise good node, which finding says so, whether the node is
/// unfit by it, and what is seen.
///
/// Seen red with: `is_fit` returning `true`, and with `version >= OLDEST_LVM` made `true`.
#[test]
fn whatever_is_missing_is_said_with_a_remedy() {
    type Break = fn(&mut Facts);
    let rows: [(Break, &str, bool, &str); 25] = [
        (
            |f| _ = f.modules.insert("nvmet", Module::Absent),
            "module nvmet",
            true,
            "6.12.95",
        ),
        (
            |f| _ = f.modules.insert("nvmet-tcp", Module::Absent),
            "module nvmet-tcp",
            true,
            "",
        ),
        (
            |f| _ = f.modules.insert("nvme-tcp", Module::Absent),
            "module nvme-tcp",
            true,
            "",
        ),
        (
            |f| _ = f.modules.insert("dm-mod", Module::Absent),
            "module dm-mod",
            true,
            "",
        ),
        (
            |f| _ = f.modules.remove("dm-thin-pool"),
            "module dm-thin-pool",
            false,
            "",
        ),
        (|f| f.btf.clear(), "kernel BTF", false, "vmlinux"),
        (
            |f| _ = f.btf.remove("nvmet"),
            "kernel BTF",
            false,
            "btf/nvmet",
        ),
        (
            |f| f.lvm = Err("`lvm` is not installed".to_owned()),
            "LVM version",
            true,
            "not inst",
        ),
        (
            |f| f.lvm = Ok(LVM.replace("03.16", "03.11")),
            "LVM version",
            true,
            "2.03.11",
        ),
        (
            |f| f.lvm = Ok("?".to_owned()),
            "LVM version",
            true,
            "no version",
        ),
        (
            |f| f.lvm_config = Ok("scan_lvs=1".to_owned()),
            "LVM filter",
            true,
            "looks into",
        ),
        (
            |f| f.lvm_config = Ok("scan_lvs=0\nglobal_filter=[\"a|.*|\"]".to_owned()),
            "LVM filter",
            true,
            "/dev/weir/",
        ),
        (
            |f| f.lvm_config = Ok(String::new()),
            "LVM filter",
            true,
            "no scan_lvs",
        ),
        (
            |f| f.lvm_config = Err("no".to_owned()),
            "LVM filter",
            true,
            "no",
        ),
        (
            |f| f.container = Some(SHARED.map(|dir| (dir, dir != "/run/lock/lvm")).into()),
            "shared /run/lock/lvm",
            true,
            "the container's own",
        ),
        (
            |f| drop(f.portals.insert(PORTAL.parse().unwrap(), Portal::Taken)),
            "portal 10.0.0.1:4420",
            true,
            "another program",
        ),
        (
            |f| {
                let refused = Portal::Refused("cannot assign".to_owned());
                f.portals.insert(PORTAL.parse().unwrap(), refused);
            },
            "portal 10.0.0.1:4420",
            true,
            "cannot assign",
        ),
        (
            |f| f.clock.is_synchronised = Some(false),
            "clock",
            false,
            "not synchronised",
        ),
        (
            |f| f.clock.now = SystemTime::UNIX_EPOCH,
            "clock",
            false,
            "never set",
        ),
        (
            |f| f.host_nqn = Some("x y".to_owned()),
            "hostnqn",
            false,
            "",
        ),
        (
            |f| f.nvme_multipath = Some("N".to_owned()),
            "nvme multipath",
            true,
            "N",
        ),
        (
            |f| f.udev_rules.clear(),
            "udev rules",
            true,
            "not installed",
        ),
        // As other distributions number them.
        (
            |f| {
                f.udev_order = ["10-dm.rules", "13-dm-disk.rules"]
                    .map(str::to_owned)
                    .into()
            },
            "udev rules",
            true,
            "57-weir.rules runs after 13-dm-disk.rules",
        ),
        (
            |f| f.udev_rules = vec!["/etc/udev/rules.d/12-weir.rules".into()],
            "udev rules",
            true,
            "12-weir.rules runs before 55-dm.rules",
        ),
        (
            |f| f.multipath_config.clear(),
            "multipath blacklist",
            true,
            "no file",
        ),
    ];
    for (make_bad, name, is_unfit, seen) in rows {
        let mut facts = good();
        make_bad(&mut facts);
        let finding = found(&facts, name);
        assert_ne!(finding.state, State::Found, "{finding:?}");
        assert!(finding.remedy.is_some(), "{finding:?}");
        assert!(finding.seen.contains(seen), "{finding:?}");
        assert_eq!(is_fit(&findings(&facts, &BOTH)), !is_unfit, "{finding:?}");
    }
}

#[test]
fn what_a_node_does_not_need_is_not_asked_of_it() {
    let mut facts = good();
    facts.modules = MODULES.map(|module| (module, Module::Absent)).into();
    facts.modules.insert("nvme-tcp", Module::Available);
    facts.lvm = Err("`lvm` is not installed".to_owned());
    assert!(is_fit(&findings(&facts, &[Role::Consumer])));
    assert!(!is_fit(&findings(&facts, &[Role::Storage])));
    let mut facts = good();
    facts.modules.insert("nvme-tcp", Module::Absent);
    facts.nvme_multipath = Some("N".to_owned());
    assert!(is_fit(&findings(&facts, &[Role::Storage])));
    assert!(!is_fit(&findings(&facts, &[Role::Consumer])));
    let mut facts = good();
    facts.lvm_config = Ok("scan_lvs=0\nuse_devicesfile=1\n".to_owned());
    assert!(!is_fit(&findings(&facts, &BOTH)), "it lists nothing yet");
    facts.has_devices_file = true;
    assert!(is_fit(&findings(&facts, &BOTH)));
    let mut facts = good();
    (facts.has_udev, facts.has_multipath_tools) = (false, false);
    facts.udev_rules.clear();
    facts.multipath_config.clear();
    assert!(is_fit(&findings(&facts, &BOTH)));
    facts.portals.clear();
    assert_eq!(found(&facts, "portal").state, State::Unknown);
    facts
        .portals
        .insert(PORTAL.parse().unwrap(), Portal::Target);
    assert_eq!(found(&facts, "portal 10.0.0.1:4420").state, State::Found);
}

#[test]
fn a_table_shouts_about_what_is_required_and_missing() {
    let mut facts = good();
    facts.modules.insert("nvmet", Module::Absent);
    facts.host_nqn = None;
    let text = text(&findings(&facts, &BOTH));
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("module nvmet ").contains("MISSING"), "{text}");
    assert!(line("hostnqn").contains("missing"), "{text}");
    assert!(text.ends_with("is not there\n"), "{text}");
}

/// A node of which nothing but its files is real.
struct Paper;

impl Node for Paper {
    fn release(&self) -> String {
        "6.12".to_owned()
    }
    fn clock(&self) -> Clock {
        good().clock
    }
    fn listen(&self, address: SocketAddr) -> io::Result<()> {
        match address.port() {
            1 => Ok(()),
            2 => Err(io::ErrorKind::AddrNotAvailable.into()),
            _ => Err(io::ErrorKind::AddrInUse.into()),
        }
    }
}

impl Runner for Paper {
    fn run(&self, cmd: &Cmd) -> Result<String, CmdError> {
        Ok(cmd.args.join(" "))
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn seen(root: &Path) -> Facts {
    let portals = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"].map(|text| text.parse().unwrap());
    facts(root, &Paper, &Paper, &BTreeSet::from(portals))
}

#[test]
fn an_empty_root_has_nothing() {
    let root = tempfile::tempdir().unwrap();
    let facts = seen(root.path());
    assert!(
        facts
            .modules
            .values()
            .all(|module| *module == Module::Absent)
    );
    assert!(facts.btf.is_empty() && facts.container.is_none());
    assert_eq!((&facts.host_nqn, &facts.nvme_multipath), (&None, &None));
    assert!(!facts.has_udev && !facts.has_multipath_tools);
    assert!(facts.udev_rules.is_empty() && facts.multipath_config.is_empty());
    assert_eq!(facts.lvm.unwrap(), "version");
    let portals: Vec<Portal> = facts.portals.into_values().collect();
    assert_eq!((&portals[0], &portals[2]), (&Portal::Free, &Portal::Taken));
    assert!(matches!(portals[1], Portal::Refused(_)));
}

#[test]
fn what_is_below_a_root_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for (path, text) in [
        ("sys/module/nvmet_tcp/refcnt", "0"),
        (
            "lib/modules/6.12/modules.builtin",
            "kernel/drivers/md/dm-mod.ko\n",
        ),
        (
            "lib/modules/6.12/modules.dep",
            "kernel/drivers/nvme/target/nvmet.ko.xz: kernel/x.ko\nkernel/drivers/md/dm-thin-pool.ko:\n",
        ),
        ("sys/kernel/btf/vmlinux", ""),
        ("etc/nvme/hostnqn", "nqn.2014-08.org.nvmexpress:uuid:1\n"),
        ("sys/module/nvme_core/parameters/multipath", "Y\n"),
        ("run/udev/control", ""),
        ("usr/lib/udev/rules.d/60-weir.rules", ""),
        ("etc/udev/rules.d/99-other.rules", ""),
        ("etc/lvm/devices/system.devices", ""),
        ("usr/sbin/multipathd", ""),
        (
            "etc/multipath/conf.d/weir.conf",
            "blacklist { device { vendor NVME product Weir } }",
        ),
        ("etc/multipath/conf.d/other.conf", "blacklist { }"),
        (
            "sys/kernel/config/nvmet/subsystems/nqn.x:a/attr_allow_any_host",
            "0\n",
        ),
    ] {
        write(root, path, text);
    }
    let facts = seen(root);
    let modules: Vec<Module> = MODULES.iter().map(|name| facts.modules[name]).collect();
    use Module::{Absent, Available, BuiltIn, Loaded};
    assert_eq!(modules, [Available, Loaded, Absent, BuiltIn, Available]);
    assert_eq!(facts.btf, BTreeSet::from(["vmlinux".to_owned()]));
    assert_eq!(
        facts.host_nqn.as_deref(),
        Some("nqn.2014-08.org.nvmexpress:uuid:1")
    );
    assert_eq!(facts.nvme_multipath.as_deref(), Some("Y"));
    assert!(facts.has_udev && facts.has_multipath_tools);
    assert_eq!(
        facts.udev_rules,
        [root.join("usr/lib/udev/rules.d/60-weir.rules")]
    );
    let order: Vec<&str> = facts.udev_order.iter().map(String::as_str).collect();
    assert_eq!(order, ["60-weir.rules", "99-other.rules"]);
    assert!(facts.has_devices_file);
    assert_eq!(
        facts.multipath_config,
        [root.join("etc/multipath/conf.d/weir.conf")]
    );
}

/// Seen red with: the arm for `/dev` in `container` removed (a container's own tmpfs passes).
#[test]
fn a_container_is_asked_for_the_hosts_directories() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let own = "1 0 0:30 / / rw - overlay overlay rw\n2 1 0:31 / /dev rw - tmpfs tmpfs rw\n";
    write(root, "proc/self/mountinfo", own);
    assert_eq!(super::facts::unshared(root).len(), SHARED.len());
    let none = seen(root).container.unwrap();
    assert!(none.values().all(|shared| !shared), "{none:?}");
    let hosts = "3 1 0:5 / /dev rw - devtmpfs udev rw\n4 1 0:6 /lock/lvm /run/lock/lvm rw - tmpfs t rw\n\
                 5 1 0:6 /lvm /run/lvm rw - tmpfs t rw\n6 1 0:6 /udev /run/udev rw - tmpfs t rw\n";
    write(root, "proc/self/mountinfo", &format!("{own}{hosts}"));
    let all = seen(root).container.unwrap();
    assert!(all.values().all(|shared| *shared), "{all:?}");
    write(
        root,
        "proc/self/mountinfo",
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n",
    );
    assert_eq!(seen(root).container, None);
    assert!(super::facts::unshared(root).is_empty());
    write(root, ".dockerenv", "");
    assert!(seen(root).container.is_some());
}
