//! Pointers whose type the verifier knows, since they are arguments of a typed tracepoint (`tp_btf`), or stand in what such a
//! pointer leads to. They are read by plain loads: a bad address gives 0, never a fault
//! (`BPF_PROBE_MEM`, arch/x86/net/bpf_jit_comp.c), at a tenth of what a call of `bpf_probe_read_kernel` costs.

use core::arch::asm;

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use weir_agent_ebpf::kernel::placeholder;
use weir_agent_ebpf::layout::Common;

/// See [`Typed::number`].
#[map]
static NUMBER: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The offset of a member, until the loader knows it.
pub(crate) struct Member<const AT: i16>;

macro_rules! members {
    ($($name:ident),*) => {$(
        pub(crate) const $name: Member<{
            match placeholder(stringify!($name)) {
                Some(offset) => offset,
                None => panic!("not one of kernel::DIRECT"),
            }
        }> = Member;
    )*};
}
members!(
    BIO_BDEV,
    BIO_OPF,
    BIO_PRIVATE,
    BIO_STATUS,
    BIO_SIZE,
    BDEV_DEV,
    RQ_QUEUE,
    RQ_FLAGS,
    RQ_LENGTH,
    RQ_BIO,
    RQ_STARTED,
    BIO_NEXT,
    QUEUE_DISK,
    DISK_MAJOR,
    DISK_MINOR
);

/// A pointer to a kernel structure.
#[derive(Clone, Copy)]
pub(crate) struct Typed(u64);

macro_rules! load {
    ($name:ident, $type:ty, $width:literal) => {
        #[inline(always)]
        pub(crate) fn $name<const AT: i16>(self, _: Member<AT>) -> $type {
            let value: u64;
            // SAFETY: a load of what the verifier knows to be a member. It must be one instruction, whose offset the loader
            // replaces.
            unsafe {
                asm!(
                    concat!("{0} = *(", $width, " *)({1} + {2})"),
                    out(reg) value,
                    in(reg) self.0,
                    const AT,
                    options(pure, readonly, nostack, preserves_flags)
                );
            }
            value as $type
        }
    };
}

impl Typed {
    /// What the verifier takes for a typed pointer: an argument.
    #[inline(always)]
    pub(crate) fn argument(value: u64) -> Self {
        Typed(value)
    }

    load!(u8, u8, "u8");
    load!(u32, u32, "u32");
    load!(u64, u64, "u64");

    /// A pointer to another structure.
    #[inline(always)]
    pub(crate) fn pointer<const AT: i16>(self, member: Member<AT>) -> Self {
        Typed(self.u64(member))
    }

    /// A member that is a pointer to whatever, as a number: newer verifiers take it for a pointer, older ones don't. Whatever
    /// is stored in a map is a number afterwards. For one program alone, which the kernel never runs twice on one CPU at once.
    #[inline(always)]
    pub(crate) fn number<const AT: i16>(self, member: Member<AT>) -> u64 {
        let Some(room) = NUMBER.get_ptr_mut(0) else {
            return 0;
        };
        // SAFETY: the verifier has checked the pointer.
        unsafe { room.write_volatile(self.u64(member)) };
        // SAFETY: as above.
        unsafe { room.read_volatile() }
    }

    /// The address as a number, which the verifier lets no arithmetic make of a typed pointer. But the difference of two pointers
    /// is a number, and so is what was stored in a map: the address of that very place.
    #[inline(always)]
    pub(crate) fn address(self, common: *mut Common) -> u64 {
        // SAFETY: within it.
        let base = unsafe { &raw mut (*common).address };
        let difference: u64;
        // SAFETY: arithmetic alone.
        unsafe {
            asm!(
                "{0} -= {1}",
                inlateout(reg) self.0 => difference,
                in(reg) base,
                options(pure, nomem, nostack)
            );
        }
        // SAFETY: the verifier has checked the pointer. All who write it write the same.
        let mut address = unsafe { base.read_volatile() };
        if address == 0 {
            // SAFETY: as above.
            unsafe { base.cast::<*mut u64>().write_volatile(base) };
            // SAFETY: as above.
            address = unsafe { base.read_volatile() };
        }
        difference.wrapping_add(address)
    }
}
