//! `weir` against `weir-controller --standalone`, both as programs: `cargo xtask test api` runs it, and
//! `WEIR_CONTROLLER=… cargo test -p weir-cli --test cluster`.
//!
//! The controller is the real one; agents are played. What is waited for is an object's state, a minute at most.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

mod cluster;
mod cordons;
mod errors;
mod screen;
mod weir;
