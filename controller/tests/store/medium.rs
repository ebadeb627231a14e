//! A disk in memory that records what is done to it, and can be slow, stuck or broken.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use redb::StorageBackend;

use crate::tape::{Step, apply};

/// How long a test waits for what is wrong, and would otherwise never end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The disk. Clones are the same disk; it outlives the stores that are opened on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    steps: Vec<Step>,
    flush_takes: Duration,
    flushes: Flushes,
    /// Flushes that wait to be let go.
    held: usize,
    /// How many may go all the same.
    let_go: usize,
}

/// What a flush does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flushes {
    /// What it should.
    #[default]
    Work,
    /// It says that it worked, and did nothing.
    Lie,
    /// It waits until that changes.
    Wait,
    /// It fails.
    Fail,
}

impl Medium {
    /// A disk that holds this.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let medium = Self::default();
        medium.state().bytes = bytes;
        medium
    }

    /// For a store to be opened on.
    pub(crate) fn backend(&self) -> Box<dyn StorageBackend> {
        Box::new(self.clone())
    }

    /// How many steps were recorded.
    pub(crate) fn position(&self) -> usize {
        self.state().steps.len()
    }

    /// What was done so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    pub(crate) fn flushes(&self, flushes: Flushes) {
        self.state().flushes = flushes;
        self.inner.changed.notify_all();
    }

    pub(crate) fn flush_takes(&self, duration: Duration) {
        self.state().flush_takes = duration;
    }

    /// Returns when a flush waits.
    pub(crate) fn until_held(&self) {
        let not_held = |state: &mut State| state.held == 0 || state.let_go > 0;
        let waited = self
            .inner
            .changed
            .wait_timeout_while(self.state(), PATIENCE, not_held);
        assert!(!waited.unwrap().1.timed_out(), "nothing is flushed");
    }

    /// Lets one flush go that waits.
    pub(crate) fn let_one_go(&self) {
        self.state().let_go += 1;
        self.inner.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap()
    }

    fn record(&self, step: Step) {
        let mut state = self.state();
        apply(&mut state.bytes, &step);
        state.steps.push(step);
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = usize::try_from(offset).unwrap();
        let there = state.bytes.get(from..from + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.record(Step::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        thread::sleep(self.state().flush_takes);
        let mut state = self.state();
        state.held += 1;
        self.inner.changed.notify_all();
        let waiting = |state: &mut State| state.flushes == Flushes::Wait && state.let_go == 0;
        let waited = self
            .inner
            .changed
            .wait_timeout_while(state, PATIENCE, waiting);
        let (mut state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "a flush was forgotten");
        state.held -= 1;
        state.let_go = state.let_go.saturating_sub(1);
        self.inner.changed.notify_all();
        match state.flushes {
            Flushes::Fail => Err(io::Error::other("the disk is broken")),
            Flushes::Lie => Ok(()),
            Flushes::Work | Flushes::Wait => {
                state.steps.push(Step::Flush);
                Ok(())
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let data = data.to_vec();
        self.record(Step::Write { offset, data });
        Ok(())
    }
}
