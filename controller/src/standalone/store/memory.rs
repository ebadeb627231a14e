//! Everything in memory: the newest objects and the history, as of one revision.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::change::{Stored, WatchEvent};
use super::history::History;
use super::index::Index;
use super::key::{Key, Revision, Scope};

/// The newest state. Only the writer changes it, and only to what is durable.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) revision: Revision,
    pub(super) objects: BTreeMap<Arc<Key>, Stored>,
    pub(super) history: History,
    /// By kind; only of those that were asked for.
    pub(super) indexes: HashMap<String, Index>,
}

impl Memory {
    pub(super) fn new(
        revision: Revision,
        objects: BTreeMap<Arc<Key>, Stored>,
        history: History,
    ) -> Self {
        Self {
            revision,
            objects,
            history,
            indexes: HashMap::new(),
        }
    }

    /// Takes in a change that is durable.
    pub(super) fn apply(&mut self, event: WatchEvent) {
        let object = &event.object;
        if let Some(index) = self.indexes.get_mut(&object.key.storage) {
            let old = event.before.as_ref().map(|old| &*old.indexed);
            let new = (!event.removed).then_some(&*object.indexed);
            index.change(&object.key, old, new);
        }
        if event.removed {
            self.objects.remove(&object.key);
        } else {
            self.objects.insert(Arc::clone(&object.key), object.clone());
        }
        self.revision = event.revision;
        self.history.push(event);
    }

    /// Indexes a field of a kind.
    pub(super) fn index(&mut self, storage: &str, field: &str) {
        let of = Scope {
            storage: storage.to_owned(),
            namespace: None,
        };
        let range = (Bound::Included(of.start()), Bound::Excluded(of.end()));
        let objects = self.objects.range::<Key, _>(range);
        let index = self.indexes.entry(of.storage).or_default();
        index.add(field, objects.map(|(_, object)| object));
    }
}
