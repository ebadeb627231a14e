//! Agents and leaders over real connections: TLS on loopback, connections that are cut, leaders that come and go, and
//! what a leader refuses.

mod authority;
mod leader;
mod proxy;
mod raw;
mod source;

mod exact;
mod refused;
