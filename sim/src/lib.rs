//! A simulator of clusters: days in seconds, with the placement that the controller runs.
//!
//! Everything random comes from the seed, and what a strategy does changes nothing of it: all of them meet the same
//! tenants at the same moments, pools that begin to limp at the same hours, and the same weather. What is simulated is not
//! each I/O but the distribution of their latencies between two events ([`queue`]); agents tell samples of it.
//!
//! [`scenario`] has the scenarios, [`Name`] the strategies, and [`compare`](compare()) sets them side by side.
#![forbid(unsafe_code)]

mod compare;
mod distribution;
mod draw;
mod event;
mod measure;
pub mod plot;
mod pool;
mod queue;
mod report;
pub mod scenario;
mod simulation;
mod strategy;
mod tenant;
#[cfg(test)]
mod tests;
mod world;

pub use compare::{Comparison, Results, compare};
pub use measure::{Blame, Measured, Moment};
pub use strategy::{Name, run};
