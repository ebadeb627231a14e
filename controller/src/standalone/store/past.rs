//! The past: what was there at a revision, from what is there now and what changed since.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::RangeBounds;

use super::change::{Stored, WatchEvent};
use super::key::{Key, Revision};
use super::list::Range;

/// What was there at a revision of everything that was changed since.
#[derive(Debug)]
pub(super) struct Past<'a> {
    revision: Revision,
    changed: HashMap<&'a Key, Changed<'a>>,
}

/// An object at the two ends of the time between; `None` where there was or is none.
#[derive(Debug)]
struct Changed<'a> {
    then: Option<&'a Stored>,
    now: Option<&'a Stored>,
}

impl<'a> Past<'a> {
    /// From the changes after the revision, as far as they are in the range.
    pub(super) fn new(
        revision: Revision,
        later: impl ExactSizeIterator<Item = &'a WatchEvent>,
        range: &Range,
    ) -> Self {
        let mut changed = HashMap::with_capacity(later.len());
        for event in later {
            let key = &*event.object.key;
            if !range.contains(key) {
                continue;
            }
            // The first change knows what was there before, the last one what is there now.
            let then = event.before.as_ref();
            let ends = changed.entry(key).or_insert(Changed { then, now: None });
            ends.now = (!event.removed).then_some(&event.object);
        }
        Self { revision, changed }
    }

    /// What was there and wanted but is not there, or not wanted, now; in order.
    pub(super) fn others(&self, is_wanted: impl Fn(&Stored) -> bool) -> Vec<&'a Stored> {
        let changed = self.changed.values();
        let mut others: Vec<_> = changed
            .filter(|ends| !ends.now.is_some_and(&is_wanted))
            .filter_map(|ends| ends.then.filter(|then| is_wanted(then)))
            .collect();
        others.sort_unstable_by_key(|then| &*then.key);
        others
    }

    /// Both together as they were, in order; without what was not wanted then.
    pub(super) fn merge(
        self,
        now: impl Iterator<Item = &'a Stored>,
        others: Vec<&'a Stored>,
        is_wanted: impl Fn(&Stored) -> bool,
    ) -> impl Iterator<Item = &'a Stored> {
        let then = now.filter_map(move |object| match object.revision <= self.revision {
            true => Some(object),
            false => {
                let then = self.changed.get(&*object.key)?.then;
                then.filter(|then| is_wanted(then))
            }
        });
        Merged {
            one: then.peekable(),
            other: others.into_iter().peekable(),
        }
    }
}

/// Two ordered lists of different objects as one.
struct Merged<A: Iterator, B: Iterator> {
    one: Peekable<A>,
    other: Peekable<B>,
}

impl<'a, A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = &'a Stored>,
    B: Iterator<Item = &'a Stored>,
{
    type Item = &'a Stored;

    fn next(&mut self) -> Option<&'a Stored> {
        let order = match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) => one.key.cmp(&other.key),
            (_, None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less | Ordering::Equal => self.one.next(),
            Ordering::Greater => self.other.next(),
        }
    }
}
