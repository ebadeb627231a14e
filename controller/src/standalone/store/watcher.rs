//! A watcher: one reader of the history, with a position of its own.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use super::change::WatchEvent;
use super::history::TooOld;
use super::indexed::Indexed;
use super::key::{Revision, Scope};
use super::memory::Memory;
use super::shared::Shared;
use super::topic::{Behind, Hint, Subscription};

/// How many changes are taken at a time: few, for they are kept alive until they are read.
const TAKEN: usize = 16;

/// How many changes of the past are looked at in one hold of the lock.
const LOOKED_AT: usize = 4_096;

/// What a watcher is told about: whoever was or is such.
pub type Filter = Arc<dyn Fn(&Indexed) -> bool + Send + Sync>;

/// Why a watcher is told nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// It was so slow that what it has to read next is no longer kept.
    #[error("the watcher was too slow")]
    Lagged,
    /// The store is closed, and everything was told.
    #[error("the store is closed")]
    Closed,
}

/// Tells what changed in a scope: in the order of revisions, without a gap.
pub struct Watcher {
    shared: Arc<Shared>,
    subscription: Subscription,
    scope: Scope,
    filter: Filter,
    /// Everything up to here was taken.
    position: Revision,
    /// Up to here the topic may not know everything, for it may be younger: the history is read.
    past: Revision,
    taken: VecDeque<WatchEvent>,
    /// The last that was told.
    told: Revision,
}

impl Watcher {
    pub(super) fn new(
        shared: &Arc<Shared>,
        scope: Scope,
        from: Revision,
        filter: Filter,
        hint: Option<Hint>,
    ) -> Result<Self, TooOld> {
        // With the lock, nothing is published between joining the topic and reading the revision.
        let memory = shared.memory();
        drop(memory.history.after(from)?);
        Ok(Self {
            shared: Arc::clone(shared),
            subscription: Subscription::new(shared.topics(), &scope.storage, hint),
            scope,
            filter,
            position: from,
            past: memory.revision,
            taken: VecDeque::new(),
            told: from,
        })
    }

    /// The next change. May be given up and called again: nothing is lost.
    pub async fn next(&mut self) -> Result<WatchEvent, WatchEnd> {
        loop {
            // Enabled first and looked after, so that nothing falls between.
            let topic = Arc::clone(self.subscription.topic());
            let mut changed = pin!(topic.changed());
            changed.as_mut().enable();
            let is_closed = self.shared.is_closed();
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            if is_closed {
                return Err(WatchEnd::Closed);
            }
            changed.await;
        }
    }

    /// The next change if there is one now.
    pub fn try_next(&mut self) -> Result<Option<WatchEvent>, WatchEnd> {
        while self.taken.is_empty() {
            if !self.take()? {
                return Ok(None);
            }
        }
        let event = self.taken.pop_front();
        if let Some(event) = &event {
            self.told = event.revision;
        }
        Ok(event)
    }

    /// The newest revision up to which everything that concerns this watcher was told: what a
    /// bookmark may say.
    pub fn position(&mut self) -> Result<Revision, WatchEnd> {
        while self.taken.is_empty() {
            if !self.take()? {
                return Ok(self.position);
            }
        }
        Ok(self.told)
    }

    /// Takes what comes next; false if there is nothing now.
    fn take(&mut self) -> Result<bool, WatchEnd> {
        let shared = Arc::clone(&self.shared);
        let memory = shared.memory();
        if self.position < self.past {
            self.take_past(&memory)?;
            return Ok(true);
        }
        let revisions = self.subscription.topic().after(self.position, TAKEN);
        let revisions = revisions.map_err(|Behind| WatchEnd::Lagged)?;
        let is_last = revisions.len() < TAKEN;
        for revision in revisions {
            let event = memory.history.get(revision).ok_or(WatchEnd::Lagged)?;
            self.look_at(event);
        }
        if is_last {
            // A watch may begin after a revision that is still to come.
            self.position = self.position.max(memory.revision);
        }
        Ok(!is_last || !self.taken.is_empty())
    }

    /// Takes from the history what was before the topic was joined.
    fn take_past(&mut self, memory: &Memory) -> Result<(), WatchEnd> {
        let events = memory.history.after(self.position);
        for event in events.map_err(|_| WatchEnd::Lagged)?.take(LOOKED_AT) {
            if event.revision > self.past || self.taken.len() == TAKEN {
                break;
            }
            self.look_at(event);
        }
        Ok(())
    }

    fn look_at(&mut self, event: &WatchEvent) {
        self.position = event.revision;
        let concerns = |indexed: &Indexed| (self.filter)(indexed);
        if self.scope.holds(&event.object.key)
            && (concerns(&event.object.indexed)
                || event
                    .before
                    .as_ref()
                    .is_some_and(|old| concerns(&old.indexed)))
        {
            self.taken.push_back(event.clone());
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("subscription", &self.subscription)
            .field("scope", &self.scope)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
