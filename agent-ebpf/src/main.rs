//! The eBPF programs: one object for every kernel from 6.1 on.
//!
//! - [`programs::bio`]: I/Os of volumes used on their own node, and t1 and t4 of exported ones.
//! - [`programs::target`]: requests of the NVMe target: t0 and t5.
//! - [`programs::request`]: a pool's disks.
//! - [`programs::initiator`]: NVMe disks through which this node uses volumes: h1 and h2.
//! - [`programs::originals`]: from a disk's bio up to the volume's I/O.
//! - [`programs::starts`]: what is in flight; [`programs::tables`]: how a table is looked into.
//! - [`programs::record`]: histograms and counters.
//! - [`programs::facts`]: what the agent found out about this kernel, and reading its structures; [`programs::typed`]: the same
//!   without calls.
//!
//! Written for the verifier of 6.1: no loops but constant ones, helpers of 5.15 at most, and kernel structures read through
//! typed pointers, or else with `bpf_probe_read_kernel`.
#![no_std]
#![no_main]
#![feature(core_intrinsics, asm_experimental_arch)]
#![expect(
    internal_features,
    reason = "the BPF target has no stable atomic addition and no stable assembly"
)]

mod programs;

/// The kernel lets only GPL-compatible programs call `bpf_probe_read_kernel`.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never reached: nothing here can panic, and the linker would keep an endless loop that
    // the verifier then refuses, so a panic that slips in is found when the object is first loaded.
    unsafe { core::hint::unreachable_unchecked() }
}
