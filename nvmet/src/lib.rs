//! Drive the Linux kernel's NVMe-oF target through configfs, and its host side.
#![forbid(unsafe_code)]

pub mod model;
pub mod nqn;

pub use model::{
    AnaGroupId, AnaState, Family, Namespace, Nsid, Port, PortId, Subsystem, Target, Transport,
};
pub use nqn::{Nqn, NqnError};
