//! What tests and the demo do with VMs: storage nodes with an agent, consumers, load.

pub(crate) mod consumer;
pub(crate) mod control_plane;
pub(crate) mod fio;
pub(crate) mod plugin;
pub(crate) mod storage;
