//! Watches: what changed, told to whom it concerns.
