//! What an agent tells of a pool: a sample of what truly happened, as counts by bucket.

use std::time::Duration;

use fastrand::Rng;
use weir_agent_ebpf::scale::BUCKETS;

use crate::distribution::{Distribution, bucket, middle_ns, narrow};
use crate::draw::poisson;
use crate::pool::Pool;

/// What was added to one operation's histogram.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) buckets: Vec<(u16, u64)>,
    pub(crate) sum_ns: u64,
}

/// What was seen of a pool since the last report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) pool: usize,
    pub(crate) at: Duration,
    pub(crate) span: Duration,
    pub(crate) reads: Counts,
    pub(crate) writes: Counts,
    pub(crate) in_flight: u32,
}

/// What happened on a pool since its last report, where its state changed in between.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    reads: Box<[f32; BUCKETS]>,
    writes: Box<[f32; BUCKETS]>,
    /// Since when what happened is not in there.
    pub(crate) since: Duration,
    is_empty: bool,
}

/// An idle pool is read from so often.
const CANARY: Duration = Duration::from_secs(5);

impl Gathered {
    pub(crate) fn new() -> Self {
        Gathered {
            reads: Box::new([0.0; BUCKETS]),
            writes: Box::new([0.0; BUCKETS]),
            since: Duration::ZERO,
            is_empty: true,
        }
    }

    /// Takes in what happened until now, before the pool's state changes.
    pub(crate) fn settle(&mut self, pool: &mut Pool, now: Duration) {
        let seconds = now.saturating_sub(self.since).as_secs_f64();
        self.since = now;
        if seconds <= 0.0 {
            return;
        }
        let state = pool.state();
        let (reads, writes) = state.flow.rates;
        state.reads.add_to(&mut self.reads, narrow(reads * seconds));
        state
            .writes
            .add_to(&mut self.writes, narrow(writes * seconds));
        self.is_empty = false;
    }

    /// Tells what happened since the last report.
    pub(crate) fn report(
        &mut self,
        index: usize,
        pool: &mut Pool,
        span: Duration,
        now: Duration,
        rng: &mut Rng,
    ) -> Report {
        if !self.is_empty {
            self.settle(pool, now);
        }
        let seconds = now.saturating_sub(self.since).as_secs_f64();
        self.since = now;
        let is_whole = self.is_empty;
        let state = pool.state();
        let (reads, writes) = state.flow.rates;
        let draw = |gathered: &[f32; BUCKETS], there: &Distribution, rate: f64, rng: &mut Rng| {
            if is_whole {
                let times = narrow(rate * seconds);
                counted(
                    there.iter().map(|(bucket, share)| (bucket, share * times)),
                    rng,
                )
            } else {
                let there = gathered.iter().copied().enumerate();
                counted(there.filter(|(_, expected)| *expected > 0.0), rng)
            }
        };
        let mut report = Report {
            pool: index,
            at: now,
            span,
            reads: draw(&self.reads, &state.reads, reads, rng),
            writes: draw(&self.writes, &state.writes, writes, rng),
            in_flight: poisson(rng, narrow(state.flow.in_flight)),
        };
        if reads < 1.0 && rng.f64() < span.as_secs_f64() / CANARY.as_secs_f64() {
            let one = one_of(&state.reads, rng);
            match report
                .reads
                .buckets
                .binary_search_by_key(&one, |(bucket, _)| *bucket)
            {
                Ok(at) => report.reads.buckets[at].1 += 1,
                Err(at) => report.reads.buckets.insert(at, (one, 1)),
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "nanoseconds"
            )]
            let ns = middle_ns(usize::from(one)) as u64;
            report.reads.sum_ns += ns;
        }
        if !self.is_empty {
            self.reads.fill(0.0);
            self.writes.fill(0.0);
            self.is_empty = true;
        }
        report
    }
}

impl Report {
    /// Without anything else.
    pub(crate) fn of_in_flight(
        index: usize,
        pool: &mut Pool,
        span: Duration,
        now: Duration,
        rng: &mut Rng,
    ) -> Self {
        Report {
            pool: index,
            at: now,
            span,
            in_flight: poisson(rng, narrow(pool.state().flow.in_flight)),
            ..Report::default()
        }
    }
}

fn counted(expected: impl Iterator<Item = (usize, f32)>, rng: &mut Rng) -> Counts {
    let mut counts = Counts {
        buckets: Vec::with_capacity(48),
        sum_ns: 0,
    };
    let mut sum = 0.0;
    for (bucket, expected) in expected {
        let count = poisson(rng, expected);
        if count > 0 {
            counts
                .buckets
                .push((u16::try_from(bucket).unwrap_or(0), u64::from(count)));
            sum += f64::from(count) * middle_ns(bucket);
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds"
    )]
    let sum_ns = sum as u64;
    counts.sum_ns = sum_ns;
    counts
}

fn one_of(distribution: &Distribution, rng: &mut Rng) -> u16 {
    let mut left = rng.f32();
    for (bucket, share) in distribution.iter() {
        if left < share {
            return u16::try_from(bucket).unwrap_or(0);
        }
        left -= share;
    }
    u16::try_from(bucket(distribution.mean)).unwrap_or(0)
}
