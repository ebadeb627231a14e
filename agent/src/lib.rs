//! Weir's agent: one per node. It keeps the node's pools and volumes as they are asked for, exports
//! volumes to the nodes they are attached to, and measures their latency in the kernel.
//!
//! One thread does all the work, again and again: [`requests`] (what is asked for), [`record`] (what
//! this node serves) and [`observed`] (what is there) go into [`plan`], which is pure; its steps are
//! applied by the [`engine`] through [`lvm`], [`target`] and [`disk`]; the result is published as
//! status files, gauges, and the list of what is to be measured ([`measure`]). Zeroing has threads of
//! its own ([`zero`]), and so has HTTP: [`serve`] answers a scrape from what the [`probe`]s counted
//! until that moment. With a kubeconfig a cluster's API takes the place of request files, and is told every
//! status: [`join`] follows it on a thread of its own, so that nothing here ever waits for it.
//!
//! Invariants:
//! - absence is never an order: see [`plan`];
//! - the record comes before the deed, and a record that can't be read stops whatever it is about;
//! - stopping the agent, at any instruction, changes nothing for anybody who uses a volume.

pub mod args;
pub mod btf;
pub mod check;
pub mod cluster;
pub mod cmd;
pub mod disk;
pub mod dm;
pub mod durable;
pub mod engine;
pub mod fail_point;
mod fuse;
#[cfg(test)]
#[path = "../../nvmet/tests/support/fuzz.rs"]
mod fuzz;
pub mod gauges;
pub mod glance;
pub mod glancer;
pub mod histogram;
mod imports;
pub mod join;
pub mod ladder;
pub mod local;
pub mod lvm;
pub mod measure;
pub mod metrics;
pub mod notice;
pub mod objects;
pub mod observed;
pub mod openers;
pub mod orders;
pub mod orphan_volumes;
pub mod orphans;
pub mod plan;
pub mod pool_files;
pub mod prepare;
pub mod probe;
pub mod record;
pub mod recover;
pub mod requests;
pub mod run;
pub mod serve;
pub mod shutdown;
pub mod signatures;
#[doc(hidden)]
#[cfg_attr(not(test), expect(dead_code, reason = "only unit tests use all of it"))]
pub mod sim;
pub mod source;
pub mod status;
pub mod statuses;
pub mod step;
mod table;
pub mod target;
pub mod telemetry;
pub mod wake;
pub mod watch;
pub mod zero;

pub use weir_api::chain;
