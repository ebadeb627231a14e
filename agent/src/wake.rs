//! What wakes the agent's loop.

/// A reason to look again; the greater ones matter more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// A zeroing ended.
    Zeroed,
    /// Something else is asked for than before.
    Asked,
    /// An order came in on the local socket.
    Ordered,
    /// SIGTERM or SIGINT: stop, leaving every export in place.
    Stop,
}
