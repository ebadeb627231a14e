//! Topics: which changes concern whom, so that a change costs nobody else anything.
//!
//! A topic is one kind, or one kind with one value of one field. It lists the revisions of the
//! changes that concern it; the changes themselves are in the history, once for all watchers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::change::WatchEvent;
use super::key::Revision;

/// A field and its value.
pub(super) type Hint = (String, String);

/// All topics that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Topics {
    kinds: HashMap<String, Kind>,
    /// How many revisions a topic lists at most.
    backlog: usize,
}

#[derive(Debug, Default)]
struct Kind {
    all: Option<Watched>,
    fields: HashMap<String, HashMap<String, Watched>>,
}

#[derive(Debug, Default)]
struct Watched {
    topic: Arc<Topic>,
    watchers: usize,
}

/// One topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    listed: Mutex<Listed>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Listed {
    revisions: VecDeque<Revision>,
    /// The newest that had to make room, so that who still needed it can be told.
    dropped: Revision,
}

/// One watcher's part in a topic, until dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    topics: Arc<Mutex<Topics>>,
    storage: String,
    hint: Option<Hint>,
    topic: Arc<Topic>,
}

// === impl Topics ===

impl Topics {
    pub(super) fn new(backlog: usize) -> Self {
        Self {
            kinds: HashMap::new(),
            backlog,
        }
    }

    /// Lists a change with every topic it concerns: an object that moves from one value to another
    /// concerns both. What it returns is to be woken.
    pub(super) fn tell(&self, event: &WatchEvent, touched: &mut Vec<Arc<Topic>>) {
        let Some(kind) = self.kinds.get(&event.object.key.storage) else {
            return;
        };
        let mut list = |watched: &Watched| {
            watched.topic.list(event.revision, self.backlog);
            let again = touched
                .last()
                .is_some_and(|last| Arc::ptr_eq(last, &watched.topic));
            if !again {
                touched.push(Arc::clone(&watched.topic));
            }
        };
        kind.all.iter().for_each(&mut list);
        for (field, values) in &kind.fields {
            let new = event.object.indexed.field(field);
            let old = event
                .before
                .as_ref()
                .map_or(new, |old| old.indexed.field(field));
            values.get(new).iter().for_each(|watched| list(watched));
            if old != new {
                values.get(old).iter().for_each(|watched| list(watched));
            }
        }
    }

    /// Drops what the history no longer has.
    pub(super) fn forget(&self, until: Revision) {
        for topic in self.each() {
            let mut listed = topic.listed();
            let gone = listed.revisions.partition_point(|&each| each <= until);
            let newest = listed.revisions.drain(..gone).next_back();
            listed.dropped = newest.unwrap_or(listed.dropped);
            listed.revisions.shrink_to(32);
        }
    }

    /// Wakes everybody.
    pub(super) fn wake(&self) {
        self.each().for_each(Topic::wake);
    }

    /// How many watch.
    pub(super) fn watchers(&self) -> usize {
        self.watched().map(|watched| watched.watchers).sum()
    }

    fn each(&self) -> impl Iterator<Item = &Topic> {
        self.watched().map(|watched| &*watched.topic)
    }

    fn watched(&self) -> impl Iterator<Item = &Watched> {
        self.kinds.values().flat_map(|kind| {
            let valued = kind.fields.values().flat_map(HashMap::values);
            kind.all.iter().chain(valued)
        })
    }
}

// === impl Topic ===

impl Topic {
    /// The next revisions after this one, at most so many.
    pub(super) fn after(&self, revision: Revision, most: usize) -> Result<Vec<Revision>, Behind> {
        let listed = self.listed();
        if revision < listed.dropped {
            return Err(Behind);
        }
        let from = listed.revisions.partition_point(|&each| each <= revision);
        Ok(listed.revisions.range(from..).take(most).copied().collect())
    }

