//! The store: every object, durable, and what changed.
//!
//! One database file holds the objects and a log of the last changes. One thread writes it: changes
//! that wait share one transaction and one flush of the disk, and are acknowledged and shown only
//! when that is done. Everything is in memory as well, and reading never waits for the disk.
//!
//! Every change has the next number of one counter, its revision. A watch is told all changes after
//! a revision, in order and without a gap, also across a restart; a list in pages shows what was
//! there at its first page. Both reach back as far as the history does, which is bounded.
//!
//! ```text
//! commit → queue → writer → disk → memory, history → topics → watchers
//!                                  ↑ get, list
//! ```
//!
//! Invariants: what is in memory is durable; revisions are consecutive; what a watcher or a list
//! shows was durable before.

mod backend;
mod batch;
mod change;
mod directory;
mod disk;
mod error;
mod history;
mod index;
pub mod indexed;
mod key;
mod limits;
mod list;
mod load;
mod memory;
mod past;
mod shared;
mod topic;
mod watcher;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use redb::StorageBackend;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

pub use change::{Change, CommitError, Expected, Stored, WatchEvent};
pub use error::StoreError;
pub use history::TooOld;
pub use indexed::{Indexed, Pairs};
pub use key::{Key, Revision, Scope};
pub use limits::StoreLimits;
pub use list::{Page, Query};
pub use watcher::{Filter, WatchEnd, Watcher};

use directory::Directory;
use disk::Disk;
use shared::Shared;
use writer::{Request, Writer};

/// What selectors look at in an object of a storage, for those that are read from the disk.
pub type Indexer = Arc<dyn Fn(&str, &Value) -> Indexed + Send + Sync>;

/// The store. Clones are the same store; the last one that is dropped closes it, and waits until
/// what was asked for is written.
#[derive(Clone, Debug)]
pub struct Store {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    /// `None` while closing.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    /// Given up only after the writer has ended.
    _directory: Option<Directory>,
}

/// What a store is doing, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Objects there are.
    pub objects: usize,
    /// The newest revision.
    pub revision: Revision,
    /// What a watch can begin after at the earliest.
    pub oldest: Revision,
    /// Changes in the history.
    pub history_changes: usize,
    /// About the bytes of their old and new states.
    pub history_bytes: usize,
    /// Watchers.
    pub watchers: usize,
    /// Changes made since the store was opened.
    pub changes: u64,
    /// Flushes of the disk since then.
    pub fsyncs: u64,
}

impl Store {
    /// Opens the store in this directory, which is made if there is none. One process has it at a
    /// time.
    pub fn open(dir: &Path, index: Indexer, limits: StoreLimits) -> Result<Self, StoreError> {
        let directory = Directory::claim(dir)?;
        let backend = directory.database(limits.cache_bytes)?;
        Self::start(Some(directory), backend, &index, limits)
    }

    /// Opens the store on anything that can be written like a disk.
    pub fn open_with(
        backend: Box<dyn StorageBackend>,
        index: Indexer,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        Self::start(None, backend, &index, limits)
    }

    fn start(
        directory: Option<Directory>,
        backend: Box<dyn StorageBackend>,
        index: &Indexer,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        let disk = Disk::open(backend, limits.cache_bytes)?;
        let memory = disk.load(index)?;
        let shared = Shared::new(memory, limits.watcher_backlog, disk.syncs());
        let shared = Arc::new(shared);
        let (requests, queue) = mpsc::channel(limits.queue);
        let writer = Writer::new(disk, Arc::clone(&shared), queue, limits);
        let writer = thread::Builder::new()
            .name("weir-store".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| StoreError::Thread { source })?;
        let store = Self {
            open: Arc::new(Open {
                shared,
                requests: Some(requests),
                writer: Some(writer),
                _directory: directory,
            }),
        };
        let Statistics {
            objects,
            revision,
            oldest,
            ..
        } = store.statistics();
        tracing::info!(objects, %revision, %oldest, "store opened");
        Ok(store)
    }

