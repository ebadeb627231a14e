//! Memory of maps that is the agent's own, too: what it changes while programs do.

use std::fs::File;
use std::mem::offset_of;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{MapData, MapError};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use weir_agent_ebpf::layout::{Account, Common, Counts, maps};

use super::ProbeError;

/// Single words of maps, each of which the agent writes at any time, while others beside them are the programs'.
pub(super) struct Shared {
    common: Memory,
    accounts: Memory,
}

impl Shared {
    pub(super) fn open(dir: &Path, accounts: u32) -> Result<Self, ProbeError> {
        let accounts = accounts as usize * size_of::<Account>();
        Ok(Shared {
            common: Memory::of(dir, maps::COMMON, size_of::<Common>())?,
            accounts: Memory::of(dir, maps::ACCOUNTS, accounts)?,
        })
    }

    /// [`Common::object`].
    pub(super) fn object(&self) -> &AtomicU64 {
        self.common.word(offset_of!(Common, object))
    }

    /// [`Common::notes_requests`].
    pub(super) fn notes_requests(&self) -> &AtomicU64 {
        self.common.word(offset_of!(Common, notes_requests))
    }

    /// Takes an I/O out of those in flight that an account tells of.
    pub(super) fn count_aged(&self, account: u32) {
        let aged = offset_of!(Account, counts) + offset_of!(Counts, aged);
        let word = account as usize * size_of::<Account>() + aged;
        self.accounts.word(word).fetch_add(1, Ordering::SeqCst);
    }
}

/// Where something is mapped.
pub(super) struct Memory {
    at: NonNull<std::ffi::c_void>,
    bytes: NonZeroUsize,
}

// SAFETY: it is memory of the process, reached through atomics and copies alone.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn of(dir: &Path, map: &'static str, bytes: usize) -> Result<Self, ProbeError> {
        let in_map = |source: MapError| ProbeError::Map { map, source };
        let data = MapData::from_pin(dir.join(map)).map_err(in_map)?;
        let fd = data.fd().as_fd().try_clone_to_owned();
        let map = |errno: std::io::Error| ProbeError::Memory { map, source: errno };
        let fd = File::from(fd.map_err(map)?);
        let bytes = NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN);
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: new memory, of which nobody knows yet.
        let at = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, &fd, 0) };
        let at = at.map_err(|errno| map(errno.into()))?;
        Ok(Memory { at, bytes })
    }

    /// A word that programs change by atomic operations, too.
    pub(super) fn word(&self, offset: usize) -> &AtomicU64 {
        let word = self.at(offset, size_of::<u64>()).cast();
        // SAFETY: within the mapping, at a multiple of its size; and written by atomic operations alone.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// So many bytes.
    pub(super) fn at(&self, offset: usize, bytes: usize) -> *mut u8 {
        assert!(offset + bytes <= self.bytes.get(), "outside of the map");
        // SAFETY: within the mapping.
        unsafe { self.at.cast::<u8>().as_ptr().add(offset) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and nobody borrows it any more.
        let _ = unsafe { munmap(self.at, self.bytes.get()) };
    }
}
