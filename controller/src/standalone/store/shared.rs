//! What the writer, the readers and the watchers share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use super::change::WatchEvent;
use super::error::StoreError;
use super::key::Revision;
use super::list::Query;
use super::memory::Memory;
use super::topic::Topics;

/// How many revisions may be forgotten before the topics drop them too. Watchers are told apart by
/// the history itself; this only keeps the lists of quiet topics from holding on to numbers.
const SWEEP: u64 = 4_096;

/// Locks are taken in this order: memory, topics, one topic.
#[derive(Debug)]
pub(super) struct Shared {
    memory: RwLock<Memory>,
    topics: Arc<Mutex<Topics>>,
    /// Flushes of the disk, counted by the backend.
    pub(super) syncs: Arc<AtomicU64>,
    /// Changes that were made.
    pub(super) changes: AtomicU64,
    failure: OnceLock<Arc<StoreError>>,
    closed: AtomicBool,
    swept: AtomicU64,
}

impl Shared {
    pub(super) fn new(memory: Memory, backlog: usize, syncs: Arc<AtomicU64>) -> Self {
        Self {
            memory: RwLock::new(memory),
            topics: Arc::new(Mutex::new(Topics::new(backlog))),
            syncs,
            changes: AtomicU64::new(0),
            failure: OnceLock::new(),
            closed: AtomicBool::new(false),
            swept: AtomicU64::new(0),
        }
    }

    /// Reading never waits for the disk. A lock that is poisoned still holds what is durable: the
    /// writer panics before it takes the lock, or the process is beyond help.
    pub(super) fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, with a field indexed that the query asks for.
    pub(super) fn memory_for(&self, query: &Query<'_>) -> RwLockReadGuard<'_, Memory> {
        let memory = self.memory();
        let Some(field) = memory.lacks(query) else {
            return memory;
        };
        drop(memory);
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been faster.
        if memory.lacks(query).is_some() {
            memory.index(&query.of.storage, field);
        }
        drop(memory);
        self.memory()
    }

    pub(super) fn topics(&self) -> &Arc<Mutex<Topics>> {
        &self.topics
    }

    pub(super) fn lock_topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows everybody what is durable now.
    pub(super) fn publish(&self, events: Vec<WatchEvent>, trim: Revision) {
        let made = events.len() as u64;
        let mut touched = Vec::new();
        {
            let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
            let topics = self.lock_topics();
            for event in events {
                topics.tell(&event, &mut touched);
                memory.apply(event);
            }
            memory.history.trim(trim);
            if trim.0 >= self.swept.load(Ordering::Relaxed) + SWEEP {
                self.swept.store(trim.0, Ordering::Relaxed);
                topics.forget(trim);
            }
        }
        self.changes.fetch_add(made, Ordering::Relaxed);
        // Without the locks, which those who wake will want.
        touched.iter().for_each(|topic| topic.wake());
    }

    /// Why nothing is written any more.
    pub(super) fn failure(&self) -> Option<&Arc<StoreError>> {
        self.failure.get()
    }

    /// Nothing is written after this. The first reason stays.
    pub(super) fn fail(&self, error: Arc<StoreError>) {
        // Only the writer fails, and only once.
        drop(self.failure.set(error));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends every watch once it has told all there is.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lock_topics().wake();
    }
}
