//! The probes on a running kernel that needs neither device mapper nor NVMe target: zram devices stand
//! in for logical volumes, which take bios as they are too, and loop devices for disks.
//!
//! Run by `cargo xtask test`. Needs root, a kernel with BTF, zram and loop devices, and the eBPF object
//! (`WEIR_BPF_OBJECT`) at build time; a test that lacks one of them fails and says so.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

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
#[path = "probes/handover.rs"]
mod handover;
#[path = "probes/hostile.rs"]
mod hostile;
#[path = "probes/io.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod io;
#[path = "probes/issues.rs"]
mod issues;
#[path = "probes/loss.rs"]
mod loss;
#[path = "probes/traced.rs"]
mod traced;
#[path = "probes/untold.rs"]
mod untold;
#[path = "probes/verifier.rs"]
mod verifier;
#[path = "probes/volume.rs"]
mod volume;
