//! The maps: their names, keys and values. All of them are pinned, except where said.
//!
//! Integers are in the machine's byte order; every byte of a value is a field, so that no padding
//! reaches the kernel uninitialised.

use crate::scale::BUCKETS;

/// Raised whenever the layout or the meaning of a pinned map changes; part of the pins' path, so that
/// an agent never reads maps of another layout.
pub const VERSION: u32 = 2;

/// The most pool disks that one node measures.
pub const MAX_DISKS: u32 = 64;

/// I/Os that can be in flight at once in each of the three tables of starts; a start beyond it is
/// counted as dropped ([`Loss::TableFull`]).
pub const MAX_STARTS: u32 = 16_384;

/// The longest host NQN, and its terminating NUL (NVMe Base Specification, NVMe Qualified Names).
pub const NQN_BYTES: usize = 224;

/// The kinds of I/O that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// Data from the device.
    Read,
    /// Data to the device, with or without a flush before or after it.
    Write,
    /// A flush without data.
    Flush,
    /// Discard, and secure erase.
    Discard,
    /// Write zeroes.
    WriteZeroes,
}

/// The number of [`Op`]s.
pub const OPS: u32 = 5;

impl Op {
    /// All of them, in the order of their numbers.
    pub const ALL: [Op; OPS as usize] =
        [Op::Read, Op::Write, Op::Flush, Op::Discard, Op::WriteZeroes];

    /// The value of the label `op`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Op::Read => "read",
            Op::Write => "write",
            Op::Flush => "flush",
            Op::Discard => "discard",
            Op::WriteZeroes => "write_zeroes",
        }
    }
}

/// What the programs record per volume and operation. (See `agent-ebpf/README.md` for the stamps.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// t5−t0 of an exported volume's request.
    Total,
    /// t1−t0 of it.
    FabricWait,
    /// t2−t1, if there was a disk request.
    Queue,
    /// t3−t2, if there was one.
    Device,
    /// t4−t3; t4−t1 if there was no disk request.
    Dm,
    /// t4−t1 of an exported volume's request.
    Backend,
    /// t5−t4 of it.
    Response,
    /// t4−t1 of a bio of a volume that is used on its own node. The reader adds it to `total` and
    /// `backend`, which are the same interval there: recording it once halves the cost.
    Local,
    /// h1−h0 of a volume that this node uses over NVMe, whose [`Stage::Total`] is h2−h0.
    HostQueue,
}

/// The number of [`Stage`]s.
pub const STAGES: u32 = 9;

impl Stage {
    /// All of them, in the order of their numbers.
    pub const ALL: [Stage; STAGES as usize] = [
        Stage::Total,
        Stage::FabricWait,
        Stage::Queue,
        Stage::Device,
        Stage::Dm,
        Stage::Backend,
        Stage::Response,
        Stage::Local,
        Stage::HostQueue,
    ];
}

/// Why an I/O, or its attribution, was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Loss {
    /// Its start found no room in the table.
    TableFull,
    /// Its completion was never seen: another I/O started under the same key. (The kernel skips a
    /// raw tracepoint's program when an interrupt arrives while the same program runs.)
    Superseded,
    /// It completed after its volume's or disk's slot was given away.
    StaleSlot,
    /// The request came from a host that the agent had not announced: it counts for the volume, but for no initiator.
    UnknownInitiator,
    /// A kernel structure could not be read.
    Unreadable,
    /// Not all of its disk requests' beginnings and ends were seen: it counts, but its time between t1
    /// and t4 is not divided.
    Undivided,
    /// A disk request held more bios than the programs look at; what lies behind the others may end up
    /// as [`Loss::Undivided`].
    LongRequest,
}

/// The number of [`Loss`] reasons.
pub const LOSSES: u32 = 7;

impl Loss {
    /// All of them, in the order of their numbers.
    pub const ALL: [Loss; LOSSES as usize] = [
        Loss::TableFull,
        Loss::Superseded,
        Loss::StaleSlot,
        Loss::UnknownInitiator,
        Loss::Unreadable,
        Loss::Undivided,
        Loss::LongRequest,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Loss::TableFull => "table_full",
            Loss::Superseded => "superseded",
            Loss::StaleSlot => "stale_slot",
            Loss::UnknownInitiator => "unknown_initiator",
            Loss::Unreadable => "unreadable",
            Loss::Undivided => "undivided",
            Loss::LongRequest => "long_request",
        }
    }
}

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

