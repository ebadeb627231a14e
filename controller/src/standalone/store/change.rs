//! A change: what is asked of the store, and what comes of it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::error::StoreError;
use super::indexed::Indexed;
use super::key::{Key, Revision};

/// One object as it was at one revision. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its key.
    pub key: Arc<Key>,
    /// Its JSON, with `metadata.resourceVersion` in it.
    pub bytes: Bytes,
    /// The revision of the change that made it so.
    pub revision: Revision,
    /// What selectors look at.
    pub indexed: Arc<Indexed>,
}

/// What the caller knows of the object that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is none.
    Absent,
    /// It is of this revision.
    Revision(Revision),
}

/// A change of one object.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object is created or replaced.
    Put {
        /// Which.
        key: Key,
        /// Its new state; the store sets `metadata.resourceVersion`.
        object: Value,
        /// What selectors look at.
        indexed: Indexed,
        /// What must be there.
        expected: Expected,
    },
    /// The object goes.
    Remove {
        /// Which.
        key: Key,
        /// Its last state, as watchers are shown it; the store sets `metadata.resourceVersion` to
        /// the removal's.
        object: Value,
        /// What selectors look at.
        indexed: Indexed,
        /// The state that must be there.
        expected: Revision,
    },
}

/// Why a change was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The object is not what was expected; nothing was changed.
    #[error("the object is not what was expected")]
    Mismatch {
        /// What is there.
        current: Option<Stored>,
    },
    /// The store is closed. The change may have been made or not.
    #[error("the store is closed")]
    Closed,
    /// Writing failed. The change was neither acknowledged nor shown to anybody, but may be found
    /// when the store is opened again.
    #[error("the change could not be written")]
    Failed(#[source] Arc<StoreError>),
}

/// A change that was made, as watchers are told.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    /// The change's revision.
    pub revision: Revision,
    /// The new state; the last one if the object is gone.
    pub object: Stored,
    /// The state before, if there was one.
    pub before: Option<Stored>,
    /// Whether the object is gone.
    pub removed: bool,
}

impl WatchEvent {
    /// About what this costs in memory and in the log.
    pub(super) fn weight(&self) -> usize {
        let of = |stored: &Stored| stored.bytes.len() + stored.indexed.weight();
        size_of::<Self>() + of(&self.object) + self.before.as_ref().map_or(0, of)
    }
}
