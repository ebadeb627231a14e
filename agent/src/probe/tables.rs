//! Tables, as user space uses them: see [`weir_agent_ebpf::table`]. Their memory is the programs' own.

use std::marker::PhantomData;
use std::mem::offset_of;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::Pod;
use weir_agent_ebpf::layout::{Common, maps};
use weir_agent_ebpf::table::{CLAIMED, WAYS, other, set_of};

use super::ProbeError;
use super::shared::Memory;

/// A table of programs' or of the agent's.
pub(super) struct Table<V> {
    name: &'static str,
    sets: u32,
    keys: Memory,
    values: Memory,
    common: Memory,
    number: u32,
    _values: PhantomData<V>,
}

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
            common: Memory::of(dir, maps::COMMON, size_of::<Common>())?,
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

    /// Puts what is not there. Only user space puts anything into this table.
    ///
    /// # Errors
    /// If there is no room.
    pub(super) fn put(&mut self, key: u64, value: &V) -> Result<(), ProbeError> {
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
        Ok(())
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
            let requests = self.common.word(offset_of!(Common, requests));
            requests.fetch_sub(1, Ordering::SeqCst);
        }
        Some(index)
    }

    fn key(&self, index: u32) -> &AtomicU64 {
        self.keys.word(index as usize * size_of::<u64>())
    }

    fn value(&self, index: u32) -> V {
        // SAFETY: as large as the table; plain data, of which any bytes are a value.
        unsafe { self.at(index).read_volatile() }
    }

    fn at(&self, index: u32) -> *mut V {
        assert!(index < self.sets * WAYS, "no place of the table's");
        let offset = index as usize * size_of_element::<V>();
        self.values.at(offset, size_of::<V>()).cast()
    }

    fn displaced(&self) -> &AtomicU64 {
        let of_this = self.number as usize * size_of::<u64>();
        self.common.word(offset_of!(Common, displaced) + of_this)
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
