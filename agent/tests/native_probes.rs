//! The probes on a running kernel that needs neither device mapper nor NVMe target: zram devices stand
//! in for logical volumes, which take bios as they are too, and loop devices for disks.
//!
//! Run by `cargo xtask test`. Needs root, a kernel with BTF, zram and loop devices, and the eBPF object
//! (`WEIR_BPF_OBJECT`) at build time; a test that lacks one of them fails and says so.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

/// The ends of so many I/Os to a loop device, of those of one test, may reach no program natively: a machine's own kernel, which may be
/// anybody's, may keep programs away from what its first process is interrupted by. Seen on 6.18: up to 10 (once 170) of 654,000 ends were
/// handled in an interrupt of one of that process's threads, of which no other tracepoint fires either. In VMs none may lack.
const UNTOLD: u64 = 2;

#[path = "probes/batch.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod batch;
#[path = "probes/bench.rs"]
mod bench;
#[path = "probes/carried.rs"]
mod carried;
#[path = "probes/continuity.rs"]
mod continuity;
#[path = "probes/device.rs"]
mod device;
#[path = "probes/disk.rs"]
mod disk;
#[path = "probes/hostile.rs"]
mod hostile;
#[path = "probes/io.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod io;
#[path = "probes/loss.rs"]
mod loss;
#[path = "probes/verifier.rs"]
mod verifier;
#[path = "probes/volume.rs"]
mod volume;
