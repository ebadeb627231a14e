//! Merge patches and JSON patches.
