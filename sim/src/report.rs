//! What an agent tells of a pool: a sample of what truly happened, as counts by bucket.

use std::time::Duration;

use fastrand::Rng;
use weir_agent_ebpf::scale::BUCKETS;

use crate::distribution::{Distribution, bucket, middle_ns, narrow};
use crate::draw::{Poisson, poisson};
use crate::pool::{Pool, State};

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
        let state = pool.state_mut();
        let (reads, in_flight) = (state.flow.rates.0, narrow(state.flow.in_flight));
        let told = if self.is_empty {
            state.expected(seconds).draw(rng)
        } else {
            let draw = |gathered: &[f32; BUCKETS], rng: &mut Rng| {
                let there = gathered.iter().copied().enumerate();
                let there = there.filter(|(_, expected)| *expected > 0.0);
                counted(
                    there.map(|(bucket, expected)| Bucket::of(bucket, expected)),
                    rng,
                )
            };
            (draw(&self.reads, rng), draw(&self.writes, rng))
        };
        let mut report = Report {
            pool: index,
            at: now,
            span,
            reads: told.0,
            writes: told.1,
            in_flight: poisson(rng, in_flight),
        };
        if reads < 1.0 && rng.f64() < span.as_secs_f64() / CANARY.as_secs_f64() {
            let one = one_of(&pool.state().reads, rng);
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

/// What is expected of a pool that stays as it is for so long: most reports are about such a time, and many about the same.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    seconds: f64,
    reads: Vec<Bucket>,
    writes: Vec<Bucket>,
}

/// What is expected in a bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    count: Poisson,
    number: u16,
    middle_ns: f64,
}

impl Expected {
    fn of(state: &State, seconds: f64) -> Self {
        let (reads, writes) = state.flow.rates;
        let buckets = |there: &Distribution, rate: f64| {
            let times = narrow(rate * seconds);
            let each = there.iter();
            each.map(|(bucket, share)| Bucket::of(bucket, share * times))
                .collect()
        };
        Expected {
            seconds,
            reads: buckets(&state.reads, reads),
            writes: buckets(&state.writes, writes),
        }
    }

    fn draw(&self, rng: &mut Rng) -> (Counts, Counts) {
        let reads = counted(self.reads.iter().copied(), rng);
        (reads, counted(self.writes.iter().copied(), rng))
    }
}

impl State {
    /// What is expected to happen in so many seconds of it.
    fn expected(&mut self, seconds: f64) -> &Expected {
        let known = self.expected.take();
        let known = known.filter(|known| known.seconds.total_cmp(&seconds).is_eq());
        let known = known.unwrap_or_else(|| Box::new(Expected::of(self, seconds)));
        self.expected.insert(known)
    }
}

impl Bucket {
    fn of(number: usize, expected: f32) -> Self {
        Bucket {
            count: Poisson::of(expected),
            number: u16::try_from(number).unwrap_or(0),
            middle_ns: middle_ns(number),
        }
    }
}

fn counted(expected: impl Iterator<Item = Bucket>, rng: &mut Rng) -> Counts {
    let most = expected.size_hint().1.unwrap_or(0);
    let mut counts = Counts {
        buckets: Vec::with_capacity(most),
        sum_ns: 0,
    };
    let mut sum = 0.0;
    for bucket in expected {
        let count = bucket.count.draw(rng);
        if count > 0 {
            counts.buckets.push((bucket.number, u64::from(count)));
            sum += f64::from(count) * bucket.middle_ns;
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
