//! A device exported to this very machine over NVMe/TCP. The export disappears with its value, also when
//! a test fails.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nvmet::{
    Authentication, Configfs, ConnectOptions, Host, Namespace, Nqn, Nsid, Port, PortId, Portal,
    Seconds, Subsystem, Target, plan,
};
use uuid::Uuid;

pub(crate) const HOST: &str = "nqn.2026-11.dev.weir:host:consumer:1";
const NQN: &str = "nqn.2026-11.dev.weir:probed";
const ID: Uuid = Uuid::from_u128(0x7765_6972);
const ADDRESS: &str = "127.0.0.1";
const SERVICE: u16 = 4477;

/// A device exported to this machine.
pub(crate) struct Exported {
    path: PathBuf,
}

impl Exported {
    pub(crate) fn new(device: &Path) -> Self {
        for module in ["nvmet-tcp", "nvme-tcp"] {
            let status = Command::new("modprobe").arg(module).status();
            assert!(
                status.is_ok_and(|status| status.success()),
                "needs {module}"
            );
        }
        let nqn = |name: &str| -> Nqn { name.parse().unwrap() };
        let subsystem = Subsystem {
            allowed_hosts: [nqn(HOST)].into(),
            serial: Some("1".to_owned()),
            namespaces: [(Nsid::FIRST, Namespace::new(device, ID))].into(),
            ..Subsystem::default()
        };
        let port = Port {
            subsystems: [nqn(NQN)].into(),
            ..Port::new(Portal::tcp(ADDRESS.parse().unwrap(), SERVICE))
        };
        reach(&Target {
            hosts: [(nqn(HOST), Authentication::default())].into(),
            subsystems: [(nqn(NQN), subsystem)].into(),
            ports: [(PortId(1), port)].into(),
            ..Target::default()
        });
        let address = ADDRESS.parse().unwrap();
        let options = ConnectOptions {
            reconnect_delay: Some(Seconds(1)),
            fast_io_fail_tmo: Some(Seconds(1)),
            ..ConnectOptions::tcp(address, SERVICE, nqn(NQN), nqn(HOST))
        };
        Host::new().connect(&options).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        Exported {
            path: Host::new().wait_for_namespace(ID, deadline).unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Lets no request of this machine's be longer, whichever path it takes.
    pub(crate) fn limit_requests(&self, kib: u32) {
        for disk in fs::read_dir("/sys/block").unwrap() {
            let disk = disk.unwrap();
            if disk.file_name().to_string_lossy().starts_with("nvme") {
                let limit = disk.path().join("queue/max_sectors_kb");
                fs::write(limit, kib.to_string()).unwrap();
            }
        }
    }

    /// Lets nobody reach it any more. This machine looks for a way for a second, and fails I/O from then on.
    pub(crate) fn cut_off(&self) {
        reach(&Target::default());
    }

    pub(crate) fn flush(&self) {
        let file = OpenOptions::new().write(true).open(&self.path);
        file.unwrap().sync_all().unwrap();
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        let _ = Host::new().disconnect(&NQN.parse().unwrap());
        reach(&Target::default());
    }
}

fn reach(want: &Target) {
    let configfs = Configfs::new();
    let have = configfs.read().unwrap();
    configfs.apply(&plan(&have, want)).unwrap();
}
