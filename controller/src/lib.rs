//! Weir's controller.
#![forbid(unsafe_code)]

pub mod args;
pub mod control;
pub mod metrics;
pub mod standalone;
pub mod telemetry;
