//! `deploy/` as a cluster would take it: every object is one of the published kinds, refers to what is there, starts our programs with
//! options that they have, and gives them the rights that they use.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "../../src/dist/component.rs"]
#[expect(dead_code, reason = "of what is shipped, the names alone are compared")]
mod component;
mod flags;
mod host;
mod manifests;
mod own_node;
mod references;
mod rights;
mod schema;
mod served;
mod storage;
