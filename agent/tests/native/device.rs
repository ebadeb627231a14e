//! Block devices for the tests, which disappear with their values, also when a test fails.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of this"
)]

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_agent::probe::DevT;

const BLOCK: usize = 4096;

/// A zram device: bio-based, as logical volumes are.
pub(crate) struct Zram {
    number: u32,
}

impl Zram {
    pub(crate) fn new() -> Self {
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
        fs::write(&size, "16M").unwrap_or_else(|error| panic!("{size}: {error}"));
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
        let file = tempfile::NamedTempFile::new_in("/dev/shm").expect("needs a tmpfs at /dev/shm");
        file.as_file().set_len(16 << 20).unwrap();
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

fn dev_of(path: &Path) -> DevT {
    let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(metadata.file_type().is_block_device());
    DevT::of_rdev(metadata.rdev())
}

/// Does I/O that bypasses the page cache, one block at a time: one call, one bio.
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

    /// Blocks that are longer than one bio of this device may be.
    pub(crate) fn discard(&mut self, bytes: u64) {
        nix::ioctl_write_ptr_bad!(blkdiscard, 0x1277, [u64; 2]);
        // SAFETY: BLKDISCARD reads two u64 from the pointer: offset and length.
        unsafe { blkdiscard(self.file.as_raw_fd(), &[0, bytes]) }.unwrap();
    }
}
