//! The store: every object, durable, and what changed.

pub mod indexed;
