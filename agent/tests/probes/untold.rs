//! Ends that this machine's kernel may keep from programs: those that come in an interrupt of one of the first process's threads.
//!
//! Seen on a 6.18 of a virtual machine whose first process is its supervisor: no program runs for such an end, not even one that does
//! nothing. ftrace does see them, so it says how many there were, and the tests stay exact: no more may be missing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

const EVENT: &str = "events/block/block_rq_complete";

/// ftrace watches, in a place of its own, until this ends.
pub(crate) struct Untold {
    tracefs: tempfile::TempDir,
    instance: PathBuf,
    threads: RefCell<BTreeSet<String>>,
}

impl Untold {
    /// Watches all disks from now on.
    pub(crate) fn watch() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let tracefs = tempfile::tempdir().unwrap();
        let flags = MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
        mount(
            Some("tracefs"),
            tracefs.path(),
            Some("tracefs"),
            flags,
            None::<&str>,
        )
        .expect("needs root and tracefs");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("weir-{}-{number}", std::process::id());
        let untold = Untold {
            instance: tracefs.path().join("instances").join(name),
            tracefs,
            threads: RefCell::default(),
        };
        fs::create_dir(&untold.instance).unwrap();
        untold.learn();
        untold.set("enable", "1");
        untold
    }

    /// How many ends there were so far.
    pub(crate) fn count(&self) -> u64 {
        // Threads that came meanwhile may have lost an end before this knew of them: their ends count from now on.
        self.learn();
        let mut text = String::new();
        fs::File::open(self.instance.join("trace"))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let ends = text.lines().filter(|line| !line.starts_with('#')).count();
        u64::try_from(ends).unwrap()
    }

    /// Ends in all threads that the first process has, or had.
    fn learn(&self) {
        let now = fs::read_dir("/proc/1/task").unwrap();
        let now = now.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut threads = self.threads.borrow_mut();
        let before = threads.len();
        threads.extend(now);
        if threads.len() > before {
            let of: Vec<String> = threads
                .iter()
                .map(|thread| format!("common_pid == {thread}"))
                .collect();
            self.set("filter", &of.join(" || "));
        }
    }

    fn set(&self, what: &str, value: &str) {
        let path: &Path = &self.instance.join(EVENT).join(what);
        fs::write(path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.instance);
        let _ = umount2(self.tracefs.path(), MntFlags::MNT_DETACH);
    }
}
