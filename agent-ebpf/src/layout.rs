//! The maps: their names, keys and values. All of them are pinned, except where said.
//!
//! Integers are in the machine's byte order; every byte of a value is a field, so that no padding
//! reaches the kernel uninitialised.

mod kinds;
mod starts;

use crate::scale::BUCKETS;
use crate::table::TABLES;

pub use kinds::{
    COPIES, FAILURES, Failure, LOSSES, Loss, OPS, Op, SIZED_OPS, SIZES, STAGES, Size, Stage,
};
pub use starts::{
    BIO_CARRIED, BIO_HELD_BACK, BIO_OF_BIO, BIO_OF_DISK, BIO_OF_IMPORT, BIO_OF_REQUEST,
    BIO_OF_VOLUME, DiskStart, IMPORT, REQUEUED, RequestStart, Span, Start, UNSEEN_NS,
    ends_by_bytes, is_io_of_volume,
};

/// Raised whenever the layout or the meaning of a pinned map changes; part of the pins' path, so that
/// an agent never reads maps of another layout.
pub const VERSION: u32 = 6;

/// The most pool disks that one node measures.
pub const MAX_DISKS: u32 = 64;

/// The longest host NQN, and its terminating NUL (NVMe Base Specification, NVMe Qualified Names).
pub const NQN_BYTES: usize = 224;

/// A histogram's buckets: shared by all CPUs, counted up with atomic additions. Histograms are given out of
/// a pool when a figure's first interval is recorded: most volumes never see most operations, and one for
/// every stage of every operation would take more than twice the room.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawHistogram {
    /// Intervals per bucket of [`crate::scale`].
    pub buckets: [u64; BUCKETS],
}

impl RawHistogram {
    /// Nothing recorded.
    pub const EMPTY: Self = Self {
        buckets: [0; BUCKETS],
    };
}

/// A series of intervals, for example one operation of one disk. It keeps its histogram
/// when its slot is given to somebody else, who begins with empty buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Figure {
    /// The sum of all intervals, in nanoseconds.
    pub sum_ns: u64,
    /// Intervals that are in no histogram, since the pool had none left.
    pub unbucketed: u64,
    /// 1 + the number of its histogram; 0 while it has none.
    pub histogram: u32,
    /// Always 0.
    pub reserved: u32,
}

/// I/Os of one volume and operation that began and ended. Written by atomic operations only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Starts that found their place in the table.
    pub started: u64,
    /// Of these, those that ended in any way: well, with an error, unseen, or refused for now (`REQ_NOWAIT`,
    /// `BLK_STS_AGAIN`), so that their submitter tries again.
    pub ended: u64,
    /// Of these, those that user space gave up, which are neither in flight nor ended. The one word that it adds to.
    pub aged: u64,
    /// The most that were in flight at once in an even and in an odd window: see [`peak`].
    pub peaks: [u64; 2],
}

/// Windows of high-water marks are so many nanoseconds long, as a power of two: 34 s.
const WINDOW_BITS: u32 = 35;

/// The window that a moment lies in, and the value for [`Counts::peaks`] at the window's number modulo 2: the greater of
/// two such values is the one to keep, whichever windows they are of.
#[must_use]
#[inline(always)]
pub const fn peak(now_ns: u64, in_flight: u64) -> (u64, u64) {
    let window = now_ns >> WINDOW_BITS;
    let most = u32::MAX as u64;
    let in_flight = if in_flight > most { most } else { in_flight };
    (window, window << 32 | in_flight)
}

impl Counts {
    /// The most that were in flight at once in the window of `now_ns` and in the one before it.
    #[must_use]
    pub fn peak(&self, now_ns: u64) -> u64 {
        let (window, _) = peak(now_ns, 0);
        let recent = self
            .peaks
            .iter()
            .filter(|peak| (**peak >> 32) + 1 >= window);
        let most = recent.map(|peak| peak & u64::from(u32::MAX)).max();
        most.unwrap_or(0)
    }
}

/// Intervals that need no histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum_ns: u64,
}

/// I/Os of one size that ended well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Sized {
    /// From their beginning to their end.
    pub total: Tally,
    /// The bytes that they moved.
    pub bytes: u64,
}

