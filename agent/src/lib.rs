//! Weir's agent: one per node.
