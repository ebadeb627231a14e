//! Weir's controller.

pub mod standalone;
