//! The two ends of a volume that is used over NVMe, and what lies between them.

use std::time::{Duration, Instant};

use super::history::Totals;
use super::window::nanoseconds;
use crate::delta::Delta;

/// Over how long ends are compared, in seconds: what lies back by this weighs 1/e.
const LENGTH: f64 = 300.0;

/// One end: `total` of the I/Os of one initiator, as one node told it.
#[derive(Clone, Debug)]
pub(super) struct End {
    totals: Totals,
    heard: Instant,
    /// Weighed as of `heard`.
    count: f64,
    sum_ns: f64,
}

/// A mean, and of how many intervals; those that lie back weigh less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// How many.
    pub count: f64,
    /// The mean.
    pub mean: Duration,
}

/// Both ends of a link. What the network and the two hosts' stacks take is the difference of the means: a mean, never a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// On the consumer.
    pub host: Mean,
    /// On the storage node.
    pub target: Mean,
}

impl Network {
    /// The difference; 0 where the ends' different moments make the target's the greater.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.host.mean.saturating_sub(self.target.mean)
    }
}

impl End {
    pub(super) fn new(now: Instant) -> Self {
        End {
            totals: Totals::default(),
            heard: now,
            count: 0.0,
            sum_ns: 0.0,
        }
    }

    /// Counts a delta in that was added over `span` until now.
    pub(super) fn add(&mut self, delta: &Delta, span: Duration, now: Instant) {
        self.totals.add(delta);
        let fading = self.fading(now);
        self.count *= fading;
        self.sum_ns *= fading;
        self.heard = now;
        // The two ends are compared: what one of them told late would be compared with something else.
        if span.as_secs_f64() <= LENGTH {
            self.count += delta.count() as f64;
            self.sum_ns += delta.sum_ns() as f64;
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// `None` if less than one interval is left.
    pub(super) fn mean(&self, now: Instant) -> Option<Mean> {
        let count = self.count * self.fading(now);
        (count >= 1.0).then(|| Mean {
            count,
            mean: nanoseconds(self.sum_ns / self.count),
        })
    }

    fn fading(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.heard);
        (-age.as_secs_f64() / LENGTH).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_what_was_added_lately() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut end = End::new(begin);
        end.add(
            &Delta::of_sum(1000, 1_000_000),
            Duration::from_secs(1),
            begin,
        );
        end.add(
            &Delta::of_sum(1000, 3_000_000),
            Duration::from_secs(1),
            after(1),
        );
        let mean = end.mean(after(1)).unwrap().mean.as_nanos();
        assert!((1_990..=2_010).contains(&mean), "{mean}");
        end.add(
            &Delta::of_sum(1000, 3_000_000),
            Duration::from_secs(1),
            after(3_000),
        );
        let mean = end.mean(after(3_000)).unwrap().mean.as_nanos();
        assert!((2_990..=3_000).contains(&mean), "{mean}");
        // Late, and of other moments than the other end's.
        end.add(
            &Delta::of_sum(1000, 9_000_000),
            Duration::from_secs(600),
            after(3_000),
        );
        assert_eq!(end.totals().count, 4_000);
        assert!(end.mean(after(3_000)).unwrap().mean.as_nanos() <= 3_000);
        assert_eq!(end.mean(after(9_000)), None);
    }

    #[test]
    fn the_network_is_what_only_the_host_sees() {
        let mean = |mean| Mean {
            count: 1.0,
            mean: Duration::from_micros(mean),
        };
        let network = |host, target| Network {
            host: mean(host),
            target: mean(target),
        };
        assert_eq!(network(150, 100).mean(), Duration::from_micros(50));
        assert_eq!(network(100, 150).mean(), Duration::ZERO);
    }
}
