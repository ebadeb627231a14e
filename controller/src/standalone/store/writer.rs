//! The writer: the one thread that changes anything.
//!
//! It takes all changes that wait, checks each against the newest state, earlier ones of the same
//! batch included, writes them in one transaction, and only when that is durable shows them to
//! readers and watchers and answers those who asked.
//!
//! When writing fails, everybody in the batch is told so, nothing is shown, and nothing is written
//! from then on. After a flush that failed, the kernel may have dropped what it could not write and
//! report the next flush as done, so trying again would acknowledge what is not there. Reading goes
//! on; the process should end, and the next one finds on the disk what is durable.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::batch::Batch;
use super::change::{Change, CommitError, Stored};
use super::disk::Disk;
use super::error::StoreError;
use super::limits::StoreLimits;
use super::shared::Shared;

/// A change and who asked for it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<Stored, CommitError>>,
}

/// The state of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    disk: Disk,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    limits: StoreLimits,
}

impl Writer {
    pub(super) fn new(
        disk: Disk,
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
        limits: StoreLimits,
    ) -> Self {
        Self {
            disk,
            shared,
            requests,
            limits,
        }
    }

    /// Runs until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        while let Some(request) = self.requests.blocking_recv() {
            let batch = self.gather(request);
            self.settle(batch);
        }
    }

    /// Everything that waits, within the limits.
    fn gather(&mut self, first: Request) -> Batch {
        let mut batch = Batch::default();
        let mut request = Some(first);
        while let Some(Request { change, answer }) = request {
            let result = match self.shared.failure() {
                Some(error) => Err(CommitError::Failed(Arc::clone(error))),
                None => batch.stage(change, &self.shared.memory()),
            };
            batch.answers.push((answer, result));
            let is_full = batch.answers.len() >= self.limits.batch_changes
                || batch.bytes >= self.limits.batch_bytes;
            request = match is_full {
                true => None,
                false => self.requests.try_recv().ok(),
            };
        }
        batch
    }

    /// Makes it durable, then public, and then answers. A refusal waits as well: it may show the
    /// state that an earlier change of the batch made.
    fn settle(&mut self, batch: Batch) {
        let Batch {
            events, answers, ..
        } = batch;
        if !events.is_empty() {
            let (trimmed, trim) = {
                let memory = self.shared.memory();
                let history = &memory.history;
                (history.oldest(), history.trim_for(&events, &self.limits))
            };
            if let Err(error) = self.disk.commit(&events, trimmed, trim) {
                let error = Arc::new(error);
                self.shared.fail(Arc::clone(&error));
                for (answer, _) in answers {
                    // Whoever no longer waits need not be told.
                    drop(answer.send(Err(CommitError::Failed(Arc::clone(&error)))));
                }
                return;
            }
            self.shared.publish(events, trim);
        }
        for (answer, result) in answers {
            drop(answer.send(result));
        }
    }
}

/// Closes the store when the thread ends, also if it panics.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(Arc::new(StoreError::Dead));
        }
        self.0.close();
    }
}
