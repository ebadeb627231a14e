//! A Kubernetes-compatible API without a cluster: one binary, one directory.

pub mod access;
pub mod authority;
pub mod discovery;
pub mod error;
pub mod event;
#[cfg(test)]
mod fixtures;
pub mod identity;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod request;
pub mod resource;
pub mod review;
pub mod rules;
pub mod schema;
pub mod selector;
pub mod server;
pub mod store;
pub mod table;
pub mod watch;
pub mod write;
