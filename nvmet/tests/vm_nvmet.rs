//! The library on a real kernel: configfs, a TCP port on loopback, the kernel's own host side, RAM
//! disks. Run in a VM by `cargo xtask test nvmet`; each test has a port and a RAM disk of its own.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nvmet::{
    ApplyError, Authentication, Change, Configfs, ConnectOptions, Host, Namespace, Nqn, Nsid,
    Outcome, Port, PortId, Portal, Secret, State, Subsystem, Target, Tree, check, plan,
};
use uuid::Uuid;

use nvmet::tree::Kernel;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What one test exports: everything of it is removed when it ends, however it ends.
struct Export {
    number: u16,
    disks: Vec<u16>,
}

impl Export {
    fn new(number: u16) -> Self {
        Self::of(number, vec![number])
    }

    fn of(number: u16, disks: Vec<u16>) -> Self {
        for needed in ["/sys/kernel/config/nvmet", "/dev/nvme-fabrics", "/dev/ram0"] {
            assert!(
                Path::new(needed).exists(),
                "{needed} is missing: load nvmet-tcp, nvme-tcp and brd, and mount configfs"
            );
        }
        Export { number, disks }
    }

    fn nqn(&self, disk: u16) -> Nqn {
        format!("nqn.2026-11.dev.weir.test:{}:{disk}", self.number)
            .parse()
            .unwrap()
    }

    fn host(&self) -> Nqn {
        format!("nqn.2026-11.dev.weir.test:host:{}", self.number)
            .parse()
            .unwrap()
    }

    fn uuid(disk: u16) -> Uuid {
        Uuid::from_u128(0x5ec0_0000_0000_4000_8000_0000_0000_0000 + u128::from(disk))
    }

    /// One subsystem per RAM disk, all on one port.
    fn want(&self, have: &Target) -> Target {
        let mut want = have.clone();
        want.hosts.insert(self.host(), Authentication::default());
        for &disk in &self.disks {
            let namespace = Namespace::new(format!("/dev/ram{disk}"), Self::uuid(disk));
            let subsystem = Subsystem {
                allowed_hosts: [self.host()].into(),
                serial: Some(format!("serial{disk}")),
                model: Some("Weir test".to_owned()),
                namespaces: [(Nsid::FIRST, namespace)].into(),
                ..Subsystem::default()
            };
            want.subsystems.insert(self.nqn(disk), subsystem);
        }
        let port = Port {
            subsystems: self.disks.iter().map(|disk| self.nqn(*disk)).collect(),
            ..Port::new(Portal::tcp(LOOPBACK, 4500 + self.number))
        };
        want.ports.insert(PortId(self.number), port);
        want
    }

    fn options(&self, disk: u16) -> ConnectOptions {
        ConnectOptions::tcp(LOOPBACK, 4500 + self.number, self.nqn(disk), self.host())
    }

