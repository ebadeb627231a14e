//! Weir's agent: one per node.

pub mod btf;
pub mod histogram;
pub mod metrics;
pub mod probe;
pub mod serve;
