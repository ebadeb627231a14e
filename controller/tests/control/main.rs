//! The controller against the standalone API, with agents that are played: `cargo test -p weir-controller --test
//! control`.
//!
//! Nothing waits for a time: what is waited for is an object's state, seen by a watch. A minute without it is a
//! failure. Times that the controller itself waits are shortened.

mod agent;
mod cluster;
mod failover;
mod health;
mod history;
mod lifecycle;
mod unplaceable;
