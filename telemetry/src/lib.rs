//! What agents measured, streamed to the controller that leads.
//!
//! ```text
//!   agent                                                    leader
//!   probes ─ reading, each second ─▶ Backlog ── Report ──▶ Book ─▶ placement, metrics
//!                                     ▲   └──────◀── Ack ──┘
//!                                     └ what is not acknowledged comes back
//! ```
//!
//! One stream of gRPC for each agent, over TLS: [`client`] is the agent's half, [`server`] the leader's, each behind a
//! feature of its name. In both, what is decided is a function of data ([`client::Backlog`], [`server::Book`]), and a
//! thin shell moves messages ([`client::run`], [`server::Server`]). `proto/telemetry.proto` is what travels.
//!
//! # What is told
//!
//! Of each pool and operation the `backend` histogram's growth, and what is in flight: what placement is made of. Of each
//! volume that is used over NVMe the growth of sum and number of `total`, by the storage node for each initiator
//! ([`Subject::Target`]), and by the consumer ([`Subject::Host`]): their difference is the network's ([`server::Network`]).
//! Full histograms of volumes stay on the nodes' `/metrics`.
//!
//! # Each interval is counted once
//!
//! A *delta* is what was added to a series between two readings. In one leader's sums each delta is at most once,
//! and the agent keeps it until a leader says that it is counted in:
//!
//! - A report has a *sequence* number in its *run*, which is drawn when the agent is started. One report is on its
//!   way at a time. It is forgotten when it is acknowledged; if the stream ends first, then the next [`Welcome`](wire::Welcome)
//!   says whether it was counted in. If not, its deltas are added to those that have gathered meanwhile, and go
//!   out under a new number.
//! - A hello ends the *session* before it, in the same step that looks up what was counted: a report that is still in
//!   some buffer of the old stream is never counted in after the agent was told that it was not.
//! - A new leader begins with empty sums and has counted nothing of any run: it gets what nobody acknowledged. What was acknowledged
//!   by the one before is in that one's sums only.
//! - An agent that is started anew takes its first reading as the ground to count from. What its predecessor had not
//!   been acknowledged is gone, and nothing is told twice.
//!
//! `tests/exactly_once.rs` breaks connections at every point and counts.
//!
//! # Bounds
//!
//! The agent holds one delta for each series, however long no leader is there: deltas add up ([`client::Backlog`]). The leader takes
//! messages of a bounded length, from a bounded number of nodes, for a bounded number of series of each, and of all
//! ([`server::Limits`]); what finds no room is told by a metric. An agent's credentials name its node, and all that it says is kept with
//! that node: it can say nothing about another's pools.
//!
//! # Time
//!
//! An agent reads each second, and tells at once what is new; that nothing is, every few seconds. Clocks of two hosts are never compared:
//! an agent says how long ago it read, and over how long, and the leader counts from when it heard that ([`server::Book::age`]).
//! What gathered for longer than a window of the history is in the sums, but not in that window.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
mod delta;
mod key;
mod op;
mod place;
mod reading;
mod run;
#[cfg(feature = "server")]
pub mod server;
pub mod wire;

pub use delta::Delta;
pub use key::{Key, Subject};
pub use op::{Op, Rung};
pub use place::{ADDRESS, AUDIENCE, AUTHORITY, Place, PlaceError};
pub use reading::{InFlight, Reading};
pub use run::{Run, Sequence};
