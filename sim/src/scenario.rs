//! What is simulated: clusters, and what is asked of them.
//!
//! The scenarios were written down before any strategy was, and none of their numbers was chosen by how a strategy
//! did in it. Whoever changes one changes what every figure means.

mod fixed;

use std::time::Duration;

pub use fixed::{ALL, by_name};

/// A cluster and a day of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How many pools there are.
    pub pools: usize,
    /// How long it goes on.
    pub length: Duration,
    /// The kinds of pools, and the share of each.
    pub kinds: &'static [(f64, Kind)],
    /// Volumes that are there at the beginning, for each pool; they lie anywhere, at the same place for every strategy.
    pub existing: f64,
    /// When volumes are created.
    pub arrivals: Arrivals,
    /// What volumes do.
    pub tenants: Tenants,
    /// How long volumes live on average; `None`: to the end.
    pub lifetime: Option<Duration>,
    /// How pools are heard of.
    pub telemetry: Telemetry,
    /// If pools' speed wanders, without any pool being faster than another in the long run: how long a speed lasts on
    /// average, and the spread of its logarithm.
    pub wander: Option<(Duration, f64)>,
}

/// A kind of pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// Its disks.
    pub disk: Disk,
    /// Whether it begins to limp, at an hour that is drawn from the whole time.
    pub limps: Option<Limp>,
}

/// How a pool limps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limp {
    /// Everything takes so many times as long.
    pub times: f64,
    /// For so long; `None`: to the end.
    pub lasts: Option<Duration>,
}

/// Disks, as far as latency is concerned: a queue with several servers, of which an I/O takes one for longer than the
/// host has to wait where the disk answers from its cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disk {
    /// Bytes.
    pub capacity: u64,
    /// I/Os that are worked on at once.
    pub channels: u32,
    /// How long a read takes where nothing else is going on: half of them take no longer.
    pub read: Duration,
    /// The same of a write, until it is acknowledged.
    pub write: Duration,
    /// For how long a read keeps a channel busy.
    pub read_busy: Duration,
    /// For how long a write does.
    pub write_busy: Duration,
    /// The spread of the logarithm of both.
    pub spread: f64,
    /// The pauses it makes.
    pub collects: Collects,
}

/// Garbage collection: pauses in which everything takes longer, the more of them the more is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collects {
    /// Writes between the ends and beginnings of two, on average.
    pub every_writes: f64,
    /// How long one lasts on average.
    pub lasts: Duration,
    /// Everything takes so many times as long.
    pub times: f64,
}

/// When volumes are created.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// At any time, as many as fill the cluster to a share of its space by the end (which more or larger ones may do
    /// before: then it is over).
    Poisson {
        /// The share.
        fill: f64,
        /// For how much of the time; what is created is as much.
        during: f64,
    },
    /// So many, at any time.
    Number(u32),
    /// So many, all at once.
    Burst {
        /// When.
        at: Duration,
        /// How many.
        count: u32,
    },
}

/// What volumes do, and what is wanted of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tenants {
    /// Half of them do no more I/Os a second, while they are calm.
    pub rate: f64,
    /// The spread of the logarithm.
    pub spread: f64,
    /// The least and greatest share of reads; anything between.
    pub reads: (f64, f64),
    /// I/Os that one has outstanding at most.
    pub depth: f64,
    /// The share of those that are bursty.
    pub bursty: f64,
    /// So many times the rate, in a burst.
    pub burst_times: f64,
    /// How long a burst lasts on average.
    pub burst: Duration,
    /// How long it is calm in between, on average.
    pub calm: Duration,
    /// How long it takes on average from the bind to the first I/O.
    pub start: Duration,
    /// Sizes, in GiB, each as likely as the others.
    pub sizes: &'static [u64],
    /// The share of those that have an objective.
    pub with_objective: f64,
    /// What 99 of 100 reads, and of 100 writes, are to take at most; each as likely as the others.
    pub objectives: &'static [Duration],
}

/// How pools are heard of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Telemetry {
    /// How often each tells.
    pub every: Duration,
    /// How much later that is heard.
    pub late: Duration,
    /// The share of reports that is never heard.
    pub lost: f64,
    /// From when to when, as shares of the time, nothing is heard of any pool.
    pub dark: Option<(f64, f64)>,
}

/// A volume's latencies are judged over windows of this length.
pub const WINDOW: Duration = Duration::from_secs(60);
