//! The VM harness: any number of VMs, networked with each other, on Debian's own kernels.
//!
//! - [`machine::Machine`] is one running QEMU; it ends with its owner, whatever happens to that.
//! - [`guest::Guest`] runs commands inside, through QEMU's own guest agent.
//! - [`network::Network`] joins the VMs.
//! - [`disk::Disk`] may lose what was not flushed when the power is cut.
//! - [`accel`] finds out whether KVM works; else the guests are emulated.

pub(crate) mod accel;
pub(crate) mod disk;
pub(crate) mod guest;
pub(crate) mod machine;
pub(crate) mod network;
pub(crate) mod payload;
pub(crate) mod shell;
pub(crate) mod write_log;
