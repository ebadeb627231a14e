//! Kernel facts that differ between kernels: looked up in BTF by the agent when it loads the
//! programs, and injected as globals of the names given here.
//!
//! rustc emits no CO-RE relocations, so no loader can patch member offsets by itself.

/// What the programs need to know, under the name of the global that receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The name of the `u32` global in the object.
    pub global: &'static str,
    /// Where BTF says it.
    pub source: Source,
}

/// Where in BTF a fact stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The byte offset of a member, which may be a dotted path through nested structs.
    Member(&'static str, &'static str),
    /// The value of an enumerator.
    Enumerator(&'static str),
    /// The size of a struct, in bytes.
    Size(&'static str),
}

/// The value of a global whose fact is not known. Programs that can do without check for it.
pub const UNKNOWN: u32 = u32::MAX;

const fn member(global: &'static str, structure: &'static str, path: &'static str) -> Fact {
    Fact {
        global,
        source: Source::Member(structure, path),
    }
}

const fn value(global: &'static str, enumerator: &'static str) -> Fact {
    Fact {
        global,
        source: Source::Enumerator(enumerator),
    }
}

/// Members that programs with typed arguments read by a load of their own, without a helper: [`placeholder`].
pub const DIRECT: [&str; 15] = [
    "BIO_BDEV",
    "BIO_OPF",
    "BIO_PRIVATE",
    "BIO_STATUS",
    "BIO_SIZE",
    "BDEV_DEV",
    "RQ_QUEUE",
    "RQ_FLAGS",
    "RQ_LENGTH",
    "RQ_BIO",
    "RQ_STARTED",
    "BIO_NEXT",
    "QUEUE_DISK",
    "DISK_MAJOR",
    "DISK_MINOR",
];

/// The first offset that stands for a member. No structure of the block layer's is that big.
const FIRST_PLACEHOLDER: i16 = 0x7f00;

/// What stands in the object in the place of a member's offset, in the instruction that loads it: the loader puts the
/// offset there. `None` if it is none of [`DIRECT`].
#[must_use]
pub const fn placeholder(global: &str) -> Option<i16> {
    let mut number = 0;
    while number < DIRECT.len() {
        if is_equal(DIRECT[number].as_bytes(), global.as_bytes()) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "15"
            )]
            return Some(FIRST_PLACEHOLDER + number as i16);
        }
        number += 1;
    }
    None
}

/// The member that a placeholder stands for: its global. An error for what looks like one and is none.
///
/// # Errors
/// The offset, if it is none.
pub fn member_at(offset: i16) -> Result<Option<&'static str>, i16> {
    if offset < FIRST_PLACEHOLDER {
        return Ok(None);
    }
    let number = usize::try_from(offset - FIRST_PLACEHOLDER).map_err(|_| offset)?;
    DIRECT.get(number).copied().map(Some).ok_or(offset)
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Operation codes, for bios and requests alike: `enum req_op`, `enum req_flag_bits`.
pub const OPERATION: &[Fact] = &[
    value("OP_READ", "REQ_OP_READ"),
    value("OP_WRITE", "REQ_OP_WRITE"),
    value("OP_FLUSH", "REQ_OP_FLUSH"),
    value("OP_DISCARD", "REQ_OP_DISCARD"),
    value("OP_SECURE_ERASE", "REQ_OP_SECURE_ERASE"),
    value("OP_ZONE_APPEND", "REQ_OP_ZONE_APPEND"),
    value("OP_WRITE_ZEROES", "REQ_OP_WRITE_ZEROES"),
    value("BIT_PREFLUSH", "__REQ_PREFLUSH"),
];

/// A bio and its device. `bi_iter` moved in 7.3, `bd_dev` in 6.12.
pub const BIO: &[Fact] = &[
    member("BIO_BDEV", "bio", "bi_bdev"),
    member("BIO_OPF", "bio", "bi_opf"),
    member("BIO_PRIVATE", "bio", "bi_private"),
    member("BIO_STATUS", "bio", "bi_status"),
    member("BIO_SIZE", "bio", "bi_iter.bi_size"),
    member("BDEV_DEV", "block_device", "bd_dev"),
];

/// The bios that a request carries.
pub const CARRIED: &[Fact] = &[
    member("RQ_BIO", "request", "bio"),
    member("BIO_NEXT", "bio", "bi_next"),
];

/// A disk's request and its device.
pub const REQUEST: &[Fact] = &[
    member("RQ_QUEUE", "request", "q"),
    member("RQ_FLAGS", "request", "cmd_flags"),
    member("RQ_LENGTH", "request", "__data_len"),
    value("BIT_FUA", "__REQ_FUA"),
    member("QUEUE_DISK", "request_queue", "disk"),
    member("DISK_MAJOR", "gendisk", "major"),
    member("DISK_MINOR", "gendisk", "first_minor"),
    member("RQ_STARTED", "request", "io_start_time_ns"),
];

/// A request of the NVMe target. `nvmet_ns.bdev` moved in 6.12, `nvmet_sq.qid` in 7.3.
pub const TARGET: &[Fact] = &[
    member("NVMET_REQ_NS", "nvmet_req", "ns"),
    member("NVMET_REQ_SQ", "nvmet_req", "sq"),
    member("NVMET_REQ_CQE", "nvmet_req", "cqe"),
    member("NVMET_REQ_LENGTH", "nvmet_req", "transfer_len"),
    member("NVMET_SQ_QID", "nvmet_sq", "qid"),
    member("NVMET_NS_BDEV", "nvmet_ns", "bdev"),
    member("TARGET_BDEV_DEV", "block_device", "bd_dev"),
];

/// The name of the host that a target's queue belongs to. Without it only the figures per initiator
/// are missing.
pub const INITIATOR: &[Fact] = &[
    member("NVMET_SQ_CTRL", "nvmet_sq", "ctrl"),
    member("NVMET_CTRL_HOSTNQN", "nvmet_ctrl", "hostnqn"),
];

/// A command of an NVMe host. Its `nvme_request` lies behind the request (`blk_mq_rq_to_pdu`), as the first member of
/// whatever a transport keeps there.
pub const HOST: &[Fact] = &[
    member("NVME_STATUS", "nvme_request", "status"),
    Fact {
        global: "RQ_SIZE",
        source: Source::Size("request"),
    },
];

/// Device mapper's copies of bios: the members of [`crate::layout::Mapper`], by their names there.
pub const MAPPER: &[Fact] = &[
    member("clone", "dm_target_io", "clone"),
    member("magic", "dm_target_io", "magic"),
    member("io", "dm_target_io", "io"),
    member("io_magic", "dm_io", "magic"),
    member("original", "dm_io", "orig_bio"),
];