    fn connect(&self, disk: u16) -> PathBuf {
        Host::new().connect(&self.options(disk)).unwrap();
        Host::new()
            .wait_for_namespace(Self::uuid(disk), soon())
            .unwrap()
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        for &disk in &self.disks {
            let _ = Host::new().disconnect(&self.nqn(disk));
        }
        let Ok(have) = Configfs::new().read() else {
            return;
        };
        let mut want = have.clone();
        want.ports.remove(&PortId(self.number));
        for disk in &self.disks {
            want.subsystems.remove(&self.nqn(*disk));
        }
        want.hosts.remove(&self.host());
        let removed = Configfs::new().apply(&plan(&have, &want));
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Applies what leads to `want`; the changes it took.
fn reach(want: &Target) -> Vec<Change> {
    check(want).unwrap();
    let configfs = Configfs::new();
    let changes = plan(&configfs.read().unwrap(), want);
    configfs.apply(&changes).unwrap();
    changes
}

/// Seen red with: the namespace's `Enable` left out of the plan.
#[test]
fn what_was_applied_is_read_back_and_needs_no_further_change() {
    let export = Export::new(1);
    let want = export.want(&Configfs::new().read().unwrap());
    assert!(!reach(&want).is_empty());
    let have = Configfs::new().read().unwrap();
    let (had, wanted) = (
        &have.subsystems[&export.nqn(1)],
        &want.subsystems[&export.nqn(1)],
    );
    assert_eq!((&had.serial, &had.model), (&wanted.serial, &wanted.model));
    assert_eq!(had.allowed_hosts, wanted.allowed_hosts);
    let mut namespace = had.namespaces[&Nsid::FIRST].clone();
    // What was left to the kernel.
    (
        namespace.buffered_io,
        namespace.resv_enable,
        namespace.p2pmem,
    ) = (None, None, None);
    assert_eq!(namespace, wanted.namespaces[&Nsid::FIRST]);
    let (had, wanted) = (&have.ports[&PortId(1)], &want.ports[&PortId(1)]);
    assert_eq!(
        (&had.portal, &had.subsystems),
        (&wanted.portal, &wanted.subsystems)
    );
    assert_eq!(plan(&Configfs::new().read().unwrap(), &want), []);
    assert_eq!(Configfs::new().apply(&[]).unwrap(), Outcome::Unchanged);
}

#[test]
fn a_host_finds_the_disk_by_uuid_and_its_data_reaches_the_device() {
    let export = Export::new(2);
    reach(&export.want(&Configfs::new().read().unwrap()));
    let device = export.connect(2);
    let again = Host::new().connect(&export.options(2)).unwrap();
    assert_eq!(
        again.outcome,
        Outcome::Unchanged,
        "a second connect makes no second controller"
    );

    let text = [0x57; 4096];
    let disk = File::options().write(true).open(&device).unwrap();
    disk.write_all_at(&text, 8192).unwrap();
    disk.sync_all().unwrap();
    let mut seen = [0; 4096];
    File::open("/dev/ram2")
        .unwrap()
        .read_exact_at(&mut seen, 8192)
        .unwrap();
    assert_eq!(seen, text);

    let controllers = Host::new().list().unwrap();
    let mine = controllers
        .iter()
        .find(|controller| controller.nqn == export.nqn(2).as_str())
        .unwrap();
    assert_eq!(mine.state, State::Live);
    assert_eq!(mine.namespaces.len(), 1, "{mine:?}");

    assert_eq!(
        Host::new().disconnect(&export.nqn(2)).unwrap(),
        Outcome::Changed
    );
    assert_eq!(
        Host::new().disconnect(&export.nqn(2)).unwrap(),
        Outcome::Unchanged
    );
    assert!(!device.exists());
}

#[test]
fn a_host_that_is_not_named_is_refused() {
    let export = Export::new(3);
    reach(&export.want(&Configfs::new().read().unwrap()));
    let mut stranger = export.options(3);
    stranger.host = "nqn.2026-11.dev.weir.test:host:stranger".parse().unwrap();
    stranger.host_id = nvmet::host_id(&stranger.host);
    let error = Host::new().connect(&stranger).unwrap_err().to_string();
    assert!(error.contains("stranger"), "{error}");
}

/// The serial number is sticky once a host has connected, so its subsystem is made anew. Seen red
/// with: `is_kept` always true (the kernel refuses the write).
#[test]
fn a_new_serial_remakes_that_subsystem_and_disturbs_no_other() {
    let export = Export::of(4, vec![4, 5]);
    let mut want = export.want(&Configfs::new().read().unwrap());
    reach(&want);
    export.connect(4);
    export.connect(5);
    want.subsystems.get_mut(&export.nqn(4)).unwrap().serial = Some("another".to_owned());
    let changes = reach(&want);
    let touched = changes.iter().filter_map(Change::subsystem);
    assert!(touched.clone().count() > 0 && touched.clone().all(|nqn| *nqn == export.nqn(4)));
    assert_eq!(plan(&Configfs::new().read().unwrap(), &want), []);
    let controllers = Host::new().list().unwrap();
    let other = controllers
        .iter()
        .find(|controller| controller.nqn == export.nqn(5).as_str());
    assert_eq!(other.unwrap().state, State::Live);
}

#[test]
fn an_enabled_namespace_gets_another_device() {
    let export = Export::new(6);
    let mut want = export.want(&Configfs::new().read().unwrap());
    reach(&want);
    let subsystem = want.subsystems.get_mut(&export.nqn(6)).unwrap();
    subsystem
        .namespaces
        .get_mut(&Nsid::FIRST)
        .unwrap()
        .device_path = "/dev/ram7".into();
    reach(&want);
    assert_eq!(plan(&Configfs::new().read().unwrap(), &want), []);
}

/// nvmet would export a plain file as readily. Seen red with: `examine` returning at once.
#[test]
fn a_plain_file_is_refused_before_anything_is_written() {
    let export = Export::new(8);
    let have = Configfs::new().read().unwrap();
    let mut want = export.want(&have);
    fs::write("/tmp/no-device", [0; 4096]).unwrap();
    let subsystem = want.subsystems.get_mut(&export.nqn(8)).unwrap();
    subsystem
        .namespaces
        .get_mut(&Nsid::FIRST)
        .unwrap()
        .device_path = "/tmp/no-device".into();
    let refused = Configfs::new().apply(&plan(&have, &want)).unwrap_err();
    assert!(
        matches!(refused, ApplyError::NotABlockDevice { .. }),
        "{refused}"
    );
    assert_eq!(Configfs::new().read().unwrap(), have);
}

#[test]
fn an_address_that_no_interface_has_is_explained() {
    let export = Export::new(9);
    let mut want = export.want(&Configfs::new().read().unwrap());
    let nobodys = "192.0.2.1".parse().unwrap();
    want.ports.get_mut(&PortId(9)).unwrap().portal = Portal::tcp(nobodys, 4509);
    let changes = plan(&Configfs::new().read().unwrap(), &want);
    let refused = Configfs::new().apply(&changes).unwrap_err().to_string();
    assert!(
        refused.contains("no interface has this port's address"),
        "{refused}"
    );
}

fn is_linux(version: &str) -> bool {
    Kernel.kernel().starts_with(&format!("Linux {version}."))
}

/// Connects with options that [`ConnectOptions`] doesn't have.
fn connect_with(options: &str) -> std::io::Result<()> {
    let mut device = File::options()
        .read(true)
        .write(true)
        .open("/dev/nvme-fabrics")?;
    std::io::Write::write_all(&mut device, options.as_bytes())
}

/// A kernel that lacks an attribute says so before anything is written.
#[test]
fn what_this_kernel_lacks_is_said_and_changes_nothing() {
    let export = Export::new(10);
    let have = Configfs::new().read().unwrap();
    type Ask = fn(&mut Subsystem);
    let lacking: Vec<(&str, Ask)> = vec![
        ("attr_firmware", |want| want.firmware = Some("1".to_owned())),
        ("attr_vendor_id", |want| want.vendor_id = Some(1)),
    ];
    for (attribute, ask) in lacking {
        let mut want = export.want(&have);
        ask(want.subsystems.get_mut(&export.nqn(10)).unwrap());
        let result = Configfs::new().apply(&plan(&have, &want));
        if is_linux("7.3") || (attribute == "attr_firmware" && is_linux("6.12")) {
            result.unwrap();
            reach(&have);
            continue;
        }
        let said = result.unwrap_err().to_string();
        assert!(
            said.contains(&format!("has no attribute `{attribute}`")),
            "{said}"
        );
        assert!(said.contains(&Kernel.kernel()), "{said}");
        assert_eq!(Configfs::new().read().unwrap(), have);
    }
}

/// The loop transport: on 6.12 and 7.3 (Debian's 6.1 has no such module, which is said).
#[test]
fn a_disk_is_used_over_loop() {
    let export = Export::new(11);
    let mut want = export.want(&Configfs::new().read().unwrap());
    let port = want.ports.get_mut(&PortId(11)).unwrap();
    port.portal = Portal::local();
    if is_linux("6.1") {
        let changes = plan(&Configfs::new().read().unwrap(), &want);
        let said = Configfs::new().apply(&changes).unwrap_err().to_string();
        assert!(said.contains("nvme-loop"), "{said}");
        return;
    }
    reach(&want);
    let host = export.host();
    let id = nvmet::host_id(&host);
    let options = format!(
        "nqn={},transport=loop,hostnqn={host},hostid={id}",
        export.nqn(11)
    );
    connect_with(&options).unwrap();
    let device = Host::new()
        .wait_for_namespace(Export::uuid(11), soon())
        .unwrap();
    let text = [0x4c; 4096];
    let disk = File::options().write(true).open(&device).unwrap();
    disk.write_all_at(&text, 0).unwrap();
    disk.sync_all().unwrap();
    let mut seen = [0; 4096];
    let ram = File::open("/dev/ram11").unwrap();
    ram.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(seen, text);
    assert_eq!(plan(&Configfs::new().read().unwrap(), &want), []);
}

/// DH-HMAC-CHAP: on 6.12 and 7.3 (Debian's 6.1 has none, which is said).
#[test]
fn a_host_that_has_a_key_must_know_it() {
    const KEY: &str = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:";
    const OTHER: &str = "DHHC-1:00:Sg6xQvB3Yo0q4yuKr6SvCzMtMNZ4cTTzh6Xl8Y4qNbkDqUu0:";
    let export = Export::new(7);
    let mut want = export.want(&Configfs::new().read().unwrap());
    let keys = want.hosts.get_mut(&export.host()).unwrap();
    keys.key = Some(Secret::new(KEY));
    if is_linux("6.1") {
        let changes = plan(&Configfs::new().read().unwrap(), &want);
        let said = Configfs::new().apply(&changes).unwrap_err().to_string();
        assert!(said.contains("has no attribute `dhchap_key`"), "{said}");
        assert!(!said.contains("ia6z"), "{said}");
        return;
    }
    reach(&want);
    let options = export.options(7).to_option_string();
    assert!(connect_with(&options).is_err(), "without a key");
    assert!(
        connect_with(&format!("{options},dhchap_secret={OTHER}")).is_err(),
        "with another"
    );
    connect_with(&format!("{options},dhchap_secret={KEY}")).unwrap();
    Host::new()
        .wait_for_namespace(Export::uuid(7), soon())
        .unwrap();
    Host::new().disconnect(&export.nqn(7)).unwrap();

    // Taken away, nothing is asked for any more.
    let keys = want.hosts.get_mut(&export.host()).unwrap();
    keys.key = Some(Secret::NONE);
    assert_eq!(reach(&want).len(), 1);
    connect_with(&options).unwrap();
}

#[test]
fn a_port_in_use_moves_only_when_that_is_asked_for() {
    let export = Export::of(9, vec![8, 9]);
    let mut want = export.want(&Configfs::new().read().unwrap());
    reach(&want);
    let have = Configfs::new().read().unwrap();
    want.ports.get_mut(&PortId(9)).unwrap().portal = Portal::tcp(LOOPBACK, 4599);
    let changes = plan(&have, &want);
    let refused = Configfs::new().apply(&changes).unwrap_err();
    let ApplyError::Interrupts { ports, subsystems } = refused else {
        panic!("{refused}")
    };
    assert_eq!(ports, [PortId(9)].into());
    assert_eq!(subsystems, [export.nqn(8), export.nqn(9)].into());
    assert_eq!(Configfs::new().read().unwrap(), have);
    Configfs::new().apply_interrupting(&changes).unwrap();
    assert_eq!(plan(&Configfs::new().read().unwrap(), &want), []);
    let moved = ConnectOptions::tcp(LOOPBACK, 4599, export.nqn(8), export.host());
    Host::new().connect(&moved).unwrap();
}
