//! Directories that look like a real kernel's sysfs: its class links, and the devices they lead to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub(crate) const VOLUME: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";

/// A `/sys` and a `/dev` in a temporary directory.
pub(crate) struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "sys/block",
            "sys/class/nvme",
            "sys/class/nvme-subsystem",
            "dev",
        ] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        Machine { directory }
    }

    pub(crate) fn sysfs(&self) -> PathBuf {
        self.directory.path().join("sys")
    }

    pub(crate) fn dev(&self) -> PathBuf {
        self.directory.path().join("dev")
    }

    pub(crate) fn write(&self, path: &str, value: &str) {
        let path = self.sysfs().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }

    /// A controller of a subsystem that is connected over TCP to 10.0.0.1:4420 as nqn.host.
    pub(crate) fn controller(&self, number: u32, subsystem: u32, nqn: &str, state: &str) {
        let name = format!("nvme{number}");
        let device = format!("devices/virtual/nvme-fabrics/ctl/{name}");
        let host: crate::Nqn = "nqn.host".parse().unwrap();
        for (attribute, value) in [
            ("subsysnqn", nqn),
            ("state", state),
            ("hostnqn", host.as_str()),
            ("hostid", &crate::host_id(&host).to_string()),
            ("transport", "tcp"),
            ("address", "traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.2"),
            ("cntlid", "1"),
            ("delete_controller", ""),
        ] {
            self.write(&format!("{device}/{attribute}"), value);
        }
        self.link(&format!("../../{device}"), &format!("class/nvme/{name}"));
        let subsystem = format!("nvme-subsys{subsystem}");
        let directory = format!("devices/virtual/nvme-subsystem/{subsystem}");
        self.write(&format!("{directory}/subsysnqn"), nqn);
        self.link(
            &format!("../../nvme-fabrics/ctl/{name}"),
            &format!("{directory}/{name}"),
        );
        let class = format!("class/nvme-subsystem/{subsystem}");
        if !self.sysfs().join(&class).exists() {
            self.link(&format!("../../{directory}"), &class);
        }
    }

    /// The usable device of a namespace under native multipath, 1 GiB, and one hidden path to it.
    pub(crate) fn multipath_disk(&self, subsystem: u32, controller: u32) {
        let directory = format!("devices/virtual/nvme-subsystem/nvme-subsys{subsystem}");
        let name = format!("nvme{subsystem}n1");
        self.disk(
            &format!("{directory}/{name}"),
            &name,
            &format!("../../nvme-subsys{subsystem}"),
        );
        let directory = format!("devices/virtual/nvme-fabrics/ctl/nvme{controller}");
        let name = format!("nvme{subsystem}c{controller}n1");
        let path = format!("{directory}/{name}");
        self.disk(&path, &name, &format!("../../nvme{controller}"));
        self.write(&format!("{path}/hidden"), "1");
    }

    /// The device of a namespace without native multipath.
    pub(crate) fn plain_disk(&self, controller: u32) {
        let name = format!("nvme{controller}n1");
        let directory = format!("devices/virtual/nvme-fabrics/ctl/nvme{controller}/{name}");
        self.disk(&directory, &name, &format!("../../nvme{controller}"));
    }

    fn disk(&self, directory: &str, name: &str, device: &str) {
        for (attribute, value) in [
            ("uuid", VOLUME),
            ("wwid", &format!("uuid.{VOLUME}")),
            ("nsid", "1"),
            ("size", "2097152"),
            ("hidden", "0"),
            ("dev", "259:2"),
        ] {
            self.write(&format!("{directory}/{attribute}"), value);
        }
        self.link(device, &format!("{directory}/device"));
        self.link(&format!("../{directory}"), &format!("block/{name}"));
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.sysfs().join(path);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.sysfs().join(path)).unwrap()
    }

    fn link(&self, target: &str, link: &str) {
        symlink(Path::new(target), self.sysfs().join(link)).unwrap();
    }
}
