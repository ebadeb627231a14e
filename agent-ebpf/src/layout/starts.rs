//! What is noted of an I/O while it is in flight, in the tables.

use super::Place;

/// What an entry of [`super::maps::BIOS`] stands for: an I/O of a volume.
pub const BIO_OF_VOLUME: u8 = 0;
/// A bio of a request of the target.
pub const BIO_OF_REQUEST: u8 = 1;
/// An I/O of a disk without requests.
pub const BIO_OF_DISK: u8 = 2;
/// A bio that is chained to one of [`BIO_OF_VOLUME`].
pub const BIO_OF_BIO: u8 = 3;
/// An I/O of a volume that this node uses over NVMe.
pub const BIO_OF_IMPORT: u8 = 4;
/// A bio that a cgroup's limit may hold back: it is queued later.
pub const BIO_HELD_BACK: u8 = 5;
/// An I/O of a volume that is used on its own node and whose device has requests.
pub const BIO_CARRIED: u8 = 6;

/// Whether an entry of [`super::maps::BIOS`] is an I/O of a volume's, which has begun in its [`super::Counts`], and no part of one.
#[must_use]
#[inline(always)]
pub const fn is_io_of_volume(kind: u8) -> bool {
    matches!(kind, BIO_OF_VOLUME) || ends_by_bytes(kind)
}

/// Whether an entry of [`super::maps::BIOS`] is an I/O that requests carry: the kernel traces no end of it, so it ends with the
/// last of its bytes.
#[must_use]
#[inline(always)]
pub const fn ends_by_bytes(kind: u8) -> bool {
    matches!(kind, BIO_OF_IMPORT | BIO_CARRIED)
}

/// The disk requests of one I/O of a volume. Times are `CLOCK_MONOTONIC` in nanoseconds, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// t2: the first one issued; [`UNSEEN_NS`] if nobody noted when one of them was.
    pub first_ns: u64,
    /// t3: the last one completed.
    pub last_ns: u64,
}

/// A time that no clock tells any more: earlier than all that are noted.
pub const UNSEEN_NS: u64 = 1;

/// A bio in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Start {
    /// When it was queued, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// Its disk requests, if it is a [`BIO_OF_VOLUME`]; its NVMe commands (h1, h2), if it is a [`BIO_OF_IMPORT`].
    pub disk: Span,
    /// The target's request that a [`BIO_OF_REQUEST`] belongs to, or the bio that a [`BIO_OF_BIO`] does.
    /// Of one that [`ends_by_bytes`]: the bytes that no request has completed yet.
    pub owner: u64,
    /// Its volume or disk.
    pub place: Place,
    /// How many bytes it reads or writes.
    pub bytes: u32,
    /// An [`super::Op`].
    pub op: u8,
    /// `BIO_…`.
    pub kind: u8,
    /// 1 if the time between t1 and t4 is divided.
    pub divided: u8,
    /// How a part of it ended, as a `blk_status_t`: 0 is well. Of one that [`ends_by_bytes`].
    pub status: u8,
}

/// A disk's request in flight of which the kernel does not note when it was issued, or that was issued more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DiskStart {
    /// When it was first issued, `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// Its disk, or [`Place::NONE`].
    pub place: Place,
    /// An [`super::Op`].
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
    /// An [`super::Op`].
    pub op: u32,
    /// 1 if the time between t1 and t4 is divided.
    pub divided: u32,
}
