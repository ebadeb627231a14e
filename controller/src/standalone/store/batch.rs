//! A batch: changes that were checked and share one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use super::change::{Change, CommitError, Expected, Stored, WatchEvent};
use super::error::StoreError;
use super::indexed::Indexed;
use super::key::{Key, Revision};
use super::memory::Memory;

/// Changes that are yet to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What to write, in the order of revisions.
    pub(super) events: Vec<WatchEvent>,
    /// What to answer once it is written.
    pub(super) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// The objects' bytes.
    pub(super) bytes: usize,
    /// What was changed here, as it will be: absent if it goes.
    newest: HashMap<Arc<Key>, Option<Stored>>,
    /// For encoding.
    buffer: Vec<u8>,
}

type Answer = Result<Stored, CommitError>;

impl Batch {
    /// Checks a change against the newest state, this batch's earlier changes included, and takes
    /// it in with the next revision.
    pub(super) fn stage(&mut self, change: Change, memory: &Memory) -> Answer {
        let (key, object, indexed, expected, removed) = match change {
            Change::Put {
                key,
                object,
                indexed,
                expected,
            } => (key, object, indexed, expected, false),
            Change::Remove {
                key,
                object,
                indexed,
                expected,
            } => (key, object, indexed, Expected::Revision(expected), true),
        };
        let current = match self.newest.get(&key) {
            Some(changed) => changed.clone(),
            None => memory.objects.get(&key).cloned(),
        };
        let is_expected = match (&current, expected) {
            (None, Expected::Absent) => true,
            (Some(current), Expected::Revision(revision)) => current.revision == revision,
            _ => false,
        };
        if !is_expected {
            return Err(CommitError::Mismatch { current });
        }
        let revision = Revision(memory.revision.0 + self.events.len() as u64).next();
        let bytes = encode(&key, object, revision, &mut self.buffer)?;
        self.bytes += bytes.len();
        let stored = Stored {
            key: match &current {
                Some(current) => Arc::clone(&current.key),
                None => Arc::new(key),
            },
            bytes,
            revision,
            indexed: share(indexed, current.as_ref()),
        };
        let left = (!removed).then(|| stored.clone());
        self.newest.insert(Arc::clone(&stored.key), left);
        self.events.push(WatchEvent {
            revision,
            object: stored.clone(),
            before: current,
            removed,
        });
        Ok(stored)
    }
}

/// The object's JSON, with the revision in it.
fn encode(
    key: &Key,
    mut object: Value,
    revision: Revision,
    buffer: &mut Vec<u8>,
) -> Result<Bytes, CommitError> {
    let wrong = || {
        let key = key.to_string();
        CommitError::Failed(Arc::new(StoreError::NotAnObject { key }))
    };
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or_else(wrong)?;
    metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    // Grown in one place and copied out: what is kept for long must not leave gaps in the heap.
    buffer.clear();
    serde_json::to_writer(&mut *buffer, &object).map_err(|_| wrong())?;
    Ok(Bytes::copy_from_slice(buffer))
}

/// Most changes are of a status and leave what selectors look at as it was: then the old state's
/// is kept, which is half of an object's memory.
fn share(indexed: Indexed, current: Option<&Stored>) -> Arc<Indexed> {
    match current {
        Some(current) if *current.indexed == indexed => Arc::clone(&current.indexed),
        _ => Arc::new(indexed),
    }
}
