//! A histogram that forgets: what lies back by the window's length weighs 1/e of what is new.

use std::ops::Range;
use std::time::Duration;

use weir_agent_ebpf::scale::{BUCKETS, lower_bound_ns, upper_bound_ns};

use super::narrow;

/// Weights are kept as they would be at `origin`: a new I/O weighs the more, the later it comes. So nothing but the
/// buckets that grow is touched, until the factor becomes large and all are brought to a new origin.
#[derive(Clone, Debug)]
pub(super) struct Window {
    length: Duration,
    origin: Duration,
    weights: Box<[f32; BUCKETS]>,
    /// The buckets that have any weight are among these.
    touched: Range<usize>,
    total: f32,
}

/// The factor from which on a new origin is taken. Single precision has room for far more.
const LARGE: f64 = 1e6;

impl Window {
    pub(super) fn new(length: Duration, now: Duration) -> Self {
        Window {
            length,
            origin: now,
            weights: Box::new([0.0; BUCKETS]),
            touched: 0..0,
            total: 0.0,
        }
    }

    /// Adds what ended just now: buckets in ascending order, and how many in each.
    pub(super) fn add(&mut self, buckets: &[(u16, u64)], now: Duration) {
        let [(first, _), ..] = buckets else { return };
        let mut factor = self.age(now).exp();
        if factor > LARGE {
            let fading = narrow(1.0 / factor);
            let touched = &mut self.weights[self.touched.clone()];
            touched.iter_mut().for_each(|weight| *weight *= fading);
            self.total *= fading;
            self.origin = now;
            factor = 1.0;
        }
        for (bucket, added) in buckets {
            let weight = narrow(*added as f64 * factor);
            if let Some(there) = self.weights.get_mut(usize::from(*bucket)) {
                *there += weight;
                self.total += weight;
            }
        }
        let (mut low, mut high) = (usize::from(*first), usize::from(*first) + 1);
        if let [.., (last, _)] = buckets {
            high = high.max(usize::from(*last) + 1);
        }
        if !self.touched.is_empty() {
            low = low.min(self.touched.start);
            high = high.max(self.touched.end);
        }
        self.touched = low.min(BUCKETS)..high.min(BUCKETS);
    }

    /// Forgets everything but what another window, a shorter one, has left of it.
    pub(super) fn begin_with(&mut self, other: &Window, now: Duration) {
        let fading = narrow((-other.age(now)).exp());
        for (weight, left) in self.weights.iter_mut().zip(&other.weights[..]) {
            *weight = left * fading;
        }
        self.touched = other.touched.clone();
        self.total = other.total * fading;
        self.origin = now;
    }

    /// How many, those that lie back weighing less.
    pub(super) fn count(&self, now: Duration) -> f64 {
        f64::from(self.total) * (-self.age(now)).exp()
    }

    /// Where a quantile lies, in microseconds: inside of a bucket, evenly by logarithms. `None`: nothing is left to
    /// tell it by.
    pub(super) fn quantile(&self, q: f32) -> Option<f32> {
        let all: f32 = self.weights[self.touched.clone()].iter().sum();
        if all <= 0.0 {
            return None;
        }
        // From above: what is looked for is near the end.
        let mut above = (1.0 - q) * all;
        for bucket in self.touched.clone().rev() {
            let weight = self.weights[bucket];
            if weight > 0.0 && weight >= above {
                return Some(inside(bucket, 1.0 - above / weight));
            }
            above -= weight;
        }
        Some(inside(0, 1.0))
    }

    /// In lengths of the window.
    fn age(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.origin);
        age.as_secs_f64() / self.length.as_secs_f64()
    }
}

/// A point of a bucket, in microseconds.
fn inside(bucket: usize, part: f32) -> f32 {
    let low = narrow(lower_bound_ns(bucket).max(512) as f64 / 1e3);
    let high = upper_bound_ns(bucket).map_or(low, |bound| narrow(bound as f64 / 1e3));
    low * (high / low).powf(part.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_agent_ebpf::scale::bucket_of;

    fn at(micros: u64, count: u64) -> [(u16, u64); 1] {
        [(u16::try_from(bucket_of(micros * 1000)).unwrap(), count)]
    }

    /// Seen red with: `factor` always 1.
    #[test]
    fn what_lies_back_weighs_less() {
        let second = Duration::from_secs(1);
        let mut window = Window::new(10 * second, second);
        window.add(&at(100, 1000), second);
        let later = 11 * second;
        assert!((window.count(later) - 1000.0 / std::f64::consts::E).abs() < 0.1);
        // As many, but now: they are almost three of four.
        window.add(&at(1600, 1000), later);
        let median = window.quantile(0.5).unwrap();
        assert!((1400.0..1800.0).contains(&median), "{median}");
        let tenth = window.quantile(0.1).unwrap();
        assert!((80.0..120.0).contains(&tenth), "{tenth}");
    }

    proptest! {
        /// Seen red with: `self.origin = now` left out of `add`.
        #[test]
        fn weights_are_as_the_window_says(steps in proptest::collection::vec((0..200u64, 1..1_000_000u64), 1..40)) {
            let mut window = Window::new(Duration::from_secs(10), Duration::ZERO);
            let (mut now, mut all) = (Duration::ZERO, Vec::new());
            for (seconds, count) in steps {
                now += Duration::from_secs(seconds);
                window.add(&at(50, count), now);
                all.push((now, count));
            }
            let weight = |(at, count): &(Duration, u64)| *count as f64 * (-(now - *at).as_secs_f64() / 10.0).exp();
            let expected: f64 = all.iter().map(weight).sum();
            prop_assert!((window.count(now) - expected).abs() <= expected * 1e-3);
        }
    }
}
