//! An index of one kind's objects by the values of its fields, so that a list of one value's objects
//! does not look at all the others.
//!
//! A field is indexed from the first list that asks for it, for most never are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::change::Stored;
use super::indexed::Indexed;
use super::key::Key;

type Keys = BTreeSet<Arc<Key>>;

/// Field → value → keys. An object whose field isn't set is among those of the empty value.
#[derive(Debug, Default)]
pub(super) struct Index {
    fields: HashMap<String, HashMap<String, Keys>>,
}

impl Index {
    /// The keys of a value, if the field is indexed.
    pub(super) fn keys(&self, field: &str, value: &str) -> Option<Option<&Keys>> {
        self.fields.get(field).map(|values| values.get(value))
    }

    /// Indexes another field of the kind's objects, which come in the order of their keys.
    pub(super) fn add<'a>(&mut self, field: &str, objects: impl Iterator<Item = &'a Stored>) {
        // Sets are built much faster from what is in order than by one insertion after another.
        let mut values: HashMap<&str, Vec<Arc<Key>>> = HashMap::new();
        for object in objects {
            let keys = values.entry(object.indexed.field(field)).or_default();
            keys.push(Arc::clone(&object.key));
        }
        let sets = values.into_iter();
        let sets = sets.map(|(value, keys)| (value.to_owned(), keys.into_iter().collect()));
        self.fields.insert(field.to_owned(), sets.collect());
    }

    /// Follows a change of an object, from what it was to what it is.
    pub(super) fn change(&mut self, key: &Arc<Key>, old: Option<&Indexed>, new: Option<&Indexed>) {
        for (field, values) in &mut self.fields {
            let old = old.map(|old| old.field(field));
            let new = new.map(|new| new.field(field));
            if old == new {
                continue;
            }
            if let Some(old) = old {
                remove(values, old, key);
            }
            if let Some(new) = new {
                insert(values, new, key);
            }
        }
    }
}

fn insert(values: &mut HashMap<String, Keys>, value: &str, key: &Arc<Key>) {
    match values.get_mut(value) {
        Some(keys) => {
            keys.insert(Arc::clone(key));
        }
        None => {
            values.insert(value.to_owned(), Keys::from([Arc::clone(key)]));
        }
    }
}

fn remove(values: &mut HashMap<String, Keys>, value: &str, key: &Arc<Key>) {
    if let Some(keys) = values.get_mut(value) {
        keys.remove(key);
        if keys.is_empty() {
            values.remove(value);
        }
    }
}
