//! Weir's CSI plugin: it turns the requests of Kubernetes' sidecars into changes of the API's objects, and waits until agents and
//! controller have done what they say. It keeps nothing of its own: a plugin that is killed and started again finds all it has to
//! know in the objects.
//!
//! What a request means is decided by functions of data ([`parameters`], [`capability`], [`size`], [`topology`], [`wanted`],
//! [`progress`], [`attachment`], [`room`]); [`controller`] asks them and does it. Each change names the version of the object it was
//! decided for; one operation per volume is under way at a time ([`lock`]).
#![forbid(unsafe_code)]

pub mod args;
pub mod attachment;
pub mod capability;
pub mod condition;
pub mod controller;
pub mod deadline;
pub mod failure;
pub mod handle;
pub mod identity;
pub mod lock;
pub mod log;
pub mod node;
pub mod objects;
pub mod parameters;
pub mod progress;
pub mod proto;
pub mod room;
pub mod serve;
pub mod size;
pub mod socket;
pub mod topology;
pub mod wanted;
