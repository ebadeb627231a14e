//! The request directory, read so that no request is ever taken by half.
//!
//! Half of a request can still be a valid one, without its attachments for example, and would order
//! what nobody meant. So a file counts only once nobody wrote to it for a while and it did not
//! change while it was read; until then what is recorded goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::durable::HostFs;
use crate::requests::{Requests, is_request};

/// How long after its last change a file is taken to be complete.
pub const SETTLE: Duration = Duration::from_millis(300);
/// How long a reader waits for young files before it goes on without them.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Name, size and time of each request file.
pub type Seen = BTreeMap<String, (u64, Option<SystemTime>)>;

/// What was read.
#[derive(Debug)]
pub struct Read {
    /// The requests.
    pub requests: Requests,
    /// The files they were read from, for noticing a change.
    pub seen: Seen,
    /// Whether a file was left out and has to be read again soon.
    pub is_partial: bool,
}

/// Reads the requests in `dir`.
#[must_use]
pub fn read(dir: &Path) -> Read {
    let seen = settled(dir);
    let is_partial = std::cell::Cell::new(false);
    let is_steady = |file: &str| {
        let before = seen.get(file);
        let steady = before
            .is_some_and(|before| !is_young(before) && look_at(dir, file).as_ref() == Some(before));
        is_partial.set(is_partial.get() || !steady);
        steady
    };
    let requests = Requests::read(&HostFs, dir, &is_steady);
    let is_partial = is_partial.get();
    Read {
        requests,
        seen,
        is_partial,
    }
}

/// Looks at the names, sizes and times of all request files.
#[must_use]
pub fn look(dir: &Path) -> Seen {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let files = names.filter(|name| is_request(name));
    files
        .filter_map(|file| {
            let seen = look_at(dir, &file)?;
            Some((file, seen))
        })
        .collect()
}

fn look_at(dir: &Path, file: &str) -> Option<(u64, Option<SystemTime>)> {
    let meta = std::fs::metadata(dir.join(file)).ok()?;
    Some((meta.len(), meta.modified().ok()))
}

fn is_young((_, changed): &(u64, Option<SystemTime>)) -> bool {
    // A time in the future means that the clock was set: nothing can be learnt from it.
    let age = changed.and_then(|time| SystemTime::now().duration_since(time).ok());
    age.is_some_and(|age| age < SETTLE)
}

fn settled(dir: &Path) -> Seen {
    let give_up = Instant::now() + LONGEST_WAIT;
    loop {
        let seen = look(dir);
        if !seen.values().any(is_young) || Instant::now() >= give_up {
            return seen;
        }
        std::thread::sleep(SETTLE / 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::sync::atomic::{AtomicBool, Ordering};

    const VOLUME: &str = "{apiVersion: weir.dev/v1alpha1, kind: Volume, metadata: {name: a}, spec: \
         {id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90, capacityBytes: 1, poolName: p}}";

    /// Seen red with: `steady` in `read` made `true`.
    #[test]
    fn a_file_that_is_still_written_to_is_no_request_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, VOLUME).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_modified(SystemTime::now()).unwrap();
                    std::thread::yield_now();
                }
            });
            let read = read(dir.path());
            stop.store(true, Ordering::Relaxed);
            assert!(read.requests.volumes.is_empty() && read.is_partial);
        });
        let read = read(dir.path());
        assert!(read.requests.volumes.len() == 1 && !read.is_partial);
    }

    #[test]
    fn a_change_is_noticed_and_other_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let before = look(dir.path());
        fs::write(dir.path().join("a.yaml~"), VOLUME).unwrap();
        assert_eq!(look(dir.path()), before);
        fs::write(dir.path().join("a.yaml"), VOLUME).unwrap();
        assert_ne!(look(dir.path()), before);
    }
}
