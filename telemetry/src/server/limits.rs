//! What agents can make a leader hold at most.

use std::time::Duration;

/// Bounds, and how long something is waited for.
///
/// A pool's history of one operation takes about 7 KiB, a link about 200 bytes: with the defaults at most 270 MiB and 100 MiB, if
/// there are so many. 10,000 pools that are read and written take 140 MiB.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections, of whomever.
    pub connections: usize,
    /// Connections whose peer has not said who it is; others wait until one of them has, or is let go of.
    pub strangers: usize,
    /// Streams of one connection; an agent needs one, and a second for the moment when it begins anew.
    pub streams_each: u32,
    /// The longest message, in bytes. A connection buffers as much again.
    pub message: usize,
    /// Nodes.
    pub nodes: usize,
    /// Histories (a pool and an operation) of one node; and as many figures of what is in flight.
    pub histories_each: usize,
    /// Histories of all nodes.
    pub histories: usize,
    /// Links (a volume, an operation, an initiator) of one node.
    pub links_each: usize,
    /// Links of all nodes.
    pub links: usize,
    /// For how long a TLS handshake may take.
    pub handshake: Duration,
    /// For how long somebody with a connection may not say who it is.
    pub introduction: Duration,
    /// For how long it may take to find out who somebody is.
    pub authentication: Duration,
    /// For how long a stream may say nothing.
    pub silence: Duration,
    /// How far apart reports of one stream are taken: an agent that goes wild takes its share of the leader's time, and no more.
    pub apart: Duration,
    /// How often a connection is asked whether it is there, and how long it may take to answer.
    pub keep_alive: Duration,
    /// The longest life of a stream; who it is has to be shown again then.
    pub life: Duration,
    /// For how long a node is not heard before it makes room for another when there is none.
    pub replaced: Duration,
    /// For how long something is not heard of before it is let go of: longer than the longest window.
    pub forgotten: Duration,
    /// How often that is looked for.
    pub tidy: Duration,
    /// For how long connections are waited for at the end.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 8_192,
            strangers: 128,
            streams_each: 4,
            message: 128 * 1024,
            nodes: 4_096,
            histories_each: 512,
            histories: 40_000,
            links_each: 20_000,
            links: 500_000,
            handshake: Duration::from_secs(10),
            introduction: Duration::from_secs(10),
            authentication: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            apart: Duration::from_millis(10),
            keep_alive: Duration::from_secs(10),
            life: Duration::from_secs(60 * 60),
            replaced: Duration::from_secs(10 * 60),
            forgotten: Duration::from_secs(48 * 60 * 60),
            tidy: Duration::from_secs(60),
            farewell: Duration::from_secs(1),
        }
    }
}
