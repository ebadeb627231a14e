//! Lists: pages of one kind's objects, all as of one revision.

use std::ops::Bound;
use std::sync::Arc;

use super::change::Stored;
use super::history::TooOld;
use super::indexed::Indexed;
use super::key::{Key, Revision, Scope};
use super::memory::Memory;
use super::past::Past;

/// What to list.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// Of which kind, and where.
    pub of: &'a Scope,
    /// A field and its value that `keep` demands in any case: the others' objects are not looked at.
    pub hint: Option<(&'a str, &'a str)>,
    /// Only what follows this namespace and name.
    pub after: Option<&'a (String, String)>,
    /// How many objects at most; 0 for no limit.
    pub limit: usize,
    /// Which objects. Must not call the store.
    pub keep: &'a dyn Fn(&Indexed) -> bool,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// What all of the list's pages are as of.
    pub revision: Revision,
    /// The objects, by namespace and name.
    pub items: Vec<Stored>,
    /// What to ask for the next page after: namespace and name. `None` on the last page.
    pub next: Option<(String, String)>,
    /// How many objects follow, whether they would be kept or not; so it says what remains only
    /// where all are kept. `None` on the last page.
    pub remaining: Option<u64>,
}

/// A part of all keys.
pub(super) type Range = (Bound<Key>, Bound<Key>);

impl Query<'_> {
    /// The keys that can be in it. None at all if what it follows is behind its scope: a token may
    /// have come from elsewhere.
    pub(super) fn range(&self) -> Option<Range> {
        let (first, end) = (self.of.start(), self.of.end());
        let start = match self.after {
            None => Bound::Included(first),
            Some((namespace, name)) => {
                let after = Key {
                    storage: first.storage.clone(),
                    namespace: namespace.clone(),
                    name: name.clone(),
                };
                if after >= end {
                    return None;
                }
                match after < first {
                    true => Bound::Included(first),
                    false => Bound::Excluded(after),
                }
            }
        };
        Some((start, Bound::Excluded(end)))
    }

    /// A field and value that is worth an index. A name is one object's, or a few's.
    fn indexed(&self) -> Option<(&str, &str)> {
        self.hint
            .filter(|(field, _)| !field.starts_with("metadata."))
    }
}

impl Memory {
    /// The field that must be indexed before the query is answered.
    pub(super) fn lacks<'a>(&self, query: &'a Query<'_>) -> Option<&'a str> {
        let (field, value) = query.indexed()?;
        let index = self.indexes.get(&query.of.storage);
        let is_there = index.is_some_and(|index| index.keys(field, value).is_some());
        (!is_there).then_some(field)
    }

    /// A page of what is there now.
    pub(super) fn page(&self, query: &Query<'_>) -> Page {
        let objects = query.range().map(|range| self.now(query, range));
        fill(query, self.revision, objects.into_iter().flatten())
    }

    /// A page of what was there at this revision: what is there now, with all that came after undone.
    pub(super) fn page_at(&self, revision: Revision, query: &Query<'_>) -> Result<Page, TooOld> {
        if revision >= self.revision {
            return Ok(self.page(query));
        }
        let later = self.history.after(revision)?;
        let Some(range) = query.range() else {
            return Ok(fill(query, revision, std::iter::empty()));
        };
        let past = Past::new(revision, later, &range);
        let is_hinted = |object: &Stored| is_hinted(query, object);
        let others = past.others(is_hinted);
        let objects = past.merge(self.now(query, range), others, is_hinted);
        Ok(fill(query, revision, objects))
    }

    /// What is there now, in order.
    fn now<'a>(
        &'a self,
        query: &Query<'_>,
        range: Range,
    ) -> Box<dyn Iterator<Item = &'a Stored> + 'a> {
        let index = self.indexes.get(&query.of.storage);
        let hinted = query.indexed();
        let indexed = hinted.and_then(|(field, value)| index?.keys(field, value));
        match indexed {
            None => {
                let objects = self.objects.range::<Key, _>(range);
                Box::new(objects.map(|(_, object)| object))
            }
            Some(None) => Box::new(std::iter::empty()),
            Some(Some(keys)) => {
                let keys = keys.range::<Key, _>(range);
                Box::new(keys.filter_map(|key: &Arc<Key>| self.objects.get(key)))
            }
        }
    }
}

/// Whether the object is among those that the index leads to.
fn is_hinted(query: &Query<'_>, object: &Stored) -> bool {
    let hinted = query.indexed();
    hinted.is_none_or(|(field, value)| object.indexed.field(field) == value)
}

fn fill<'a>(
    query: &Query<'_>,
    revision: Revision,
    mut objects: impl Iterator<Item = &'a Stored>,
) -> Page {
    let limit = match query.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let mut items: Vec<Stored> = Vec::new();
    let mut passed = 0;
    while let Some(object) = objects.next() {
        if !(query.keep)(&object.indexed) {
            passed += u64::from(items.len() == limit);
        } else if items.len() < limit {
            items.push(object.clone());
        } else {
            let next = items.last().map(|last: &Stored| {
                let Key {
                    namespace, name, ..
                } = &*last.key;
                (namespace.clone(), name.clone())
            });
            return Page {
                revision,
                items,
                next,
                remaining: Some(passed + 1 + objects.count() as u64),
            };
        }
    }
    Page {
        revision,
        items,
        next: None,
        remaining: None,
    }
}