    /// The newest revision that is durable.
    pub fn revision(&self) -> Revision {
        self.open.shared.memory().revision
    }

    /// The newest state of an object.
    pub fn get(&self, key: &Key) -> Option<Stored> {
        self.open.shared.memory().objects.get(key).cloned()
    }

    /// A page of what is there now, or of what was there at a revision: that of a list's first page.
    /// A revision that is still to come is taken for the newest.
    pub fn page(&self, query: &Query<'_>, at: Option<Revision>) -> Result<Page, TooOld> {
        let memory = self.open.shared.memory_for(query);
        match at {
            None => Ok(memory.page(query)),
            Some(revision) => memory.page_at(revision, query),
        }
    }

    /// A page of what is there now: after a namespace and name, at most `limit` objects (0 for all)
    /// of those to keep. `keep` must not call the store.
    pub fn list(
        &self,
        of: &Scope,
        after: Option<&(String, String)>,
        limit: usize,
        keep: &dyn Fn(&Indexed) -> bool,
    ) -> Page {
        self.open.shared.memory().page(&Query {
            of,
            hint: None,
            after,
            limit,
            keep,
        })
    }

    /// The same of what was there at a revision.
    pub fn list_at(
        &self,
        revision: Revision,
        of: &Scope,
        after: Option<&(String, String)>,
        limit: usize,
        keep: &dyn Fn(&Indexed) -> bool,
    ) -> Result<Page, TooOld> {
        let query = Query {
            of,
            hint: None,
            after,
            limit,
            keep,
        };
        self.page(&query, Some(revision))
    }

    /// Makes a change, and returns its new state when it is durable. A caller that gives up leaves
    /// open whether it is made.
    pub async fn commit(&self, change: Change) -> Result<Stored, CommitError> {
        let (answer, answered) = oneshot::channel();
        let requests = self.open.requests.as_ref().ok_or(CommitError::Closed)?;
        let request = Request { change, answer };
        let sent = requests.send(request).await;
        sent.map_err(|_| self.ended())?;
        answered.await.unwrap_or_else(|_| Err(self.ended()))
    }

    /// Watches a scope from a revision on, which may be one that is still to come. Told is what the
    /// filter accepts in its old or its new state. A hint is a field's value that the filter demands
    /// in any case: such a watcher costs nothing when others' objects change. Neither may call the
    /// store.
    pub fn watch(
        &self,
        scope: Scope,
        from: Revision,
        filter: Filter,
        hint: Option<(String, String)>,
    ) -> Result<Watcher, TooOld> {
        Watcher::new(&self.open.shared, scope, from, filter, hint)
    }

    /// How often the disk was flushed.
    pub fn fsyncs(&self) -> u64 {
        self.open.shared.syncs.load(Ordering::Relaxed)
    }

    /// Why nothing can be written any more, if that is so. Whoever serves the store should end then:
    /// opened again, it holds what is durable.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.open.shared.failure().cloned()
    }

    /// What the store is doing.
    pub fn statistics(&self) -> Statistics {
        let shared = &self.open.shared;
        let memory = shared.memory();
        Statistics {
            objects: memory.objects.len(),
            revision: memory.revision,
            oldest: memory.history.oldest(),
            history_changes: memory.history.len(),
            history_bytes: memory.history.bytes(),
            watchers: shared.lock_topics().watchers(),
            changes: shared.changes.load(Ordering::Relaxed),
            fsyncs: shared.syncs.load(Ordering::Relaxed),
        }
    }

    fn ended(&self) -> CommitError {
        match self.failure() {
            Some(error) => CommitError::Failed(error),
            None => CommitError::Closed,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.requests.take();
        if let Some(writer) = self.writer.take() {
            // A panic there has been told as a failure.
            drop(writer.join());
        }
    }
}