/// A series of intervals, for example one stage of one operation of one volume. It keeps its histogram
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

/// I/Os of one volume and operation that began, or ended otherwise than in a histogram. Written by
/// the programs only; what user space ages out stands in [`maps::AGED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Starts that found their place in the table.
    pub started: u64,
    /// Of these, those whose end was lost.
    pub dropped: u64,
    /// Of these, those that the device refused for now (`REQ_NOWAIT`, `BLK_STS_AGAIN`): their
    /// submitter tries again, and the retry is the I/O.
    pub retried: u64,
}

/// A slot and the generation in which it was given: a slot number alone is reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// What an entry of [`maps::BIOS`] stands for: an I/O of a volume.
pub const BIO_OF_VOLUME: u16 = 0;
/// A bio of a request of the target.
pub const BIO_OF_REQUEST: u16 = 1;
/// An I/O of a disk without requests.
pub const BIO_OF_DISK: u16 = 2;
/// A bio that is chained to one of [`BIO_OF_VOLUME`].
pub const BIO_OF_BIO: u16 = 3;
/// An I/O of a volume that this node uses over NVMe.
pub const BIO_OF_IMPORT: u16 = 4;

/// Whether an entry of [`maps::BIOS`] is an I/O of a volume's, which has begun in its [`Counts`], and no part of one.
#[must_use]
#[inline(always)]
pub const fn is_io_of_volume(kind: u16) -> bool {
    matches!(kind, BIO_OF_VOLUME | BIO_OF_IMPORT)
}

/// The disk requests of one I/O of a volume. Times are `CLOCK_MONOTONIC` in nanoseconds, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// t2: the first one issued.
    pub first_ns: u64,
    /// t3: the last one completed.
    pub last_ns: u64,
}

/// A bio in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Start {
    /// When it was queued, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// Its disk requests, if it is a [`BIO_OF_VOLUME`]; its NVMe commands (h1, h2), if it is a [`BIO_OF_IMPORT`].
    pub disk: Span,
    /// The target's request that a [`BIO_OF_REQUEST`] belongs to, or the bio that a [`BIO_OF_BIO`] does.
    /// Of a [`BIO_OF_IMPORT`]: the bytes that no command has completed yet.
    pub owner: u64,
    /// Its volume or disk.
    pub place: Place,
    /// An [`Op`].
    pub op: u32,
    /// `BIO_OF_…`.
    pub kind: u16,
    /// 1 if the time between t1 and t4 is divided.
    pub divided: u16,
}

/// A disk's request in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DiskStart {
    /// When it was first issued, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// Its disk.
    pub place: Place,
    /// An [`Op`].
    pub op: u32,
    /// [`REQUEUED`], [`IMPORT`] or 0.
    pub state: u32,
}

/// A disk's request that was put back into its queue.
pub const REQUEUED: u32 = 1;
/// A request to an NVMe disk through which this node uses volumes: noted so that it is completed once.
pub const IMPORT: u32 = 2;

/// A request of the NVMe target in flight. Times are `CLOCK_MONOTONIC` in nanoseconds, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestStart {
    /// t0: `nvmet_req_init`.
    pub init_ns: u64,
    /// t1: its first bio queued on the volume's device.
    pub queued_ns: u64,
    /// Its disk requests.
    pub disk: Span,
    /// t4: its first bio completed, which the others are chained to.
    pub done_ns: u64,
    /// That bio.
    pub bio: u64,
    /// Its volume.
    pub volume: Place,
    /// Its initiator, or [`Place::NONE`].
    pub initiator: Place,
    /// An [`Op`].
    pub op: u32,
    /// 1 if the time between t1 and t4 is divided.
    pub divided: u32,
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
    /// Always 0.
    pub reserved: u32,
    /// Intervals, of any volume, that were aged out since the maps were made.
    pub aged: u64,
}