/// All that is counted of one operation of a volume, so that what one I/O changes shares few cache lines: counts and small sizes one,
/// what its time is divided into another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Account {
    /// Of each [`Stage`]: as [`Figure::histogram`].
    pub histograms: [u32; STAGES as usize],
    /// Always 0.
    pub reserved: u32,
    /// Of each [`Stage`]: as [`Figure::sum_ns`].
    pub sums_ns: [u64; STAGES as usize],
    /// Of each [`Stage`]: as [`Figure::unbucketed`].
    pub unbucketed: [u64; STAGES as usize],
    /// Always 0.
    pub reserved_too: u64,
    /// What began and ended.
    pub counts: Counts,
    /// Those that ended well, by [`Size`]: of one of the first [`SIZED_OPS`].
    pub sizes: [Sized; SIZES as usize],
    /// Always 0.
    pub reserved_still: [u64; 4],
}

impl Account {
    /// A stage's intervals.
    #[must_use]
    pub const fn figure(&self, stage: Stage) -> Figure {
        let stage = stage as usize;
        Figure {
            sum_ns: self.sums_ns[stage],
            unbucketed: self.unbucketed[stage],
            histogram: self.histograms[stage],
            reserved: 0,
        }
    }

    /// Nothing counted. Its histograms stay.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Account {
            histograms: self.histograms,
            ..Account::default()
        }
    }
}

/// What the programs look at for nearly every event, in one cache line, and one word that is written often in another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Common {
    /// The object whose programs are to act: see [`crate::handover`].
    pub object: u64,
    /// Not 0 if each request of a disk is noted when it is issued, whatever the kernel notes: so that several copies of the program
    /// that sees its end end it once.
    pub notes_requests: u64,
    /// Its own address, for programs' arithmetic.
    pub address: u64,
    /// Keys of each [`crate::table::Table`] that stand in the other set of their pair. Written by atomic additions.
    pub displaced: [u64; TABLES as usize],
    /// Always 0.
    pub reserved: u64,
    /// Keys of [`crate::table::Table::Requests`], which most often is empty. Written by atomic additions.
    pub requests: u64,
    /// Always 0.
    pub reserved_too: [u64; 7],
}

/// A slot and the generation in which it was given: a slot number alone is reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Place {
    /// Index into the arrays of its kind.
    pub slot: u32,
    /// Must equal [`Slot::generation`], else the slot belongs to somebody else by now.
    pub generation: u32,
}

impl Place {
    /// No place.
    pub const NONE: Self = Self {
        slot: u32::MAX,
        generation: 0,
    };
}

/// Who holds a slot. Pinned, so that slots keep their meaning over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slot {
    /// The holder: a volume's id, or a hash of a disk's name or of a volume and a node.
    pub id: [u8; 16],
    /// Raised whenever the slot is given away.
    pub generation: u32,
    /// 1 while somebody holds it.
    pub held: u32,
    /// 1 if the time between t1 and t4 of the volume's I/Os can be divided: every disk of its pool is measured.
    pub divided: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Bio events of the device are I/Os of its volume.
pub const VOLUME_LOCAL: u32 = 1;
/// The NVMe target's requests to the device are I/Os of its volume; bios belong to them.
pub const VOLUME_EXPORTED: u32 = 1 << 1;
/// Requests to the device are I/Os of a pool's disk.
pub const DISK_REQUESTS: u32 = 1 << 2;
/// The disk has no requests (it is bio-based): its bios are the I/Os.
pub const DISK_BIOS: u32 = 1 << 3;
/// Flushes are queued on this device for a disk with requests: the disk itself, or a partition of it.
pub const DISK_FLUSHES: u32 = 1 << 4;
/// The device is an NVMe disk through which this node uses a volume of some node's.
pub const VOLUME_IMPORTED: u32 = 1 << 5;
/// With [`VOLUME_LOCAL`]: the device has requests, as no logical volume has, but disks and loop devices.
pub const VOLUME_CARRIED: u32 = 1 << 6;

/// What a device number stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Device {
    /// Its volume, if `flags` has one of the `VOLUME_` bits.
    pub volume: Place,
    /// Its disk, if `flags` has one of the `DISK_` bits.
    pub disk: Place,
    /// `VOLUME_…` and `DISK_…` bits.
    pub flags: u32,
    /// 1 if the kernel itself notes when the device's requests are issued. Written by the programs.
    pub timed: u32,
}

/// An initiator of one volume, as the target knows it. Aligned so that clearing it takes 29 stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, align(8))]
pub struct HostKey {
    /// The volume.
    pub volume: Place,
    /// The host NQN, padded with NULs.
    pub nqn: [u8; NQN_BYTES],
}

