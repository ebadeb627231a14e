//! Drive the Linux kernel's NVMe-oF target through configfs, and its host side.
#![forbid(unsafe_code)]

pub mod change;
pub mod check;
pub mod configfs;
pub mod fake;
mod layout;
pub mod model;
pub mod nqn;
pub mod outcome;
pub mod plan;
pub mod tree;
mod unique;

pub use change::Change;
pub use check::{Check, CheckError, Violation, check};
pub use configfs::{ApplyError, Configfs, ReadError, read};
pub use model::{
    AnaGroupId, AnaState, Family, Namespace, Nsid, Port, PortId, Subsystem, Target, Transport,
};
pub use nqn::{Nqn, NqnError};
pub use outcome::Outcome;
pub use plan::plan;
pub use tree::Tree;
