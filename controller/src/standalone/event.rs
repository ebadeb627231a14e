//! Events: one store, two shapes.
