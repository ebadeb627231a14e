//! The source, and where what it reads goes.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::{Backlog, Settings, Source};
use crate::reading::Reading;

/// Reads on a thread that may wait. Its futures may be dropped at any point: what is being read then is taken by the next one.
pub(super) struct Reader<S> {
    /// `None` while it reads, and for good if it panicked.
    source: Option<S>,
    busy: Option<JoinHandle<(S, Option<Reading>)>>,
    /// When it was last asked to.
    last: Instant,
    pub(super) backlog: Backlog,
}

impl<S: Source> Reader<S> {
    pub(super) fn new(source: S, backlog: Backlog) -> Self {
        Reader {
            source: Some(source),
            busy: None,
            last: Instant::now(),
            backlog,
        }
    }

    /// Reads once.
    pub(super) async fn read(&mut self) {
        self.last = Instant::now();
        if let Some(mut source) = self.source.take() {
            self.busy = Some(tokio::task::spawn_blocking(move || {
                let reading = source.read();
                (source, reading)
            }));
        }
        let Some(busy) = &mut self.busy else {
            return;
        };
        let read = busy.await;
        self.busy = None;
        match read {
            Ok((source, reading)) => {
                self.source = Some(source);
                if let Some(reading) = reading {
                    self.backlog.add(reading);
                }
            }
            Err(error) => tracing::error!(%error, "nothing is read for telemetry any more"),
        }
    }

    /// Reads now and then, until dropped.
    pub(super) async fn read_alone(&mut self, settings: &Settings) {
        loop {
            tokio::time::sleep_until((self.last + settings.interval_alone).into()).await;
            self.read().await;
        }
    }

    /// Reads now and then for as long as a pause lasts.
    pub(super) async fn read_for(&mut self, pause: Duration, settings: &Settings) {
        let end = Instant::now() + pause;
        // Not as a timeout around it all: a reading that is due is taken, however short pauses are.
        loop {
            let due = self.last + settings.interval_alone;
            tokio::time::sleep_until(due.min(end).into()).await;
            if due > end {
                return;
            }
            self.read().await;
        }
    }
}
