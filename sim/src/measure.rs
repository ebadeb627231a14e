//! What tenants saw.

use std::time::Duration;

use weir_agent_ebpf::scale::BUCKETS;

use crate::distribution::{Distribution, narrow, quantile};

/// A tenant's I/Os.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Of the window that is open.
    reads: Box<[f32; BUCKETS]>,
    writes: Box<[f32; BUCKETS]>,
    /// Of all windows before it.
    life: Box<[f32; BUCKETS]>,
}

/// One window of one tenant, in nanoseconds; `None`: there were next to no I/Os.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) reads: Option<f64>,
    pub(crate) writes: Option<f64>,
    /// Of both together.
    pub(crate) all: Option<f64>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Of each tenant that was placed and did something: its 99th percentile over its life, in milliseconds.
    pub p99_ms: Vec<f64>,
    /// Windows of volumes with an objective that were over it.
    pub windows_over: u64,
    /// Windows in which volumes with an objective waited for a pool. They count as over it: who never places breaks no
    /// promise otherwise.
    pub windows_waited: u64,
    /// Windows of volumes with an objective.
    pub windows: u64,
    /// Volumes that were asked for.
    pub asked: u64,
    /// Volumes that were never placed.
    pub unplaced: u64,
    /// How many were bound to each pool.
    pub bound: Vec<u32>,
    /// The cluster over time.
    pub series: Vec<Moment>,
}

/// The cluster in one window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// When it ended.
    pub at: Duration,
    /// The mean of the tenants' 99th percentiles, in milliseconds.
    pub p99_ms: f64,
    /// The share of tenants with an objective that were over it.
    pub over: f64,
}

const P99: f64 = 0.99;

impl Seen {
    pub(crate) fn new() -> Self {
        let empty = || Box::new([0.0; BUCKETS]);
        Seen {
            reads: empty(),
            writes: empty(),
            life: empty(),
        }
    }

    /// So many reads and writes of these distributions.
    pub(crate) fn add(
        &mut self,
        (reads, writes): (&Distribution, &Distribution),
        (read_count, write_count): (f64, f64),
    ) {
        reads.add_to(&mut self.reads, narrow(read_count));
        writes.add_to(&mut self.writes, narrow(write_count));
    }

    /// Ends the window that is open.
    pub(crate) fn close(&mut self) -> Window {
        let window = Window {
            reads: quantile(&self.reads[..], 0, P99),
            writes: quantile(&self.writes[..], 0, P99),
            all: self.both(),
        };
        for bucket in 0..BUCKETS {
            self.life[bucket] += self.reads[bucket] + self.writes[bucket];
        }
        self.reads.fill(0.0);
        self.writes.fill(0.0);
        window
    }

    /// Over its life, in nanoseconds.
    pub(crate) fn p99(&self) -> Option<f64> {
        quantile(&self.life[..], 0, P99)
    }

    fn both(&self) -> Option<f64> {
        let mut all = [0.0; BUCKETS];
        for (sum, (read, write)) in all.iter_mut().zip(self.reads.iter().zip(&self.writes[..])) {
            *sum = read + write;
        }
        quantile(&all, 0, P99)
    }
}

impl Measured {
    /// The mean of the tenants' 99th percentiles, in milliseconds.
    #[must_use]
    pub fn mean_p99_ms(&self) -> f64 {
        mean(&self.p99_ms)
    }

    /// Windows over their objective, those included in which a volume waited.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.windows_over + self.windows_waited
    }

    /// The most volumes that were bound to one pool, over the mean.
    #[must_use]
    pub fn max_over_mean(&self) -> f64 {
        let sum: u32 = self.bound.iter().sum();
        let most = self.bound.iter().max().copied().unwrap_or(0);
        if sum == 0 {
            return 0.0;
        }
        f64::from(most) * self.bound.len() as f64 / f64::from(sum)
    }
}

/// The mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}
