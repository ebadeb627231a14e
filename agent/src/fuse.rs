//! A fuse that stops a simulated node at a chosen step, for tests.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Clones share the fuse: everything on the node stops together. The default one never blows.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Default for Fuse {
    fn default() -> Self {
        Fuse::after(i64::MAX)
    }
}

impl Fuse {
    /// Lets `steps` side effects and half-effects through. Each effect burns once before and once
    /// after it happens, so that a caller is stopped both before an effect and after it, unaware.
    pub(crate) fn after(steps: i64) -> Self {
        Fuse(Arc::new(AtomicI64::new(steps)))
    }

    /// One step less.
    pub(crate) fn burn(&self) -> io::Result<()> {
        if self.0.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        self.0.store(0, Ordering::Relaxed);
        Err(io::Error::other("the node was stopped"))
    }

    /// Whether it has blown.
    pub(crate) fn is_blown(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}