/// Where device mapper keeps, beside each bio that it makes, the one that it made it from: a structure
/// `dm_target_io` holds the bio and leads to a `dm_io` (drivers/md/dm-core.h). The offsets come from the BTF
/// of its module, which may be loaded after the programs: so they stand in a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Mapper {
    /// 1 once the rest is known.
    pub known: u32,
    /// The bio inside `dm_target_io`.
    pub clone: u32,
    /// `dm_target_io.magic`.
    pub magic: u32,
    /// `dm_target_io.io`.
    pub io: u32,
    /// `dm_io.magic`.
    pub io_magic: u32,
    /// `dm_io.orig_bio`.
    pub original: u32,
}

/// Facts about the pins themselves, in the one element of [`maps::META`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Meta {
    /// The number of volumes that the maps were made for.
    pub max_volumes: u32,
    /// I/Os in flight that they were made for.
    pub max_starts: u32,
    /// Intervals, of any volume, that were aged out since the maps were made.
    pub aged: u64,
}

/// The maps' names.
pub mod maps {
    /// `[Meta; 1]`, written by user space only.
    pub const META: &str = "META";
    /// `[Common; 1]`
    pub const COMMON: &str = "COMMON";
    /// [`crate::table::Keys`] of [`DEVICES`], written by user space only.
    pub const DEVICE_KEYS: &str = "DEVICE_KEYS";
    /// `dev_t` → [`super::Device`]: a [`crate::table`].
    pub const DEVICES: &str = "DEVICES";
    /// [`super::Slot`] of each volume.
    pub const VOLUMES: &str = "VOLUMES";
    /// [`super::Slot`] of each disk.
    pub const DISKS: &str = "DISKS";
    /// [`super::Slot`] of each initiator.
    pub const INITIATORS: &str = "INITIATORS";
    /// [`super::HostKey`] → [`super::Place`] of the initiator.
    pub const HOSTS: &str = "HOSTS";
    /// [`super::Account`] of a volume at `slot * OPS + op`.
    pub const ACCOUNTS: &str = "ACCOUNTS";
    /// [`super::Figure`] at `slot * OPS + op`.
    pub const DISK_FIGURES: &str = "DISK_FIGURES";
    /// [`super::Figure`] at `slot * OPS + op`.
    pub const HOST_FIGURES: &str = "HOST_FIGURES";
    /// The pool of [`super::RawHistogram`]s.
    pub const HISTOGRAMS: &str = "HISTOGRAMS";
    /// `[u32; 1]`: how many of the pool are given out.
    pub const GIVEN: &str = "GIVEN";
    /// `[Mapper; 1]`, written by user space only.
    pub const MAPPER: &str = "MAPPER";
    /// [`super::Tally`] of a volume at [`super::per_failure`].
    pub const VOLUME_FAILURES: &str = "VOLUME_FAILURES";
    /// [`super::Tally`] of a disk at [`super::per_failure`].
    pub const DISK_FAILURES: &str = "DISK_FAILURES";
    /// [`super::Tally`] at `slot * OPS + op`: of I/Os that a cgroup's limit may hold back, before they are queued.
    pub const THROTTLED: &str = "THROTTLED";
    /// Per CPU: `u64` at each [`super::Loss`].
    pub const DROPPED: &str = "DROPPED";
    /// [`crate::table::Keys`] of [`BIOS`].
    pub const BIO_KEYS: &str = "BIO_KEYS";
    /// bio pointer → [`super::Start`]: a [`crate::table`].
    pub const BIOS: &str = "BIOS";
    /// [`crate::table::Keys`] of [`REQUESTS`].
    pub const REQUEST_KEYS: &str = "REQUEST_KEYS";
    /// `struct request` pointer → [`super::DiskStart`]: a [`crate::table`].
    pub const REQUESTS: &str = "REQUESTS";
    /// [`crate::table::Keys`] of [`TARGETS`].
    pub const TARGET_KEYS: &str = "TARGET_KEYS";
    /// `struct nvmet_req` pointer → [`super::RequestStart`]: a [`crate::table`].
    pub const TARGETS: &str = "TARGETS";
    /// Per CPU: `u64` at each [`crate::handover::Event`].
    pub const NOTES: &str = "NOTES";
    /// Per CPU: room for a number. Pinned like the rest.
    pub const NUMBER: &str = "NUMBER";
    /// Per CPU: room for one [`super::HostKey`], which is too big for the stack. Not worth a pin, but
    /// pinned like the rest.
    pub const SCRATCH: &str = "SCRATCH";
}

