//! I/O that bypasses the page cache.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use weir_agent::probe::DevT;

pub(crate) const BLOCK: usize = 4096;

pub(crate) fn dev_of(path: &Path) -> DevT {
    let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(metadata.file_type().is_block_device());
    DevT::of_rdev(metadata.rdev())
}

/// A device, read and written one block at a time: one call, one bio.
pub(crate) struct Io {
    file: File,
    buffer: Vec<u8>,
    start: usize,
}

impl Io {
    pub(crate) fn open(path: &Path) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_DIRECT)
            .open(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let buffer = vec![0x5a; 2 * BLOCK];
        let start = buffer.as_ptr().align_offset(BLOCK);
        Io {
            file,
            buffer,
            start,
        }
    }

    pub(crate) fn write(&mut self, times: u64) {
        let block = &self.buffer[self.start..self.start + BLOCK];
        for i in 0..times {
            self.file
                .write_all_at(block, i % 1024 * BLOCK as u64)
                .unwrap();
        }
    }

    pub(crate) fn read(&mut self, times: u64) {
        let block = &mut self.buffer[self.start..self.start + BLOCK];
        for i in 0..times {
            self.file
                .read_exact_at(block, i % 1024 * BLOCK as u64)
                .unwrap();
        }
    }

    /// Writes beyond the first MiB, each of which fails.
    pub(crate) fn fail_to_write(&self, times: u64) {
        let block = &self.buffer[self.start..self.start + BLOCK];
        for i in 0..times {
            let written = self.file.write_all_at(block, (1 << 20) + i * BLOCK as u64);
            written.unwrap_err();
        }
    }

    /// A bio of direct I/O stands on the stack of its thread, whose address the kernel varies a little.
    pub(crate) fn repeat_until(&mut self, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "it never happened");
            self.write(1);
        }
    }

    pub(crate) fn discard(&self, bytes: u64) {
        nix::ioctl_write_ptr_bad!(blkdiscard, 0x1277, [u64; 2]);
        // SAFETY: BLKDISCARD reads two u64 from the pointer: offset and length.
        unsafe { blkdiscard(self.file.as_raw_fd(), &[0, bytes]) }.unwrap();
    }

    pub(crate) fn zero_out(&self, bytes: u64) {
        nix::ioctl_write_ptr_bad!(blkzeroout, 0x127f, [u64; 2]);
        // SAFETY: BLKZEROOUT reads two u64 from the pointer: offset and length.
        unsafe { blkzeroout(self.file.as_raw_fd(), &[0, bytes]) }.unwrap();
    }
}
