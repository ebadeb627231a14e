//! Lists: pages of one kind's objects, all as of one revision.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use super::change::Stored;
use super::history::TooOld;
use super::indexed::Indexed;
use super::key::{Key, Revision, Scope};
use super::memory::Memory;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// What all of the list's pages are as of.
    pub revision: Revision,
    /// The objects, by namespace and name.
    pub items: Vec<Stored>,
    /// What to ask for the next page after: namespace and name. `None` on the last page.
    pub next: Option<(String, String)>,
    /// How many objects of the scope follow, whether they would be kept or not; so it says what
    /// remains only where all are kept. `None` on the last page.
    pub remaining: Option<u64>,
}

/// What to list.
pub(super) struct Query<'a> {
    pub(super) of: &'a Scope,
    pub(super) after: Option<&'a (String, String)>,
    /// 0 for no limit.
    pub(super) limit: usize,
    pub(super) keep: &'a dyn Fn(&Indexed) -> bool,
}

impl Query<'_> {
    /// Where in the order of keys it begins.
    fn start(&self) -> Bound<Key> {
        let first = self.of.start();
        let Some((namespace, name)) = self.after else {
            return Bound::Included(first);
        };
        let after = Key {
            storage: first.storage.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
        };
        // A token may have come from elsewhere: it must not lead out of the scope.
        if after < first {
            Bound::Included(first)
        } else {
            Bound::Excluded(after)
        }
    }
}

impl Memory {
    /// A page of what is there now.
    pub(super) fn page(&self, query: &Query<'_>) -> Page {
        let objects = self.range(query).map(|(_, object)| object);
        fill(query, self.revision, objects)
    }

    /// A page of what was there at this revision: what is there now, with all that came after undone.
    pub(super) fn page_at(&self, revision: Revision, query: &Query<'_>) -> Result<Page, TooOld> {
        if revision >= self.revision {
            return Ok(self.page(query));
        }
        let start = query.start();
        let mut undone: BTreeMap<&Arc<Key>, Option<&Stored>> = BTreeMap::new();
        for event in self.history.after(revision)? {
            let key = &event.object.key;
            let begun = match &start {
                Bound::Excluded(after) => **key > *after,
                _ => true,
            };
            if begun && query.of.holds(key) {
                // The first change after the revision knows what was there at it.
                undone.entry(key).or_insert(event.before.as_ref());
            }
        }
        let merged = Merged {
            now: self.range(query).peekable(),
            then: undone.into_iter().peekable(),
        };
        Ok(fill(query, revision, merged))
    }

    fn range<'a>(&'a self, query: &Query<'a>) -> impl Iterator<Item = (&'a Arc<Key>, &'a Stored)> {
        let of = query.of;
        self.objects
            .range::<Key, _>((query.start(), Bound::Unbounded))
            .take_while(move |(key, _)| of.holds(key))
    }
}

/// Two ordered views of objects as one, where what was then wins.
struct Merged<'a, N, T>
where
    N: Iterator<Item = (&'a Arc<Key>, &'a Stored)>,
    T: Iterator<Item = (&'a Arc<Key>, Option<&'a Stored>)>,
{
    now: Peekable<N>,
    then: Peekable<T>,
}

impl<'a, N, T> Iterator for Merged<'a, N, T>
where
    N: Iterator<Item = (&'a Arc<Key>, &'a Stored)>,
    T: Iterator<Item = (&'a Arc<Key>, Option<&'a Stored>)>,
{
    type Item = &'a Stored;

    fn next(&mut self) -> Option<&'a Stored> {
        loop {
            let order = match (self.now.peek(), self.then.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((now, _)), Some((then, _))) => now.cmp(then),
            };
            if order == Ordering::Less {
                return self.now.next().map(|(_, object)| object);
            }
            if order == Ordering::Equal {
                self.now.next();
            }
            if let Some((_, Some(object))) = self.then.next() {
                return Some(object);
            }
        }
    }
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
