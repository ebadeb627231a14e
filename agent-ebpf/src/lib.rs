//! What the eBPF programs and the agent share: the histogram scale, the layouts of the maps, and
//! the kernel facts that the agent looks up and hands to the programs.
//!
//! - [`scale`]: from nanoseconds to a bucket and back.
//! - [`layout`]: the maps' names, keys and values.
//! - [`shapes`]: what they cost in memory.
//! - [`table`]: the tables of what is in flight, which both sides change.
//! - [`kernel`]: the struct members and enum values that the programs must be told.
//!
//! Invariant: everything in a pinned map is described here and nowhere else. A change to the layout
//! of any pinned map, or to its meaning, raises [`layout::VERSION`].
#![no_std]

pub mod handover;
pub mod kernel;
pub mod layout;
pub mod scale;
pub mod shapes;
pub mod table;
