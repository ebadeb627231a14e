//! Block devices themselves: what they are, who holds them, zeroing and flushing.

mod area;
pub(crate) mod direct;
mod scannable;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use weir_api::units::Bytes;

use crate::dm::Mapped;
use crate::dm::control::Control;
use crate::fail_point;
use crate::lvm::area::Area;
use crate::probe::DevT;

/// Something about a device could not be found out or done.
#[derive(Debug, Error)]
#[error("failed to {verb} `{path}`")]
pub struct DiskError {
    /// What was tried.
    pub verb: &'static str,
    /// The device.
    pub path: PathBuf,
    #[source]
    source: io::Error,
}

impl DiskError {
    /// An error while `verb`ing `path`.
    pub fn new(verb: &'static str, path: &Path, source: io::Error) -> Self {
        DiskError {
            verb,
            path: path.to_owned(),
            source,
        }
    }
}

/// What the agent does to block devices besides LVM's commands.
pub trait Disks: Send {
    /// The number of the block device at `path`.
    ///
    /// # Errors
    /// Nothing is there, or no block device.
    fn number(&self, path: &Path) -> Result<DevT, DiskError>;

    /// The node's block devices that may be looked into: no volume of Weir's, own or consumed, and
    /// nothing that is stacked on one, since what a tenant wrote is nobody's physical volume.
    ///
    /// # Errors
    /// They could not be listed.
    fn scannable(&self) -> Result<Vec<String>, DiskError>;

    /// What LVM wrote onto the physical volume at `path`, past the page cache, as LVM does.
    ///
    /// # Errors
    /// It can't be read in time, or is not laid out as known: LVM can be asked.
    fn area(&self, path: &Path) -> Result<Area, DiskError>;

    /// Every device of device mapper.
    ///
    /// # Errors
    /// It can't be asked.
    fn mapped(&self) -> Result<Vec<Mapped>, DiskError>;

    /// Checks that nobody uses the block device at `path`, and that its ends can be read.
    ///
    /// # Errors
    /// It is no block device, is mounted or held, or can't be read.
    fn check_unused(&self, path: &Path) -> Result<(), DiskError>;

    /// Returns once everything written to the device is on stable storage.
    ///
    /// # Errors
    /// It may not be.
    fn flush(&self, path: &Path) -> Result<(), DiskError>;

    /// Whether the device with this number has a write cache that loses its content with the power.
    ///
    /// # Errors
    /// It can't be told.
    fn has_volatile_cache(&self, number: DevT) -> Result<bool, DiskError>;

    /// Who uses the device with this number, for people; see [`crate::openers`].
    fn users(&self, number: DevT) -> Vec<String>;

    /// Writes back and drops what the page cache holds of the device.
    ///
    /// # Errors
    /// It may not have been dropped.
    fn drop_cache(&self, path: &Path) -> Result<(), DiskError>;
}

/// This node's devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDisks;

mod ioctl {
    //! Numbers from include/uapi/linux/fs.h.
    nix::ioctl_none_bad!(blkflsbuf, nix::request_code_none!(0x12, 97));
    nix::ioctl_write_ptr_bad!(blkzeroout, nix::request_code_none!(0x12, 127), [u64; 2]);
}

impl Disks for HostDisks {
    fn number(&self, path: &Path) -> Result<DevT, DiskError> {
        let failed = |error| DiskError::new("look up", path, error);
        let meta = std::fs::metadata(path).map_err(failed)?;
        if !meta.file_type().is_block_device() {
            return Err(failed(io::Error::other("not a block device")));
        }
        let narrow = |number: u64| u32::try_from(number).map_err(io::Error::other);
        let major = narrow(nix::sys::stat::major(meta.rdev())).map_err(failed)?;
        let minor = narrow(nix::sys::stat::minor(meta.rdev())).map_err(failed)?;
        Ok(DevT { major, minor })
    }

    fn scannable(&self) -> Result<Vec<String>, DiskError> {
        scannable::list(Path::new("/sys"))
    }

    fn area(&self, path: &Path) -> Result<Area, DiskError> {
        area::read(path).map_err(|error| DiskError::new("read LVM's metadata on", path, error))
    }

    fn mapped(&self) -> Result<Vec<Mapped>, DiskError> {
        let control = Control::new();
        control.mapped().map_err(|error| {
            DiskError::new(
                "list the devices of",
                control.path(),
                io::Error::other(error),
            )
        })
    }

