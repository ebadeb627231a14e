//! A logical volume made with device mapper alone, exported to this very machine over NVMe/TCP. Both
//! disappear with their values, also when a test fails.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nvmet::{
    Authentication, Configfs, ConnectOptions, Host, Namespace, Nqn, Nsid, Port, PortId, Portal,
    Subsystem, Target, plan,
};
use uuid::Uuid;
use weir_agent::probe::DevT;

use crate::io::{BLOCK, dev_of};

pub(crate) const HOST: &str = "nqn.2026-11.dev.weir:host:consumer:1";
const NQN: &str = "nqn.2026-11.dev.weir:probed";
const ID: Uuid = Uuid::from_u128(0x7765_6972);
const ADDRESS: &str = "127.0.0.1";
const SERVICE: u16 = 4477;

/// 64 MiB of a disk as a dm-linear device, which is what a linear LV is.
pub(crate) struct Linear {
    path: PathBuf,
}

impl Linear {
    pub(crate) fn on(disk: &str) -> Self {
        let _ = Command::new("modprobe").arg("dm-mod").status();
        let table = format!("0 {} linear {disk} 0", (64 << 20) / 512);
        dmsetup(&["create", "weir_probed", "--noudevsync", "--table", &table]);
        dmsetup(&["mknodes"]);
        Linear {
            path: "/dev/mapper/weir_probed".into(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn dev(&self) -> DevT {
        dev_of(&self.path)
    }
}

impl Drop for Linear {
    fn drop(&mut self) {
        let arguments = ["remove", "--retry", "--noudevsync", "weir_probed"];
        let _ = Command::new("dmsetup").args(arguments).status();
    }
}

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
        let options = ConnectOptions::tcp(address, SERVICE, nqn(NQN), nqn(HOST));
        Host::new().connect(&options).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        Exported {
            path: Host::new().wait_for_namespace(ID, deadline).unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn flush(&self) {
        self.open().sync_all().unwrap();
    }

    /// Each write in one system call.
    pub(crate) fn write_at_once(&self, bytes: usize, times: u64) {
        let buffer = vec![0x5a; bytes + BLOCK];
        let start = buffer.as_ptr().align_offset(BLOCK);
        let file = self.open();
        for i in 0..times {
            let written = file.write_at(&buffer[start..start + bytes], i * bytes as u64);
            assert_eq!(written.unwrap(), bytes);
        }
    }

    fn open(&self) -> File {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(nix::libc::O_DIRECT);
        options.open(&self.path).unwrap()
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

fn dmsetup(arguments: &[&str]) {
    let output = Command::new("dmsetup").args(arguments).output();
    let output = output.expect("needs dmsetup");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "dmsetup {arguments:?}: {errors}");
}
