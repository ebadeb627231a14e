//! This node, as far as the service looks at it and changes it.

mod child;
#[cfg(test)]
pub(crate) mod fake;
mod kernel;
mod look;

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::format::Found;
use super::seen::{Seen, Subject};
use super::step::{DeviceOf, Step};
use crate::failure::Failure;

pub use kernel::Kernel;
pub use look::Roots;
pub(in crate::node) use look::number;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Trouble {
    /// Somebody else has what is to be changed.
    #[error("{0}")]
    Busy(String),
    /// It did not end in time. It may be done later, or never.
    #[error("{0}")]
    Late(String),
    /// It can't be done before something else is.
    #[error("{0}")]
    Unfit(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Busy(why) => Failure::Busy(why),
            Trouble::Late(why) => Failure::Late(why),
            Trouble::Unfit(why) => Failure::Precondition(why),
            Trouble::Failed(why) => Failure::Internal(why),
        }
    }
}

/// How much of a file system is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its size in bytes.
    pub bytes: u64,
    /// Of these, what who is not root can still have.
    pub bytes_available: u64,
    /// Of these, what nobody has.
    pub bytes_free: u64,
    /// How many files it can have; 0 where there is no such limit.
    pub inodes: u64,
    /// How many more it can have.
    pub inodes_free: u64,
}

/// A node.
pub trait Host: Clone + Send + Sync + 'static {
    /// What is there. It asks no device anything: that could hang.
    fn look(&self, subject: &Subject) -> impl Future<Output = Result<Seen, Trouble>> + Send;
    /// Does one thing.
    fn act(&self, step: &Step) -> impl Future<Output = Result<(), Trouble>> + Send;
    /// What is on a device.
    fn probe(&self, device: &DeviceOf) -> impl Future<Output = Found> + Send;
    /// How full the file system at a path is.
    fn usage(&self, path: &Path) -> impl Future<Output = Result<Usage, Trouble>> + Send;
}
