//! Tables, as user space uses them: see [`weir_agent_ebpf::table`]. Their memory is the programs' own.

use std::fs::File;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::Pod;
use aya::maps::{MapData, MapError};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use weir_agent_ebpf::layout::maps;
use weir_agent_ebpf::table::{CLAIMED, Fill, TABLES, WAYS, other, set_of};

use super::ProbeError;

/// A table of programs' or of the agent's.
pub(super) struct Table<V> {
    name: &'static str,
    sets: u32,
    keys: Memory,
    values: Memory,
    fills: Memory,
    number: u32,
    _values: PhantomData<V>,
}

/// Where something is mapped.
struct Memory {
    at: NonNull<std::ffi::c_void>,
    bytes: NonZeroUsize,
}

// SAFETY: it is memory of the process, reached through atomics and copies alone.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl<V: Pod> Table<V> {
    /// Opens its maps from their pins; it has so many sets.
    pub(super) fn open(
        dir: &Path,
        [keys, values]: [&'static str; 2],
        table: weir_agent_ebpf::table::Table,
        sets: u32,
    ) -> Result<Self, ProbeError> {
        let places = (sets * WAYS) as usize;
        Ok(Table {
            name: values,
            sets,
            keys: Memory::of(dir, keys, places * size_of::<u64>())?,
            values: Memory::of(dir, values, places * size_of_element::<V>())?,
            fills: Memory::of(dir, maps::FILLS, TABLES as usize * size_of::<Fill>())?,
            number: table as u32,
            _values: PhantomData,
        })
    }

    /// What is in it. Programs may change it meanwhile: then a value is one that its key had, or will have.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, V)> {
        (0..self.sets * WAYS).filter_map(|index| {
            let key = self.key(index).load(Ordering::Acquire);
            if key == 0 || key & CLAIMED != 0 {
                return None;
            }
            let value = self.value(index);
            (self.key(index).load(Ordering::Acquire) == key).then_some((key, value))
        })
    }

    /// Puts what is not there, at a place whose number it returns. Only user space puts anything into this table.
    ///
    /// # Errors
    /// If there is no room.
    pub(super) fn put(&mut self, key: u64, value: &V) -> Result<u32, ProbeError> {
        let home = set_of(key, self.sets);
        let room = ways(home)
            .chain(ways(other(home)))
            .find(|index| self.key(*index).load(Ordering::Relaxed) == 0);
        let Some(index) = room else {
            return Err(ProbeError::Full { map: self.name });
        };
        // SAFETY: the index is one of the table's, and no program reads what has no key.
        unsafe { self.at(index).write_volatile(*value) };
        if index / WAYS != home {
            self.displaced().fetch_add(1, Ordering::SeqCst);
        }
        self.key(index).store(key, Ordering::Release);
        Ok(index)
    }

    /// Takes a key out. The number of its place, if it was still there.
    pub(super) fn remove(&mut self, key: u64) -> Option<u32> {
        let home = set_of(key, self.sets);
        let index = ways(home)
            .chain(ways(other(home)))
            .find(|index| self.key(*index).load(Ordering::Acquire) == key)?;
        let taken = self
            .key(index)
            .compare_exchange(key, 0, Ordering::SeqCst, Ordering::Relaxed);
        taken.ok()?;
        if index / WAYS != home {
            self.displaced().fetch_sub(1, Ordering::SeqCst);
        }
        if self.number == weir_agent_ebpf::table::Table::Requests as u32 {
            self.fill(1).fetch_sub(1, Ordering::SeqCst);
        }
        Some(index)
    }

    fn key(&self, index: u32) -> &AtomicU64 {
        assert!(index < self.sets * WAYS, "no place of the table's");
        // SAFETY: within the mapping, which is as large as the table.
        let key = unsafe { self.keys.at.cast::<u64>().add(index as usize) };
        // SAFETY: aligned, and written by atomic operations alone.
        unsafe { AtomicU64::from_ptr(key.as_ptr()) }
    }

    fn value(&self, index: u32) -> V {
        // SAFETY: as large as the table; plain data, of which any bytes are a value.
        unsafe { self.at(index).read_volatile() }
    }

    fn at(&self, index: u32) -> *mut V {
        assert!(index < self.sets * WAYS, "no place of the table's");
        let offset = index as usize * size_of_element::<V>();
        // SAFETY: within the mapping.
        unsafe { self.values.at.cast::<u8>().as_ptr().add(offset).cast() }
    }

    fn displaced(&self) -> &AtomicU64 {
        self.fill(0)
    }

    /// A member of [`Fill`].
    fn fill(&self, member: usize) -> &AtomicU64 {
        // SAFETY: within the mapping, which has one for each table.
        let fill = unsafe { self.fills.at.cast::<Fill>().add(self.number as usize) };
        // SAFETY: as above: a `Fill` consists of `u64`s.
        let counter = unsafe { fill.cast::<u64>().add(member) };
        // SAFETY: aligned, and written by atomic operations alone.
        unsafe { AtomicU64::from_ptr(counter.as_ptr()) }
    }
}

/// The places of a set.
fn ways(set: u32) -> std::ops::Range<u32> {
    set * WAYS..(set + 1) * WAYS
}

/// An array's elements are aligned to 8 bytes (`array_map_alloc`, kernel/bpf/arraymap.c).
const fn size_of_element<V>() -> usize {
    size_of::<V>().next_multiple_of(8)
}

impl Memory {
    fn of(dir: &Path, map: &'static str, bytes: usize) -> Result<Self, ProbeError> {
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
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and nobody borrows it any more.
        let _ = unsafe { munmap(self.at, self.bytes.get()) };
    }
}
