//! The kinds of objects that are served.
