//! Weir's controller.
#![forbid(unsafe_code)]

pub mod args;
pub mod metrics;
pub mod standalone;
pub mod telemetry;
