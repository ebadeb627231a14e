//! The controller against the standalone API, with agents that are played: `cargo test -p weir-controller --test
//! control`.
//!
//! Nothing waits for a time: what is waited for is an object's state, seen by a watch. A minute without it is a
//! failure. Times that the controller itself waits are shortened.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

mod agent;
mod cluster;
mod failover;
mod health;
mod history;
mod lifecycle;
mod tombstones;
mod unplaceable;
