//! Reads what LVM wrote onto a disk, in a thread of its own: a disk that hangs holds up that thread, and no other is
//! started for it until it answers.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

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
    let mut options = File::options();
    let file = options.read(true).custom_flags(libc::O_DIRECT).open(path)?;
    if !file.metadata()?.file_type().is_block_device() {
        return Err(io::Error::other("not a block device"));
    }
    area::read(&|offset, length| read_at(&file, offset, length))
}

/// Aligned as O_DIRECT wants it, whatever the size of a sector.
#[repr(C, align(4096))]
struct Block([u8; BLOCK]);
const BLOCK: usize = 4096;

fn read_at(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut block = Box::new(Block([0; BLOCK]));
    let mut start = offset - offset % BLOCK as u64;
    let mut skip = usize::try_from(offset - start).map_err(io::Error::other)?;
    let mut read = Vec::with_capacity(length);
    while read.len() < length {
        file.read_exact_at(&mut block.0, start)?;
        let end = BLOCK.min(skip + length - read.len());
        read.extend_from_slice(&block.0[skip..end]);
        (start, skip) = (start + BLOCK as u64, 0);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn any_range_of_a_file_is_read() {
        let mut file = tempfile::tempfile().unwrap();
        let all: Vec<u8> = (0..251).cycle().take(3 * BLOCK).collect();
        io::Write::write_all(&mut file, &all).unwrap();
        for (offset, length) in [(0_u16, 512_u16), (4095, 2), (100, 8192), (8000, 4288)] {
            let read = read_at(&file, offset.into(), length.into()).unwrap();
            assert_eq!(read, all[offset.into()..usize::from(offset + length)]);
        }
        assert!(read_at(&file, 8192, 4097).is_err());
    }
}
