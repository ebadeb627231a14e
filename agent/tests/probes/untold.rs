//! Ends that this machine's kernel may keep from programs: those that come in an interrupt of one of the first process's threads.
//!
//! Seen on a 6.18 of a virtual machine whose first process is its supervisor: no program runs for such an end, not even one that does
//! nothing. ftrace does see them, so it says how many there were, and the tests stay exact: no more may be missing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;

use crate::traced::Traced;

/// The ends of requests to disks in interrupts of these threads.
pub(crate) struct Untold {
    traced: Traced,
    threads: RefCell<BTreeSet<String>>,
}

impl Untold {
    /// Watches all disks from now on.
    pub(crate) fn watch() -> Self {
        let threads = threads();
        Untold {
            traced: Traced::watch("block/block_rq_complete", &filter(&threads)),
            threads: RefCell::new(threads),
        }
    }

    /// How many there were so far, in all threads that the first process has, or had.
    pub(crate) fn count(&self) -> u64 {
        let mut known = self.threads.borrow_mut();
        let before = known.len();
        known.extend(threads());
        if known.len() > before {
            self.traced.filter(&filter(&known));
        }
        self.traced.count()
    }
}

fn threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/1/task").unwrap();
    tasks
        .map(|task| task.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn filter(threads: &BTreeSet<String>) -> String {
    let of: Vec<String> = threads
        .iter()
        .map(|thread| format!("common_pid == {thread}"))
        .collect();
    of.join(" || ")
}
