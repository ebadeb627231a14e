//! A simulator of clusters: days in seconds, with the placement that the controller runs.
//!
//! Everything random comes from the seed, and what a strategy does changes nothing of it: all of them meet the same
//! tenants at the same moments, pools that begin to limp at the same hours, and the same weather.
#![forbid(unsafe_code)]

mod distribution;
mod draw;
mod event;
mod measure;
mod pool;
mod queue;
mod report;
pub mod scenario;
mod simulation;
mod strategy;
mod tenant;
mod world;
