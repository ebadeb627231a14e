//! What the agent found out about this kernel, as globals, and reading the kernel's structures.

use aya_ebpf::Global;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use weir_agent_ebpf::kernel::UNKNOWN;
use weir_agent_ebpf::layout::Op;

/// The number of this object: see `GATE`.
#[unsafe(no_mangle)]
pub(crate) static OBJECT: Global<u64> = Global::new(0);

/// Which of the copies of a program this is, from 1 on.
#[unsafe(no_mangle)]
pub(crate) static COPY: Global<u32> = Global::new(1);

macro_rules! facts {
    ($($name:ident),*) => {$(
        #[unsafe(no_mangle)]
        pub(crate) static $name: Global<u32> = Global::new(UNKNOWN);
    )*};
}
// The names are those of `weir_agent_ebpf::kernel`; the loader refuses one that is missing here.
facts!(
    OP_READ,
    OP_WRITE,
    OP_FLUSH,
    OP_DISCARD,
    OP_SECURE_ERASE,
    OP_ZONE_APPEND,
    OP_WRITE_ZEROES,
    BIT_PREFLUSH,
    BIO_BDEV,
    BIO_PRIVATE,
    BIO_SIZE,
    BDEV_DEV,
    RQ_BIO,
    BIO_NEXT,
    BIT_FUA,
    NVMET_REQ_NS,
    NVMET_REQ_SQ,
    NVMET_REQ_CQE,
    NVMET_REQ_LENGTH,
    NVMET_SQ_QID,
    NVMET_NS_BDEV,
    TARGET_BDEV_DEV,
    NVMET_SQ_CTRL,
    NVMET_CTRL_HOSTNQN,
    NVME_STATUS,
    RQ_SIZE
);

/// The low bits of a bio's or request's flags hold its operation (`REQ_OP_BITS`,
/// include/linux/blk_types.h, 6.1 to 7.3).
const OP_MASK: u32 = 0xff;

/// A member of a kernel structure.
#[inline(always)]
pub(crate) fn read<T>(base: u64, offset: &Global<u32>) -> Option<T> {
    read_at(base.wrapping_add(u64::from(offset.load())))
}

/// What stands at a kernel address.
#[inline(always)]
pub(crate) fn read_at<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address; a bad one gives an error, never a fault.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// Whether a bio's or request's flags have a bit.
#[inline(always)]
pub(crate) fn has(flags: u32, bit: &Global<u32>) -> bool {
    flags >> (bit.load() & 31) & 1 == 1
}

/// Which kind of I/O a bio's or request's flags ask for; `None` for those that are not measured.
/// `bytes` is called only where it matters: a flush travels as a write of nothing.
#[inline(always)]
pub(crate) fn op_of(flags: u32, bytes: impl FnOnce() -> Option<u32>) -> Option<Op> {
    let op = flags & OP_MASK;
    if op == OP_READ.load() {
        return Some(Op::Read);
    }
    if op == OP_WRITE.load() {
        if has(flags, &BIT_PREFLUSH) && bytes()? == 0 {
            return Some(Op::Flush);
        }
        return Some(Op::Write);
    }
    if op == OP_FLUSH.load() {
        return Some(Op::Flush);
    }
    if op == OP_DISCARD.load() || op == OP_SECURE_ERASE.load() {
        return Some(Op::Discard);
    }
    if op == OP_WRITE_ZEROES.load() {
        return Some(Op::WriteZeroes);
    }
    if op == OP_ZONE_APPEND.load() {
        return Some(Op::Write);
    }
    None
}
