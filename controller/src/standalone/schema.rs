//! Schemas of our own definitions: pruning, defaults, validation.
