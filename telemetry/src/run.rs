//! What tells reports apart: runs of agents, and numbers within a run.

use std::fmt;

use uuid::Uuid;

/// One run of an agent, from its start to its end. Sequence numbers are of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run(pub Uuid);

impl Run {
    /// A new one, unlike all others.
    #[must_use]
    pub fn draw() -> Self {
        Run(Uuid::new_v4())
    }
}

/// A report's number in its run. The first one is 1; 0 is before all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        // A report each second does not get there.
        Sequence(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
