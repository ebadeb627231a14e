//! What tenants saw.

use std::ops::Range;
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
    /// The buckets that the window has anything in are among these.
    touched: Range<usize>,
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
    /// The same by what the volume's pool was like.
    pub over_by: [u64; Blame::ALL.len()],
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

/// What a pool was like, in a window in which a volume was over its objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It limped, and began to after the volume was bound to it: nobody could know.
    LimpedLater,
    /// It limped already when the volume was bound to it.
    Limped,
    /// Its disk is not of the quickest kind.
    SlowDisk,
    /// None of these: it had too much to do, or collected garbage.
    Busy,
}

impl Blame {
    /// All of them.
    pub const ALL: [Blame; 4] = [
        Blame::LimpedLater,
        Blame::Limped,
        Blame::SlowDisk,
        Blame::Busy,
    ];

    /// What figures call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Blame::LimpedLater => "limped_later",
            Blame::Limped => "limped",
            Blame::SlowDisk => "slow_disk",
            Blame::Busy => "busy",
        }
    }
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
            touched: 0..0,
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
        for there in [reads, writes] {
            let end = there.first + there.shares.len();
            self.touched = if self.touched.is_empty() {
                there.first..end
            } else {
                self.touched.start.min(there.first)..self.touched.end.max(end)
            };
        }
    }

    /// Ends the window that is open.
    pub(crate) fn close(&mut self) -> Window {
        let touched = std::mem::take(&mut self.touched);
        let first = touched.start;
        let reads = &mut self.reads[touched.clone()];
        let writes = &mut self.writes[touched.clone()];
        let mut all = [0.0; BUCKETS];
        let all = &mut all[touched.clone()];
        for (sum, (read, write)) in all.iter_mut().zip(reads.iter().zip(&*writes)) {
            *sum = read + write;
        }
        let window = Window {
            reads: quantile(reads, first, P99),
            writes: quantile(writes, first, P99),
            all: quantile(all, first, P99),
        };
        for (sum, more) in self.life[touched].iter_mut().zip(&*all) {
            *sum += more;
        }
        reads.fill(0.0);
        writes.fill(0.0);
        window
    }

    /// Over its life, in nanoseconds.
    pub(crate) fn p99(&self) -> Option<f64> {
        quantile(&self.life[..], 0, P99)
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
