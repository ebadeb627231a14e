//! `weir-csi` against `weir-controller --standalone`, both as programs, with agents that are played:
//! `WEIR_CONTROLLER=… cargo test -p weir-csi --test sidecars`.
//!
//! What is waited for is an object's state, a minute at most.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

mod agent;
mod cluster;
mod flows;
mod interrupted;
mod plugin;
mod versions;
