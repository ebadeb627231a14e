//! A disk that only answers, after a while (Documentation/block/null_blk.rst). It disappears with its value, also when a test
//! fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CONFIGFS: &str = "/sys/kernel/config/nullb";
const NAME: &str = "weir-null";
/// Completions come from a timer.
const BY_TIMER: &str = "2";

/// A disk without memory: its reads give anything, its writes are forgotten.
pub(crate) struct NullDisk {
    directory: PathBuf,
}

impl NullDisk {
    pub(crate) fn new(answers_after: Duration) -> Self {
        let loaded = Command::new("modprobe")
            .args(["null_blk", "nr_devices=0"])
            .status();
        assert!(
            loaded.is_ok_and(|status| status.success()),
            "needs null_blk"
        );
        let directory = Path::new(CONFIGFS).join(NAME);
        fs::create_dir(&directory).unwrap();
        let disk = NullDisk { directory };
        disk.set("size", "128");
        disk.set("irqmode", BY_TIMER);
        disk.set("completion_nsec", &answers_after.as_nanos().to_string());
        disk.set("power", "1");
        disk
    }

    /// `/dev/nullb0`, for example.
    pub(crate) fn path(&self) -> String {
        let index = fs::read_to_string(self.directory.join("index")).unwrap();
        let named = format!("/dev/nullb{}", index.trim_end());
        // From 6.14 on the disk has the name of its directory (drivers/block/null_blk/main.c).
        let by_name = Path::new("/dev").join(NAME);
        if by_name.exists() {
            return by_name.display().to_string();
        }
        named
    }

    fn set(&self, attribute: &str, value: &str) {
        fs::write(self.directory.join(attribute), value)
            .unwrap_or_else(|error| panic!("{attribute}: {error}"));
    }
}

impl Drop for NullDisk {
    fn drop(&mut self) {
        let _ = fs::write(self.directory.join("power"), "0");
        let _ = fs::remove_dir(&self.directory);
    }
}