    fn check_unused(&self, path: &Path) -> Result<(), DiskError> {
        let number = self.number(path)?;
        if let Some(holder) = holder_of(number) {
            let error = io::Error::other(format!("held by `{holder}`"));
            return Err(DiskError::new("claim", path, error));
        }
        // O_EXCL on a block device fails while it, or a partition of it, is mounted, is swap, or is
        // held by another driver (open(2); bd_may_claim in the kernel's block/bdev.c).
        let disk = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::fcntl::OFlag::O_EXCL.bits())
            .open(path)
            .map_err(|error| DiskError::new("claim", path, error))?;
        let failed = |error| DiskError::new("read both ends of", path, error);
        let mut buffer = vec![0; 1 << 20];
        let size = size_of(&disk).map_err(failed)?;
        if size.0 < 2 * Bytes::MIB.0 {
            return Err(failed(io::Error::other(format!("it is only {size} large"))));
        }
        disk.read_exact_at(&mut buffer, 0).map_err(failed)?;
        disk.read_exact_at(&mut buffer, size.0 - Bytes::MIB.0)
            .map_err(failed)
    }

    fn flush(&self, path: &Path) -> Result<(), DiskError> {
        // fsync(2) of a block device ends in a flush command to it (blkdev_fsync, block/fops.c),
        // through whatever descriptor; reading rights are enough.
        let flush = open_device(path, false).and_then(|disk| disk.sync_all());
        flush.map_err(|error| DiskError::new("flush", path, error))?;
        fail_point::after("flush");
        Ok(())
    }

    fn has_volatile_cache(&self, number: DevT) -> Result<bool, DiskError> {
        // `write back` or `write through` (Documentation/ABI/stable/sysfs-block); a partition's queue is
        // its disk's. Devices on top of others have the flag if one below has it.
        let device = PathBuf::from(format!("/sys/dev/block/{number}"));
        let own = device.join("queue/write_cache");
        let text = std::fs::read_to_string(&own)
            .or_else(|_| std::fs::read_to_string(device.join("../queue/write_cache")))
            .map_err(|error| DiskError::new("look up the write cache of", &own, error))?;
        Ok(text.trim() != "write through")
    }

    fn users(&self, number: DevT) -> Vec<String> {
        crate::openers::users(Path::new("/proc"), Path::new("/sys"), number)
    }

    fn drop_cache(&self, path: &Path) -> Result<(), DiskError> {
        let failed = |error| DiskError::new("drop the page cache of", path, error);
        let disk = open_device(path, false).map_err(failed)?;
        disk.sync_all().map_err(failed)?;
        // SAFETY: BLKFLSBUF takes no argument, and the descriptor is open for the call.
        unsafe { ioctl::blkflsbuf(disk.as_raw_fd()) }.map_err(|errno| failed(errno.into()))?;
        fail_point::after("drop cache");
        Ok(())
    }
}

/// Zeroes `size` bytes of the device at `path` and returns once they are on stable storage. Calls
/// `progress` with the bytes done after every chunk and stops with an error once it returns false.
///
/// # Errors
/// The device may still hold old data.
pub fn zero(
    path: &Path,
    size: Bytes,
    mut progress: impl FnMut(Bytes) -> bool,
) -> Result<(), DiskError> {
    // Large enough to cost nothing, small enough to be stopped soon on a slow disk.
    const CHUNK: u64 = 64 << 20;
    let failed = |error| DiskError::new("zero", path, error);
    let disk = open_device(path, true).map_err(failed)?;
    let mut done = 0;
    while done < size.0 {
        if !progress(Bytes(done)) {
            return Err(failed(io::Error::from(io::ErrorKind::Interrupted)));
        }
        let range = [done, CHUNK.min(size.0 - done)];
        // SAFETY: BLKZEROOUT reads two u64, start and length in bytes, which `range` holds; the
        // descriptor is open for the call.
        unsafe { ioctl::blkzeroout(disk.as_raw_fd(), &raw const range) }
            .map_err(|errno| failed(errno.into()))?;
        done += range[1];
        fail_point::beside("zeroing: chunk");
    }
    disk.sync_all().map_err(failed)?;
    fail_point::beside("zeroing: flush");
    Ok(())
}

/// Opens without O_CREAT, and makes sure that it is a block device: a plain file in /dev is what a
/// vanished device leaves behind when somebody writes to its path.
fn open_device(path: &Path, write: bool) -> io::Result<File> {
    let disk = OpenOptions::new().read(true).write(write).open(path)?;
    if disk.metadata()?.file_type().is_block_device() {
        return Ok(disk);
    }
    Err(io::Error::other("not a block device"))
}

fn size_of(disk: &File) -> io::Result<Bytes> {
    use std::io::{Seek, SeekFrom};
    let mut disk = disk;
    disk.seek(SeekFrom::End(0)).map(Bytes)
}

/// The name of a device that is stacked upon this one or a partition of it.
fn holder_of(number: DevT) -> Option<String> {
    let sysfs = PathBuf::from(format!("/sys/dev/block/{}:{}", number.major, number.minor));
    let names = |dir: &Path| -> Vec<String> {
        // No such directory: no holders; a whole disk's has partitions among its entries.
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    };
    let own = names(&sysfs.join("holders")).into_iter().next();
    own.or_else(|| {
        let parts = names(&sysfs).into_iter().map(|name| sysfs.join(name));
        let parts = parts.filter(|part| part.join("partition").exists());
        parts.flat_map(|part| names(&part.join("holders"))).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_block_device_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plain");
        std::fs::write(&file, vec![0; 4 << 20]).unwrap();
        let checks = [
            HostDisks.number(&file).map(|_| ()),
            HostDisks.area(&file).map(|_| ()),
            HostDisks.check_unused(&file),
            HostDisks.flush(&file),
            HostDisks.drop_cache(&file),
            zero(&file, Bytes::MIB, |_| true),
            HostDisks.check_unused(&dir.path().join("absent")),
        ];
        for error in checks.map(Result::unwrap_err) {
            assert!(error.path.starts_with(dir.path()), "{error}");
        }
    }
}