    /// Resolves at the next change after it was enabled.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    fn list(&self, revision: Revision, backlog: usize) {
        let mut listed = self.listed();
        listed.revisions.push_back(revision);
        if listed.revisions.len() > backlog
            && let Some(oldest) = listed.revisions.pop_front()
        {
            listed.dropped = oldest;
        }
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was asked for had to make room.
#[derive(Debug)]
pub(super) struct Behind;

// === impl Subscription ===

impl Subscription {
    /// Joins the topic of a kind, or of one value of one of its fields.
    pub(super) fn new(topics: &Arc<Mutex<Topics>>, storage: &str, hint: Option<Hint>) -> Self {
        let mut locked = topics.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = locked.kinds.entry(storage.to_owned()).or_default();
        let watched = match &hint {
            None => kind.all.get_or_insert_default(),
            Some((field, value)) => {
                let values = kind.fields.entry(field.clone()).or_default();
                values.entry(value.clone()).or_default()
            }
        };
        watched.watchers += 1;
        Self {
            topic: Arc::clone(&watched.topic),
            topics: Arc::clone(topics),
            storage: storage.to_owned(),
            hint,
        }
    }

    pub(super) fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut locked = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kind) = locked.kinds.get_mut(&self.storage) else {
            return;
        };
        kind.leave(self.hint.as_ref());
        if kind.all.is_none() && kind.fields.is_empty() {
            locked.kinds.remove(&self.storage);
        }
    }
}

impl Kind {
    fn leave(&mut self, hint: Option<&Hint>) {
        let is_last = |watched: &mut Watched| {
            watched.watchers -= 1;
            watched.watchers == 0
        };
        let Some((field, value)) = hint else {
            self.all.take_if(is_last);
            return;
        };
        let Some(values) = self.fields.get_mut(field) else {
            return;
        };
        if values.get_mut(value).is_some_and(is_last) {
            values.remove(value);
        }
        if values.is_empty() {
            self.fields.remove(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::change::Stored;
    use super::super::indexed::Indexed;
    use super::super::key::Key;
    use super::*;

    fn event(revision: u64, pool: &str) -> WatchEvent {
        let key = Key {
            storage: "volumes".to_owned(),
            namespace: String::new(),
            name: "vol".to_owned(),
        };
        let indexed = Indexed {
            fields: [("pool".to_owned(), pool.to_owned())].into(),
            ..Indexed::default()
        };
        WatchEvent {
            revision: Revision(revision),
            object: Stored {
                key: Arc::new(key),
                bytes: Bytes::new(),
                revision: Revision(revision),
                indexed: Arc::new(indexed),
            },
            before: None,
            removed: false,
        }
    }

    fn listed(topic: &Subscription) -> Vec<u64> {
        let listed = topic.topic().listed();
        listed.revisions.iter().map(|each| each.0).collect()
    }

    /// Also where nobody reads them, numbers do not outlive the history.
    #[test]
    fn what_the_history_forgot_is_forgotten_here() {
        let topics = Arc::new(Mutex::new(Topics::new(100)));
        let hint = |pool: &str| Some(("pool".to_owned(), pool.to_owned()));
        let one = Subscription::new(&topics, "volumes", hint("a"));
        let all = Subscription::new(&topics, "volumes", None);
        let other = Subscription::new(&topics, "leases", None);
        let mut touched = Vec::new();
        let locked = topics.lock().unwrap();
        for (revision, pool) in [(2, "a"), (3, "b"), (4, "a")] {
            locked.tell(&event(revision, pool), &mut touched);
        }
        assert_eq!(listed(&one), [2, 4]);
        assert_eq!(listed(&all), [2, 3, 4]);
        assert_eq!(listed(&other), [0; 0]);
        locked.forget(Revision(3));
        assert_eq!((listed(&one), listed(&all)), (vec![4], vec![4]));
        assert!(one.topic().after(Revision(1), 9).is_err());
        assert_eq!(one.topic().after(Revision(2), 9).unwrap(), [Revision(4)]);
    }

    #[test]
    fn topics_go_with_their_last_watcher() {
        let topics = Arc::new(Mutex::new(Topics::new(100)));
        let hint = || Some(("pool".to_owned(), "a".to_owned()));
        let one = Subscription::new(&topics, "volumes", hint());
        let two = Subscription::new(&topics, "volumes", hint());
        let all = Subscription::new(&topics, "volumes", None);
        drop(one);
        assert_eq!(topics.lock().unwrap().watchers(), 2);
        drop(all);
        drop(two);
        assert!(topics.lock().unwrap().kinds.is_empty());
    }
}
