//! Everything in memory: the newest objects and the history, as of one revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{Stored, WatchEvent};
use super::history::History;
use super::key::{Key, Revision};

/// The newest state. Only the writer changes it, and only to what is durable.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) revision: Revision,
    pub(super) objects: BTreeMap<Arc<Key>, Stored>,
    pub(super) history: History,
}

impl Memory {
    /// Takes in a change that is durable.
    pub(super) fn apply(&mut self, event: WatchEvent) {
        if event.removed {
            self.objects.remove(&event.object.key);
        } else {
            let object = event.object.clone();
            self.objects.insert(Arc::clone(&object.key), object);
        }
        self.revision = event.revision;
        self.history.push(event);
    }
}
