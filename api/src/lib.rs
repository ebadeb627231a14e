//! Weir's API objects (group `weir.dev`, version `v1alpha1`): pure data, no I/O, no async.
//!
//! A person or a control plane writes an object's `spec`; only the agent of the node that holds the
//! pool writes its `status`. Agent, controller and CSI driver never depend on each other: they meet
//! through these types.
//!
//! - [`crd`]: the objects as a Kubernetes API has them, all that may be asked of Weir: StoragePool, Volume,
//!   Snapshot, VolumeSet, VolumeMigration, Tombstone.
//! - [`served`]: from there to what an agent of this version serves; it names what must be refused.
//! - [`pool::StoragePool`]: one volume group on one node, and the portals its exports listen on.
//! - [`volume::Volume`]: one block device carved out of a pool, and the nodes that may use it.
//! - [`names`]: how an id becomes an LV name, an NQN, a serial; each wire string stands there once.
//! - [`units`]: sizes, latencies and ratios as types; [`latency`]: what was measured, in short.
//! - [`condition`]: what there is to know about an object, with reasons that a program can match.
//! - [`orphan`]: what nobody asks for, and orders about it on an agent's local socket.
//! - [`parse`]: YAML or JSON text to an object, with errors that name the field.
#![forbid(unsafe_code)]

mod chain;
pub mod cluster;
pub mod condition;
pub mod crd;
pub mod latency;
pub mod manifest;
pub mod names;
pub mod object;
pub mod orphan;
pub mod parse;
pub mod pool;
mod schema;
pub mod served;
pub mod units;
pub mod volume;

pub use chain::chain;
pub use parse::{ParseError, Request, parse};
