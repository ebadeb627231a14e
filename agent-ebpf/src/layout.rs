//! The maps: their names, keys and values. All of them are pinned, except where said.
//!
//! Integers are in the machine's byte order; every byte of a value is a field, so that no padding
//! reaches the kernel uninitialised.

use crate::scale::BUCKETS;

/// Raised whenever the layout or the meaning of a pinned map changes; part of the pins' path, so that
/// an agent never reads maps of another layout.
pub const VERSION: u32 = 1;

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
    /// t4−t1 of it.
    Backend,
    /// t5−t4 of it.
    Response,
    /// A bio of a volume that is used on its own node. The reader adds it to `total` and `backend`,
    /// which are the same interval there: recording it once halves the cost.
    Local,
}

/// The number of [`Stage`]s.
pub const STAGES: u32 = 5;

impl Stage {
    /// All of them, in the order of their numbers.
    pub const ALL: [Stage; STAGES as usize] = [
        Stage::Total,
        Stage::FabricWait,
        Stage::Backend,
        Stage::Response,
        Stage::Local,
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
}

/// The number of [`Loss`] reasons.
pub const LOSSES: u32 = 5;

impl Loss {
    /// All of them, in the order of their numbers.
    pub const ALL: [Loss; LOSSES as usize] = [
        Loss::TableFull,
        Loss::Superseded,
        Loss::StaleSlot,
        Loss::UnknownInitiator,
        Loss::Unreadable,
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
        }
    }
}

/// One histogram: shared by all CPUs, counted up with atomic additions.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RawHistogram {
    /// The sum of all intervals, in nanoseconds.
    pub sum_ns: u64,
    /// Intervals per bucket of [`crate::scale`].
    pub buckets: [u64; BUCKETS],
}

impl RawHistogram {
    /// Nothing recorded.
    pub const EMPTY: Self = Self {
        sum_ns: 0,
        buckets: [0; BUCKETS],
    };
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
}

/// Bio events of the device are I/Os of its volume.
pub const VOLUME_LOCAL: u32 = 1;
/// The NVMe target's requests to the device are I/Os of its volume; bios belong to them.
pub const VOLUME_EXPORTED: u32 = 1 << 1;
/// Requests to the device are I/Os of a pool's disk.
pub const DISK_REQUESTS: u32 = 1 << 2;
/// The disk has no requests (it is bio-based): its bios are the I/Os.
pub const DISK_BIOS: u32 = 1 << 3;

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

/// What an entry of [`maps::BIOS`] stands for.
pub const BIO_OF_VOLUME: u32 = 0;
/// See [`BIO_OF_VOLUME`].
pub const BIO_OF_REQUEST: u32 = 1;
/// See [`BIO_OF_VOLUME`].
pub const BIO_OF_DISK: u32 = 2;

/// A bio in flight, or a disk's request in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Start {
    /// When it was queued or issued, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// The target's request that a [`BIO_OF_REQUEST`] belongs to.
    pub request: u64,
    /// Its volume or disk.
    pub place: Place,
    /// An [`Op`].
    pub op: u32,
    /// `BIO_OF_…`; of a disk's request: 1 once it was put back into the queue.
    pub kind: u32,
}

/// A request of the NVMe target in flight. Times are `CLOCK_MONOTONIC` in nanoseconds, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestStart {
    /// t0: `nvmet_req_init`.
    pub init_ns: u64,
    /// t1: its first bio queued on the volume's device.
    pub queued_ns: u64,
    /// t4: that bio completed.
    pub done_ns: u64,
    /// That bio.
    pub bio: u64,
    /// Its volume.
    pub volume: Place,
    /// Its initiator, or [`Place::NONE`].
    pub initiator: Place,
    /// An [`Op`].
    pub op: u32,
    /// Always 0.
    pub reserved: u32,
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
    /// [`super::RawHistogram`] at [`super::volume_histogram`].
    pub const VOLUME_HIST: &str = "VOLUME_HIST";
    /// [`super::RawHistogram`] at `slot * OPS + op`.
    pub const DISK_HIST: &str = "DISK_HIST";
    /// [`super::RawHistogram`] at `slot * OPS + op`.
    pub const HOST_HIST: &str = "HOST_HIST";
    /// [`super::Counts`] at `slot * OPS + op`.
    pub const COUNTS: &str = "COUNTS";
    /// `u64` at `slot * OPS + op`: aged out, written by user space only.
    pub const AGED: &str = "AGED";
    /// Per CPU: `u64` at each [`super::Loss`].
    pub const DROPPED: &str = "DROPPED";
    /// bio pointer → [`super::Start`].
    pub const BIOS: &str = "BIOS";
    /// `struct request` pointer → [`super::Start`].
    pub const REQUESTS: &str = "REQUESTS";
    /// `struct nvmet_req` pointer → [`super::RequestStart`].
    pub const TARGETS: &str = "TARGETS";
    /// Per CPU: room for one [`super::HostKey`], which is too big for the stack. Not worth a pin, but
    /// pinned like the rest.
    pub const SCRATCH: &str = "SCRATCH";
}

/// The index of a volume's histogram.
#[must_use]
#[inline(always)]
pub const fn volume_histogram(slot: u32, op: u32, stage: Stage) -> u32 {
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
    use super::{Counts, Device, HostKey, Meta, Place, RawHistogram, RequestStart, Slot, Start};

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
        HostKey,
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
        assert_eq!(size_of::<RawHistogram>(), 8 + 8 * BUCKETS);
        assert_eq!(size_of::<Counts>(), 3 * 8);
        assert_eq!(size_of::<Place>(), 2 * 4);
        assert_eq!(size_of::<Slot>(), 16 + 2 * 4);
        assert_eq!(size_of::<Device>(), 2 * 8 + 4);
        assert_eq!(size_of::<HostKey>(), 8 + NQN_BYTES);
        assert_eq!(size_of::<Start>(), 2 * 8 + 8 + 2 * 4);
        assert_eq!(size_of::<RequestStart>(), 4 * 8 + 2 * 8 + 2 * 4);
        assert_eq!(size_of::<Meta>(), 2 * 4 + 8);
    }

    #[test]
    fn no_two_volumes_share_a_histogram() {
        let mut next = 0;
        for slot in 0..3 {
            for op in Op::ALL {
                for stage in Stage::ALL {
                    assert_eq!(volume_histogram(slot, op as u32, stage), next);
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
