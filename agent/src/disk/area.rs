//! Reads what LVM wrote onto a disk, in a thread of its own: a disk that hangs holds up that thread, and no other is
//! started for it until it answers.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::direct;
use crate::lvm::area::{self, Area};

/// How long it may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Disks that are being read.
static BUSY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn busy() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set is whole after each change.
    BUSY.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn read(path: &Path) -> io::Result<Area> {
    within(path, DEADLINE)
}

fn within(path: &Path, deadline: Duration) -> io::Result<Area> {
    if !busy().insert(path.to_owned()) {
        return Err(io::Error::other("an earlier read of it has not ended"));
    }
    let (tell, told) = mpsc::channel();
    let disk = path.to_owned();
    let look = move || {
        let found = look(&disk);
        busy().remove(&disk);
        // Whoever asked may have given up.
        let _gone = tell.send(found);
    };
    let thread = std::thread::Builder::new().name("lvm-area".to_owned());
    if let Err(error) = thread.spawn(look) {
        busy().remove(path);
        return Err(error);
    }
    told.recv_timeout(deadline)
        .unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late)))
}

fn look(path: &Path) -> io::Result<Area> {
    let file = direct::open(path)?;
    if !file.metadata()?.file_type().is_block_device() {
        return Err(io::Error::other("not a block device"));
    }
    area::read(&|offset, length| direct::read(&file, offset, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// A pipe without a writer hangs whoever opens it.
    #[test]
    fn a_disk_that_hangs_has_one_thread_and_others_are_read() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("disk");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let soon = Duration::from_millis(20);
        let error = within(&pipe, soon).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = within(&pipe, soon).unwrap_err();
        assert!(error.to_string().contains("earlier"), "{error}");
        drop(File::options().write(true).open(&pipe).unwrap());
        while busy().contains(&pipe) {
            std::thread::yield_now();
        }
    }
}
