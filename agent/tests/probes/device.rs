//! Block devices for the tests, which disappear with their values, also when a test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_agent::probe::DevT;

use crate::io::dev_of;

/// Bytes that most tests need.
const SMALL: u64 = 16 << 20;

/// A driver that is a module in some kernels, and a part of others.
fn load(driver: &str) {
    let _ = Command::new("modprobe").args(["-q", driver]).status();
}

/// A zram device: bio-based, as logical volumes are.
pub(crate) struct Zram {
    number: u32,
}

impl Zram {
    pub(crate) fn new() -> Self {
        Zram::of(SMALL)
    }

    pub(crate) fn of(bytes: u64) -> Self {
        load("zram");
        let hot_add = Path::new("/sys/class/zram-control/hot_add");
        let number = fs::read_to_string(hot_add).unwrap_or_else(|error| {
            panic!(
                "needs root and zram: cannot read {}: {error}",
                hot_add.display()
            )
        });
        let zram = Zram {
            number: number.trim().parse().unwrap(),
        };
        let size = format!("/sys/block/zram{}/disksize", zram.number);
        fs::write(&size, bytes.to_string()).unwrap_or_else(|error| panic!("{size}: {error}"));
        zram
    }

    pub(crate) fn path(&self) -> PathBuf {
        format!("/dev/zram{}", self.number).into()
    }

    pub(crate) fn dev(&self) -> DevT {
        dev_of(&self.path())
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        let _ = fs::write(format!("/sys/block/zram{}/reset", self.number), "1");
        let _ = fs::write(
            "/sys/class/zram-control/hot_remove",
            self.number.to_string(),
        );
    }
}

/// A loop device on a file in memory: request-based, as real disks are.
pub(crate) struct Loop {
    path: PathBuf,
    _file: tempfile::NamedTempFile,
}

impl Loop {
    pub(crate) fn new() -> Self {
        Loop::of(SMALL)
    }

    pub(crate) fn of(bytes: u64) -> Self {
        load("loop");
        let file = tempfile::NamedTempFile::new_in("/dev/shm").expect("needs a tmpfs at /dev/shm");
        file.as_file().set_len(bytes).unwrap();
        let output = Command::new("losetup")
            .args(["--find", "--show", "--direct-io=off"])
            .arg(file.path())
            .output()
            .expect("needs losetup");
        assert!(
            output.status.success(),
            "needs root and loop devices: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Loop {
            path: String::from_utf8(output.stdout).unwrap().trim().into(),
            _file: file,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn dev(&self) -> DevT {
        dev_of(&self.path)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.path).status();
    }
}
