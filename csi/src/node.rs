//! The Node service: a granted volume becomes a device, a file system, and something that a pod has, and nothing again.
//!
//! It keeps nothing. What is there the kernel tells ([`host`], [`mountinfo`]: mounts, controllers, devices), what is granted and whether a file
//! system was ever made the API ([`source`], [`marker`]). What comes next is a function of these ([`plan`]), asked again after each step
//! ([`run`]), so that a request which was interrupted anywhere is done by making it again.
//!
//! Whatever touches a device is done in a process of its own ([`helper`]), for a bounded time: a target that is gone holds up no other
//! volume's requests, and never keeps this process from ending.

pub mod asked;
pub mod format;
pub mod health;
pub mod helper;
pub mod host;
pub mod marker;
pub mod mountinfo;
pub mod plan;
mod run;
pub mod seen;
mod service;
pub mod source;
pub mod start;
pub mod step;

pub use service::{Node, Settings};
