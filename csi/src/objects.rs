//! The API's objects, as far as the plugin reads and writes them.
//!
//! Each change names the version that was looked at, so that what was decided about one state is never done to another.

#[cfg(test)]
pub(crate) mod fake;
mod live;

use futures::stream::BoxStream;
use serde_json::Value;
use thiserror::Error;
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{NodeName, ObjectName};

use crate::failure::Failure;

pub use live::{ConnectError, Live};

/// What the API says instead of doing what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// The object is another than the one that was looked at, gone, or there already.
    #[error("the object was changed meanwhile")]
    Conflict,
    /// A page's token is too old, or none.
    #[error("the list has to be begun again")]
    Expired,
    /// It does not let us.
    #[error("the API does not allow it: {0}")]
    Denied(String),
    /// It takes no such object.
    #[error("the API refuses it: {0}")]
    Refused(String),
    /// It was not reached, or did not answer: whether it was done is not known.
    #[error("the API does not answer: {0}")]
    Unavailable(String),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        let message = error.to_string();
        match error {
            ApiError::Conflict | ApiError::Expired => Failure::Busy(message),
            ApiError::Denied(_) => Failure::Denied(message),
            // What we make is checked before it is sent: this is a mistake of ours.
            ApiError::Refused(_) => Failure::Internal(message),
            ApiError::Unavailable(_) => Failure::Unavailable(message),
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The objects.
    pub volumes: Vec<Volume>,
    /// What to ask for the next part with, if there is one.
    pub next: Option<String>,
}

/// A volume as it is now, then as it becomes; `None` while there is none.
pub type States = BoxStream<'static, Result<Option<Volume>, ApiError>>;

/// Volumes.
pub trait Objects: Clone + Send + Sync + 'static {
    /// A volume, if there is one of that name.
    fn get(
        &self,
        name: &ObjectName,
    ) -> impl Future<Output = Result<Option<Volume>, ApiError>> + Send;
    /// Makes one; `Conflict` where there is one of that name.
    fn create(&self, volume: Volume) -> impl Future<Output = Result<Volume, ApiError>> + Send;
    /// Merges `patch` into exactly this state of a volume.
    fn change(
        &self,
        volume: &Volume,
        patch: Value,
    ) -> impl Future<Output = Result<Volume, ApiError>> + Send;
    /// Orders the deletion of exactly this state of a volume.
    fn delete(&self, volume: &Volume) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Its states from now on.
    fn follow(&self, name: &ObjectName) -> States;
    /// At most `most` volumes (0: as many as there are), after those that `token` stands for.
    fn page(
        &self,
        most: u32,
        token: Option<String>,
    ) -> impl Future<Output = Result<Page, ApiError>> + Send;
}

/// What there is besides volumes.
pub trait Surroundings: Clone + Send + Sync + 'static {
    /// Whether the API answers.
    fn answers(&self) -> impl Future<Output = bool> + Send;
    /// Every pool.
    fn pools(&self) -> impl Future<Output = Result<Vec<StoragePool>, ApiError>> + Send;
    /// A pool.
    fn pool(
        &self,
        name: &ObjectName,
    ) -> impl Future<Output = Result<Option<StoragePool>, ApiError>> + Send;
    /// A node's labels; `None` where neither a Node nor an agent of that name is known.
    fn node(
        &self,
        name: &NodeName,
    ) -> impl Future<Output = Result<Option<Labels>, ApiError>> + Send;
}

/// Labels.
pub type Labels = std::collections::BTreeMap<String, String>;
