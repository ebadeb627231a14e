//! From a disk's bio up to the volume's I/O that it is done for.
//!
//! Device mapper never passes a bio on: it makes a copy for the device below and keeps the original beside
//! it, on every level (`struct dm_target_io`, `struct dm_io`; drivers/md/dm-core.h). Both structures begin with a
//! magic number, and in the end the original must be a bio that was seen on a volume: what is no copy of
//! device mapper's is never taken for one.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use weir_agent_ebpf::layout::{Mapper, Span};

use super::facts::read_at;
use super::starts;

#[map]
static MAPPER: Array<Mapper> = Array::with_max_entries(1, 0);

/// `DM_TIO_MAGIC`, `DM_IO_MAGIC` (drivers/md/dm-core.h).
const TIO_MAGIC: u16 = 28714;
const IO_MAGIC: u16 = 19577;

/// Devices of device mapper one above the other, from the disk up to the volume: a multi-host volume's mapping, a
/// thin volume, its pool, that pool's data, and two below the pool's disk.
const LEVELS: usize = 6;

/// Stamps the I/O that a disk's bio is a part of: see [`starts::stamp`].
#[inline(always)]
pub(crate) fn stamp_bio(bio: u64, disk: Span) {
    if !starts::stamp(bio, disk) && MAPPER.get(0).is_some_and(|mapper| mapper.known == 1) {
        weir_stamp(bio, disk.first_ns, disk.last_ns);
    }
}

/// The same for the bio that this one was made from, or the one that that was made from.
///
/// Exported: see [`super::carried::each_bio`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn weir_stamp(bio: u64, first_ns: u64, last_ns: u64) -> u64 {
    let disk = Span { first_ns, last_ns };
    let mut bio = bio;
    for _ in 0..LEVELS {
        match original_of(bio) {
            Some(original) => bio = original,
            None => break,
        }
        if starts::stamp(bio, disk) {
            break;
        }
    }
    0
}

/// The bio that device mapper made this one from.
#[inline(always)]
fn original_of(bio: u64) -> Option<u64> {
    let mapper = MAPPER.get(0)?;
    let beside = |offset: u32| u64::from(offset);
    let tio = bio.wrapping_sub(beside(mapper.clone));
    if read_at::<u16>(tio.wrapping_add(beside(mapper.magic)))? != TIO_MAGIC {
        return None;
    }
    let io: u64 = read_at(tio.wrapping_add(beside(mapper.io)))?;
    if read_at::<u16>(io.wrapping_add(beside(mapper.io_magic)))? != IO_MAGIC {
        return None;
    }
    read_at(io.wrapping_add(beside(mapper.original)))
}