/// The index of a slot's element for one operation.
#[must_use]
#[inline(always)]
pub const fn per_op(slot: u32, op: u32) -> u32 {
    slot * OPS + op
}

/// The index of a slot's element for one operation and one way to fail.
#[must_use]
#[inline(always)]
pub const fn per_failure(slot: u32, op: u32, failure: Failure) -> u32 {
    per_op(slot, op) * FAILURES + failure as u32
}

#[cfg(feature = "user")]
mod plain {
    //! aya's permission to copy these to and from maps.
    use super::{
        Account, Common, Device, DiskStart, Figure, HostKey, Mapper, Meta, Place, RawHistogram,
        RequestStart, Slot, Start, Tally,
    };

    macro_rules! plain_data {
        ($($layout:ty),*) => {$(
            // SAFETY: repr(C), made of integers and arrays of them only, and without padding (see the
            // test `no_layout_has_padding`): every bit pattern is a value and every byte is set.
            unsafe impl aya::Pod for $layout {}
        )*};
    }
    // SAFETY: as below.
    unsafe impl aya::Pod for crate::table::Keys {}

    plain_data!(
        Account,
        Common,
        Device,
        DiskStart,
        Figure,
        HostKey,
        Mapper,
        Meta,
        Place,
        RawHistogram,
        RequestStart,
        Slot,
        Start,
        Tally
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn no_layout_has_padding() {
        assert_eq!(size_of::<RawHistogram>(), 8 * BUCKETS);
        assert_eq!(size_of::<Figure>(), 2 * 8 + 2 * 4);
        assert_eq!(size_of::<Mapper>(), 6 * 4);
        assert_eq!(size_of::<DiskStart>(), 8 + 8 + 4 + 2 * 2);
        assert_eq!(size_of::<Counts>(), 5 * 8);
        assert_eq!(size_of::<Account>(), 6 * 64);
        assert_eq!(size_of::<Common>(), 2 * 64);
        assert_eq!(size_of::<Tally>(), 2 * 8);
        assert_eq!(size_of::<Sized>(), 3 * 8);
        assert_eq!(size_of::<Place>(), 2 * 4);
        assert_eq!(size_of::<Slot>(), 16 + 4 * 4);
        assert_eq!(size_of::<Device>(), 2 * 8 + 2 * 4);
        assert_eq!(size_of::<HostKey>(), 8 + NQN_BYTES);
        assert_eq!(size_of::<Start>(), 4 * 8 + 8 + 4 + 4);
        assert_eq!(size_of::<RequestStart>(), 6 * 8 + 2 * 8 + 2 * 4);
        assert_eq!(size_of::<Meta>(), 2 * 4 + 8);
    }

    /// What an I/O of 4 KiB changes that is used on its own node.
    #[test]
    fn what_one_io_changes_lies_in_two_cache_lines() {
        let line = |offset: usize| offset / 64;
        let [queue, dm] = [Stage::Queue, Stage::Dm].map(|stage| {
            let sums = offset_of!(Account, sums_ns);
            line(sums + stage as usize * size_of::<u64>())
        });
        let histograms = line(offset_of!(Account, histograms));
        assert_eq!([queue, dm, histograms], [0; 3]);
        let counts = line(offset_of!(Account, counts));
        let sizes = offset_of!(Account, sizes);
        assert_eq!(counts, line(sizes + size_of::<Sized>() - 1));
    }

    #[test]
    fn the_peak_of_this_window_and_the_last_is_kept() {
        const WINDOW: u64 = 1 << WINDOW_BITS;
        let mut counts = Counts::default();
        let mut start = |now, in_flight| {
            let (window, value) = peak(now, in_flight);
            let kept = &mut counts.peaks[(window % 2) as usize];
            *kept = value.max(*kept);
            counts
        };
        start(WINDOW, 7);
        start(2 * WINDOW - 1, 3);
        assert_eq!(start(2 * WINDOW, 5).peak(2 * WINDOW), 7);
        assert_eq!(start(3 * WINDOW, 2).peak(3 * WINDOW), 5);
        assert_eq!(counts.peak(4 * WINDOW), 2);
        assert_eq!(counts.peak(5 * WINDOW), 0);
    }
}
