//! The history: the last changes, in order, as many as the limits allow.

use std::collections::VecDeque;

use super::change::WatchEvent;
use super::key::Revision;
use super::limits::StoreLimits;

/// The past that was asked for is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes are kept since revision {oldest}")]
pub struct TooOld {
    /// The oldest revision that a watch can begin after, or a list show.
    pub oldest: Revision,
}

/// The changes after `trimmed`, without a gap: revisions are consecutive.
#[derive(Debug)]
pub(super) struct History {
    events: VecDeque<WatchEvent>,
    trimmed: Revision,
    bytes: usize,
}

impl History {
    pub(super) fn new(trimmed: Revision) -> Self {
        Self {
            events: VecDeque::new(),
            trimmed,
            bytes: 0,
        }
    }

    /// The newest revision that is no longer told as a change, but can be begun after.
    pub(super) fn oldest(&self) -> Revision {
        self.trimmed
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The event must be the next revision's.
    pub(super) fn push(&mut self, event: WatchEvent) {
        debug_assert_eq!(
            event.revision.0,
            self.trimmed.0 + self.events.len() as u64 + 1,
            "revisions are consecutive"
        );
        self.bytes += event.weight();
        self.events.push_back(event);
    }

    /// Which revision must be forgotten so that these changes fit. The changes themselves are kept
    /// in any case: whoever made them resumes from there.
    pub(super) fn trim_for(&self, added: &[WatchEvent], limits: &StoreLimits) -> Revision {
        let mut changes = self.events.len() + added.len();
        let mut bytes = self.bytes + added.iter().map(WatchEvent::weight).sum::<usize>();
        let mut trimmed = self.trimmed;
        for event in &self.events {
            if changes <= limits.history_changes && bytes <= limits.history_bytes {
                break;
            }
            changes -= 1;
            bytes -= event.weight();
            trimmed = event.revision;
        }
        trimmed
    }

    /// Forgets everything up to and with this revision.
    pub(super) fn trim(&mut self, until: Revision) {
        while self.trimmed < until
            && let Some(event) = self.events.pop_front()
        {
            self.bytes -= event.weight();
            self.trimmed = event.revision;
        }
    }

    /// The change of this revision.
    pub(super) fn get(&self, revision: Revision) -> Option<&WatchEvent> {
        let position = revision.0.checked_sub(self.trimmed.0 + 1)?;
        self.events.get(usize::try_from(position).ok()?)
    }

    /// The changes after this revision.
    pub(super) fn after(
        &self,
        revision: Revision,
    ) -> Result<impl ExactSizeIterator<Item = &WatchEvent>, TooOld> {
        let oldest = self.trimmed;
        let skipped = revision.0.checked_sub(oldest.0).ok_or(TooOld { oldest })?;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Ok(self.events.range(skipped.min(self.events.len())..))
    }
}
