//! Agents and leaders over real connections: TLS on loopback, connections that are cut, leaders that come and go, and
//! what a leader refuses.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

mod authority;
mod leader;
mod proxy;
mod raw;
mod source;

mod exact;
mod refused;
