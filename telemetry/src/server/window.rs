//! A histogram that forgets: what lies back by the window's length weighs 1/e of what is new.

use std::time::{Duration, Instant};

use weir_agent_ebpf::scale::BUCKETS;

use crate::delta::{Delta, quantile};

/// The windows that placement looks at (design.md, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// 10 seconds: what is the case now.
    Seconds,
    /// 5 minutes: what has been lately.
    Minutes,
    /// 24 hours: how the pool is by its nature.
    Day,
}

impl Span {
    /// All of them, from the shortest.
    pub const ALL: [Span; 3] = [Span::Seconds, Span::Minutes, Span::Day];

    /// Its length.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Span::Seconds => 10,
            Span::Minutes => 5 * 60,
            Span::Day => 24 * 60 * 60,
        })
    }
}

/// Weights are kept as they would be at `origin`: a new interval weighs the more, the later it comes. So nothing but the buckets that grow
/// is touched, until the factor becomes large and all are brought to a new origin.
#[derive(Clone, Debug)]
pub struct Window {
    length: Duration,
    origin: Instant,
    weights: Box<[f32; BUCKETS]>,
    unbucketed: f32,
    sum_ns: f64,
}

/// The factor from which on a new origin is taken. Single precision has room for far more, and the smallest counts beside it.
const LARGE: f64 = 1e6;

impl Window {
    /// Nothing yet.
    #[must_use]
    pub fn new(span: Span, now: Instant) -> Self {
        Window {
            length: span.length(),
            origin: now,
            weights: Box::new([0.0; BUCKETS]),
            unbucketed: 0.0,
            sum_ns: 0.0,
        }
    }

    /// Adds what was added just now.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "weights are no exact counts"
    )]
    pub fn add(&mut self, delta: &Delta, now: Instant) {
        let mut factor = self.age(now).exp();
        if factor > LARGE {
            self.begin_at(now);
            factor = 1.0;
        }
        for (bucket, added) in delta.buckets() {
            self.weights[usize::from(*bucket)] += (*added as f64 * factor) as f32;
        }
        self.unbucketed += (delta.unbucketed() as f64 * factor) as f32;
        self.sum_ns += delta.sum_ns() as f64 * factor;
    }

    /// How many intervals, those that lie back weighing less.
    #[must_use]
    pub fn count(&self, now: Instant) -> f64 {
        let weights = self.weights.iter().map(|weight| f64::from(*weight));
        (weights.sum::<f64>() + f64::from(self.unbucketed)) * self.fading(now)
    }

    /// Their mean; `None` if there is nothing to tell it by: less than a tenth of an interval is left.
    #[must_use]
    pub fn mean(&self, now: Instant) -> Option<Duration> {
        let count = self.count(now);
        (count >= LEAST).then(|| nanoseconds(self.sum_ns * self.fading(now) / count))
    }

    /// The upper bound of the bucket in which the quantile lies, as [`Delta::quantile`]; `None` if there is nothing to tell it by:
    /// less than a tenth of an interval is left.
    #[must_use]
    pub fn quantile(&self, q: f64, now: Instant) -> Option<Duration> {
        if self.count(now) < LEAST {
            return None;
        }
        let weights = self.weights.iter().map(|weight| f64::from(*weight));
        quantile(weights.enumerate(), q).map(Duration::from_nanos)
    }

    /// In lengths of the window.
    fn age(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.origin);
        age.as_secs_f64() / self.length.as_secs_f64()
    }

    fn fading(&self, now: Instant) -> f64 {
        (-self.age(now)).exp()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "weights are no exact counts"
    )]
    fn begin_at(&mut self, now: Instant) {
        let fading = self.fading(now);
        for weight in self.weights.iter_mut() {
            *weight *= fading as f32;
        }
        self.unbucketed *= fading as f32;
        self.sum_ns *= fading;
        self.origin = now;
    }
}

/// Of how much of an interval something is told.
const LEAST: f64 = 0.1;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nanoseconds; what does not fit is as long as can be said"
)]
pub(super) fn nanoseconds(ns: f64) -> Duration {
    Duration::from_nanos(ns.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_agent_ebpf::scale::{bucket_of, upper_bound_ns};

    fn intervals(ns: u64, count: u64) -> Delta {
        let mut buckets = [0; BUCKETS];
        buckets[bucket_of(ns)] = count;
        Delta::of_buckets(&buckets, 0, ns * count)
    }

    #[test]
    fn what_lies_back_weighs_less() {
        let begin = Instant::now();
        let mut window = Window::new(Span::Seconds, begin);
        window.add(&intervals(1 << 20, 1000), begin);
        let later = begin + Duration::from_secs(10);
        let expected = 1000.0 / std::f64::consts::E;
        assert!((window.count(later) - expected).abs() < 0.01);
        // A tenth as many, but now: more than a quarter of the weight.
        window.add(&intervals(1 << 24, 200), later);
        assert_eq!(
            window.quantile(0.5, later),
            Some(Duration::from_nanos(1 << 20))
        );
        assert_eq!(
            window.quantile(0.9, later),
            Some(Duration::from_nanos(1 << 24))
        );
        let long_after = begin + Duration::from_secs(500);
        assert_eq!(window.quantile(0.9, long_after), None);
        assert_eq!(window.mean(long_after), None);
    }

    #[test]
    fn an_empty_window_tells_nothing() {
        let now = Instant::now();
        let window = Window::new(Span::Day, now);
        assert_eq!((window.quantile(0.5, now), window.mean(now)), (None, None));
    }

    proptest! {
        /// Against weights that are computed one by one.
        ///
        /// Seen red with: `self.origin = now` left out of `begin_at`.
        #[test]
        fn weights_are_as_the_window_says(
            steps in proptest::collection::vec((0..200u64, 0..4usize, 1..1_000_000u64), 1..40),
        ) {
            let begin = Instant::now();
            let (mut window, mut now) = (Window::new(Span::Seconds, begin), begin);
            let mut all = Vec::new();
            for (seconds, octave, count) in steps {
                now += Duration::from_secs(seconds);
                let ns = 1 << (14 + 2 * octave);
                window.add(&intervals(ns, count), now);
                all.push((now, ns, count as f64));
            }
            let weight = |at: Instant, count: f64| {
                count * (-(now - at).as_secs_f64() / 10.0).exp()
            };
            let count: f64 = all.iter().map(|(at, _, count)| weight(*at, *count)).sum();
            let sum: f64 = all.iter().map(|(at, ns, count)| weight(*at, *count) * *ns as f64).sum();
            prop_assert!((window.count(now) - count).abs() <= count * 1e-4);
            let mean = window.mean(now).unwrap().as_secs_f64() * 1e9;
            prop_assert!((mean - sum / count).abs() <= sum / count * 1e-4 + 1.0);
            let highest = all.iter().filter(|(at, _, count)| weight(*at, *count) > 0.0);
            let highest = highest.map(|(_, ns, _)| *ns).max().unwrap();
            let found = window.quantile(1.0, now).unwrap();
            prop_assert!(found <= Duration::from_nanos(upper_bound_ns(bucket_of(highest)).unwrap()));
        }
    }
}