/// The maps' names.
pub mod maps {
    /// `[Meta; 1]`, written by user space only.
    pub const META: &str = "META";
    /// `[u64; 1]`: the object whose programs are to act; the others return at once.
    pub const GATE: &str = "GATE";
    /// `dev_t` → [`super::Device`].
    pub const DEVICES: &str = "DEVICES";
    /// [`super::Slot`] of each volume.
    pub const VOLUMES: &str = "VOLUMES";
    /// [`super::Slot`] of each disk.
    pub const DISKS: &str = "DISKS";
    /// [`super::Slot`] of each initiator.
    pub const INITIATORS: &str = "INITIATORS";
    /// [`super::HostKey`] → [`super::Place`] of the initiator.
    pub const HOSTS: &str = "HOSTS";
    /// [`super::Figure`] at [`super::volume_figure`].
    pub const VOLUME_FIGURES: &str = "VOLUME_FIGURES";
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
    /// [`super::Counts`] at `slot * OPS + op`.
    pub const COUNTS: &str = "COUNTS";
    /// `u64` at `slot * OPS + op`: aged out, written by user space only.
    pub const AGED: &str = "AGED";
    /// Per CPU: `u64` at each [`super::Loss`].
    pub const DROPPED: &str = "DROPPED";
    /// bio pointer → [`super::Start`].
    pub const BIOS: &str = "BIOS";
    /// `struct request` pointer → [`super::DiskStart`].
    pub const REQUESTS: &str = "REQUESTS";
    /// `struct nvmet_req` pointer → [`super::RequestStart`].
    pub const TARGETS: &str = "TARGETS";
    /// Per CPU: room for one [`super::HostKey`], which is too big for the stack. Not worth a pin, but
    /// pinned like the rest.
    pub const SCRATCH: &str = "SCRATCH";
}

/// The index of a volume's figure.
#[must_use]
#[inline(always)]
pub const fn volume_figure(slot: u32, op: u32, stage: Stage) -> u32 {
    (slot * OPS + op) * STAGES + stage as u32
}

/// The index of a slot's element for one operation.
#[must_use]
#[inline(always)]
pub const fn per_op(slot: u32, op: u32) -> u32 {
    slot * OPS + op
}

#[cfg(feature = "user")]
mod plain {
    //! aya's permission to copy these to and from maps.
    use super::{
        Counts, Device, DiskStart, Figure, HostKey, Mapper, Meta, Place, RawHistogram,
        RequestStart, Slot, Start,
    };

    macro_rules! plain_data {
        ($($layout:ty),*) => {$(
            // SAFETY: repr(C), made of integers and arrays of them only, and without padding (see the
            // test `no_layout_has_padding`): every bit pattern is a value and every byte is set.
            unsafe impl aya::Pod for $layout {}
        )*};
    }
    plain_data!(
        Counts,
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
        Start
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_layout_has_padding() {
        assert_eq!(size_of::<RawHistogram>(), 8 * BUCKETS);
        assert_eq!(size_of::<Figure>(), 2 * 8 + 2 * 4);
        assert_eq!(size_of::<Mapper>(), 6 * 4);
        assert_eq!(size_of::<DiskStart>(), 8 + 8 + 2 * 4);
        assert_eq!(size_of::<Counts>(), 3 * 8);
        assert_eq!(size_of::<Place>(), 2 * 4);
        assert_eq!(size_of::<Slot>(), 16 + 4 * 4);
        assert_eq!(size_of::<Device>(), 2 * 8 + 4);
        assert_eq!(size_of::<HostKey>(), 8 + NQN_BYTES);
        assert_eq!(size_of::<Start>(), 4 * 8 + 8 + 4 + 2 * 2);
        assert_eq!(size_of::<RequestStart>(), 6 * 8 + 2 * 8 + 2 * 4);
        assert_eq!(size_of::<Meta>(), 2 * 4 + 8);
    }

    #[test]
    fn no_two_volumes_share_a_figure() {
        let mut next = 0;
        for slot in 0..3 {
            for op in Op::ALL {
                for stage in Stage::ALL {
                    assert_eq!(volume_figure(slot, op as u32, stage), next);
                    next += 1;
                }
            }
        }
    }

    #[test]
    fn labels_and_numbers_agree() {
        for (number, op) in Op::ALL.into_iter().enumerate() {
            assert_eq!(op as usize, number);
        }
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, number);
        }
        for (number, reason) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
