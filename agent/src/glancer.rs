//! Glances in a thread of their own: a disk that hangs holds up that thread, and the node's other pools
//! are looked at as before.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use crate::dm::Mapped;
use crate::glance::{Places, Seen};

/// How long a glance may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Glances when asked to.
#[derive(Debug)]
pub struct Glancer {
    asked: Sender<(BTreeSet<String>, Vec<Mapped>)>,
    seen: Receiver<Option<Seen>>,
    deadline: Duration,
    /// Whether the last one has not returned yet.
    is_late: bool,
}

impl Glancer {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(places: Places) -> io::Result<Self> {
        Self::with_deadline(places, DEADLINE)
    }

    fn with_deadline(places: Places, deadline: Duration) -> io::Result<Self> {
        let (asked, questions) = mpsc::channel::<(BTreeSet<String>, Vec<Mapped>)>();
        let (answers, seen) = mpsc::channel();
        let glance = move || {
            for (disks, mapped) in questions {
                if answers.send(places.glance(&disks, &mapped)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("glance".to_owned());
        thread.spawn(glance)?;
        Ok(Glancer {
            asked,
            seen,
            deadline,
            is_late: false,
        })
    }

    /// See [`Places::glance`]; `None` too while a glance hangs.
    #[must_use]
    pub fn glance(&mut self, disks: &BTreeSet<String>, mapped: Vec<Mapped>) -> Option<Seen> {
        if self.is_late {
            // What it saw is of then.
            self.seen.try_recv().ok()?;
            self.is_late = false;
        }
        self.asked.send((disks.clone(), mapped)).ok()?;
        self.seen.recv_timeout(self.deadline).unwrap_or_else(|_| {
            self.is_late = true;
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// A pipe without a writer hangs whoever opens it.
    #[test]
    fn a_disk_that_hangs_makes_glances_blind_until_it_answers() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for dir in ["requests", "record", "block"] {
            fs::create_dir(at(dir)).unwrap();
        }
        let pipe = at("disk");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let places = Places {
            requests: Some(at("requests")),
            record: at("record"),
            sysfs: root.path().to_owned(),
            target: at("target"),
        };
        let deadline = Duration::from_millis(20);
        let mut glancer = Glancer::with_deadline(places, deadline).unwrap();
        let hung = BTreeSet::from([pipe.to_string_lossy().into_owned()]);
        let none = BTreeSet::new();
        assert_eq!(glancer.glance(&hung, Vec::new()), None);
        assert_eq!(glancer.glance(&none, Vec::new()), None, "it still hangs");
        drop(File::options().write(true).open(&pipe).unwrap());
        while glancer.glance(&none, Vec::new()).is_none() {}
    }
}
