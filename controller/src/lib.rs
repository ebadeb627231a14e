//! Weir's controller.
#![forbid(unsafe_code)]

pub mod args;
pub mod standalone;
