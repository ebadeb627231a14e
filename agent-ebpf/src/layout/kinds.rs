//! What is told apart: operations, stages, reasons, failures, sizes.

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

/// What the programs record per volume and operation. (See `agent-ebpf/README.md` for the stamps.) The first ones share a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// t2−t1, if there was a disk request.
    Queue,
    /// t3−t2, if there was one.
    Device,
    /// t4−t3; t4−t1 if there was no disk request.
    Dm,
    /// t4−t1 of a bio of a volume that is used on its own node. The reader adds it to `total` and
    /// `backend`, which are the same interval there: recording it once halves the cost.
    Local,
    /// t5−t0 of an exported volume's request.
    Total,
    /// t1−t0 of it.
    FabricWait,
    /// t4−t1 of it.
    Backend,
    /// t5−t4 of it.
    Response,
    /// h1−h0 of a volume that this node uses over NVMe, whose [`Stage::Total`] is h2−h0.
    HostQueue,
}

/// The number of [`Stage`]s.
pub const STAGES: u32 = 9;

impl Stage {
    /// All of them, in the order of their numbers.
    pub const ALL: [Stage; STAGES as usize] = [
        Stage::Queue,
        Stage::Device,
        Stage::Dm,
        Stage::Local,
        Stage::Total,
        Stage::FabricWait,
        Stage::Backend,
        Stage::Response,
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
    /// When a disk's request was issued, neither the kernel nor a program noted: it is in no figure of the disk.
    IssueUnseen,
}

/// The number of [`Loss`] reasons.
pub const LOSSES: u32 = 8;

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
        Loss::IssueUnseen,
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
            Loss::IssueUnseen => "issue_unseen",
        }
    }
}

/// How often each program for an end is attached: once for each context that can interrupt another (task, softirq, hardirq).
pub const COPIES: u32 = 3;

/// How an I/O failed. (`blk_status_t`, include/linux/blk_types.h; the NVMe target answers with
/// the codes of `blk_to_nvme_status`, drivers/nvme/target/io-cmd-bdev.c.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Failure {
    /// `BLK_STS_NOTSUPP`: the device does not know the operation.
    NotSupported,
    /// `BLK_STS_TIMEOUT`.
    Timeout,
    /// `BLK_STS_NOSPC`: a thin pool is full.
    NoSpace,
    /// `BLK_STS_TRANSPORT`: the way to the device.
    Transport,
    /// `BLK_STS_MEDIUM`: the device can't read or keep the data.
    Medium,
    /// `BLK_STS_IOERR` and all others.
    Error,
}

/// The number of [`Failure`]s.
pub const FAILURES: u32 = 6;

impl Failure {
    /// All of them, in the order of their numbers.
    pub const ALL: [Failure; FAILURES as usize] = [
        Failure::NotSupported,
        Failure::Timeout,
        Failure::NoSpace,
        Failure::Transport,
        Failure::Medium,
        Failure::Error,
    ];

    /// The value of the label `status`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Failure::NotSupported => "not_supported",
            Failure::Timeout => "timeout",
            Failure::NoSpace => "no_space",
            Failure::Transport => "transport",
            Failure::Medium => "medium",
            Failure::Error => "error",
        }
    }

    /// What a `blk_status_t` says; `None` for 0.
    #[must_use]
    #[inline(always)]
    pub const fn of_block(status: u8) -> Option<Self> {
        Some(match status {
            0 => return None,
            1 => Failure::NotSupported,
            2 => Failure::Timeout,
            3 => Failure::NoSpace,
            4 => Failure::Transport,
            7 => Failure::Medium,
            _ => Failure::Error,
        })
    }

    /// What the status field of an NVMe completion says (status code and type, without phase and the bits above
    /// them); `None` for 0. Capacity Exceeded and Access Denied stand for `BLK_STS_NOSPC` and `BLK_STS_MEDIUM`.
    #[must_use]
    #[inline(always)]
    pub const fn of_nvme(status: u16) -> Option<Self> {
        Some(match status {
            0 => return None,
            0x81 => Failure::NoSpace,
            0x286 => Failure::Medium,
            _ => Failure::Error,
        })
    }
}

/// How much an I/O reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Size {
    /// At most 4 KiB.
    UpTo4K,
    /// At most 16 KiB.
    UpTo16K,
    /// At most 64 KiB.
    UpTo64K,
    /// At most 256 KiB.
    UpTo256K,
    /// More.
    More,
}

/// The number of [`Size`]s.
pub const SIZES: u32 = 5;

/// The first so many [`Op`]s have a size: reads and writes.
pub const SIZED_OPS: u32 = 2;

impl Size {
    /// All of them, in the order of their numbers.
    pub const ALL: [Size; SIZES as usize] = [
        Size::UpTo4K,
        Size::UpTo16K,
        Size::UpTo64K,
        Size::UpTo256K,
        Size::More,
    ];

    /// The value of the label `size`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Size::UpTo4K => "4KiB",
            Size::UpTo16K => "16KiB",
            Size::UpTo64K => "64KiB",
            Size::UpTo256K => "256KiB",
            Size::More => "more",
        }
    }

    /// The size of so many bytes.
    #[must_use]
    #[inline(always)]
    pub const fn of(bytes: u64) -> Self {
        match bytes {
            0..=0x1000 => Size::UpTo4K,
            0x1001..=0x4000 => Size::UpTo16K,
            0x4001..=0x1_0000 => Size::UpTo64K,
            0x1_0001..=0x4_0000 => Size::UpTo256K,
            _ => Size::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (number, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, number);
        }
        for (number, size) in Size::ALL.into_iter().enumerate() {
            assert_eq!(size as usize, number);
        }
    }

    #[test]
    fn bounds_of_sizes_are_inclusive() {
        let sizes = [0, 4 << 10, 16 << 10, 64 << 10, 256 << 10].map(Size::of);
        assert_eq!(sizes[0], Size::UpTo4K);
        assert_eq!(sizes[1..], Size::ALL[..4]);
        let sizes = [4 << 10, 16 << 10, 64 << 10, 256 << 10].map(|bytes| Size::of(bytes + 1));
        assert_eq!(sizes, Size::ALL[1..]);
    }

    #[test]
    fn what_ended_well_did_not_fail() {
        assert_eq!((Failure::of_block(0), Failure::of_nvme(0)), (None, None));
        assert_eq!(Failure::of_block(3), Failure::of_nvme(0x81));
        assert_eq!(Failure::of_block(10), Some(Failure::Error));
        assert_eq!(Failure::of_block(255), Some(Failure::Error));
    }
}
