//! ftrace as a second witness: how often something happened, whatever the programs saw of it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// ftrace watches one tracepoint, in a place of its own, until this ends.
pub(crate) struct Traced {
    tracefs: tempfile::TempDir,
    instance: PathBuf,
    event: &'static str,
}

impl Traced {
    /// Watches from now on what passes the filter (Documentation/trace/events.rst), `0` for all. `event`: `block/block_rq_complete`, for
    /// example.
    pub(crate) fn watch(event: &'static str, filter: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let tracefs = tempfile::tempdir().unwrap();
        let (name, flags) = (Some("tracefs"), MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID);
        mount(name, tracefs.path(), name, flags, None::<&str>).expect("needs root and tracefs");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("weir-{}-{number}", std::process::id());
        let traced = Traced {
            instance: tracefs.path().join("instances").join(name),
            tracefs,
            event,
        };
        fs::create_dir(&traced.instance).unwrap();
        traced.filter(filter);
        traced.set("enable", "1");
        traced
    }

    /// Changes what is watched from now on.
    pub(crate) fn filter(&self, filter: &str) {
        self.set("filter", filter);
    }

    /// How often it was seen, up to what the kernel's buffer holds: many thousands.
    pub(crate) fn count(&self) -> u64 {
        let text = fs::read_to_string(self.instance.join("trace")).unwrap();
        let seen = text.lines().filter(|line| !line.starts_with('#')).count();
        u64::try_from(seen).unwrap()
    }

    fn set(&self, what: &str, value: &str) {
        let path = self.instance.join("events").join(self.event).join(what);
        fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.instance);
        let _ = umount2(self.tracefs.path(), MntFlags::MNT_DETACH);
    }
}
