//! Tables of what is in flight: sets of eight keys that share a cache line, and a value for each key.
//!
//! A hash map of the kernel's costs each I/O several times as much: a call, a lock and a list for every access. Here a program
//! looks at one cache line, and claims or gives up a place in it with one compare-and-exchange. User space maps
//! the same memory, so it takes part by the same rule: who turns a key into 0 owns the copy of the value that it made before.
//!
//! A key whose set is full stands in the other set of its pair, and is counted: nobody looks there while none does.

/// Set in a key whose value is being written. Keys are addresses of aligned structures, or device numbers in the upper half.
pub const CLAIMED: u64 = 1;

/// Keys of one set: a cache line.
pub const WAYS: u32 = 8;

/// The keys of one set; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Keys(pub [u64; WAYS as usize]);

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Table {
    /// Bios.
    Bios,
    /// Requests of disks.
    Requests,
    /// Requests of the NVMe target.
    Targets,
    /// What device numbers stand for.
    Devices,
}

/// The number of tables.
pub const TABLES: u32 = 4;

/// How many sets a table has that is to hold so many keys with room to spare: a power of two.
#[must_use]
pub const fn sets(keys: u32) -> u32 {
    let sets = keys.div_ceil(WAYS / 2);
    if sets < 2 {
        2
    } else {
        sets.next_power_of_two()
    }
}

/// The set of a key, of a power of two. Addresses differ little in their lowest bits, so the middle of a product is taken
/// (Knuth, The Art of Computer Programming, 6.4: the golden ratio as a fraction of 2^64).
#[must_use]
#[inline(always)]
pub const fn set_of(key: u64, sets: u32) -> u32 {
    ((key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32) & (sets - 1)
}

/// The other set of a pair.
#[must_use]
#[inline(always)]
pub const fn other(set: u32) -> u32 {
    set ^ 1
}

/// The key of a device number, which may be 0.
#[must_use]
#[inline(always)]
pub const fn key_of_device(dev: u32) -> u64 {
    (dev as u64) << 32 | 2
}

/// The device number of a key.
#[must_use]
pub const fn device_of_key(key: u64) -> u32 {
    (key >> 32) as u32
}
