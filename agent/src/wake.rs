//! What wakes the agent's loop.

/// A reason to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A zeroing ended.
    Zeroed,
    /// SIGTERM or SIGINT: stop, leaving every export in place.
    Stop,
}
