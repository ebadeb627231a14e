//! A latency histogram as the kernel counted it: pure data on the scale of [`weir_agent_ebpf::scale`].

use weir_agent_ebpf::layout::{Figure, RawHistogram};
use weir_agent_ebpf::scale::{BUCKETS, bucket_of, upper_bound_ns};

/// How many intervals lay in each bucket, and their sum.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    sum_ns: u64,
    /// Intervals that are in no bucket.
    unbucketed: u64,
}

impl Histogram {
    /// The number of intervals.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.unbucketed
    }

    /// Intervals that are in no bucket: the kernel's pool of histograms was empty. They are in the sum and the
    /// number of all.
    #[must_use]
    pub fn unbucketed(&self) -> u64 {
        self.unbucketed
    }

    /// The sum of all intervals, in nanoseconds.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The intervals of each bucket, in ascending order of the buckets.
    #[must_use]
    pub fn counts(&self) -> &[u64; BUCKETS] {
        &self.counts
    }

    /// The intervals that were at most `bound_ns` long, which must be a bucket's upper bound to be
    /// exact; for any other figure the bucket that holds it counts whole.
    #[must_use]
    pub fn count_up_to(&self, bound_ns: u64) -> u64 {
        self.counts[..=bucket_of(bound_ns)].iter().sum()
    }

    /// The upper bound, in nanoseconds, of the bucket that holds the smallest interval that at least
    /// the fraction `q` of all intervals does not exceed. So the true quantile is at most this, and
    /// at least 8/9 of it; `u64::MAX` if it lies in the last bucket, which has no bound, or in none.
    ///
    /// `None` if there are no intervals.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a count, clamped to 1..=count"
        )]
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|in_bucket| {
            seen += in_bucket;
            seen >= rank
        });
        Some(bucket.and_then(upper_bound_ns).unwrap_or(u64::MAX))
    }

    /// Adds an interval.
    pub fn record(&mut self, ns: u64) {
        self.counts[bucket_of(ns)] += 1;
        self.sum_ns = self.sum_ns.wrapping_add(ns);
    }

    /// Adds all of another histogram's intervals.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts.iter()) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
        self.unbucketed += other.unbucketed;
    }

    /// What was recorded since `earlier`, an older reading of the same histogram. If it is not one
    /// (the volume's slot was given anew in between, say), then everything counts as new.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let mut pairs = self.counts.iter().zip(earlier.counts.iter());
        if pairs.any(|(now, then)| now < then) || self.unbucketed < earlier.unbucketed {
            return self.clone();
        }
        let mut window = self.clone();
        for (now, then) in window.counts.iter_mut().zip(earlier.counts.iter()) {
            *now -= then;
        }
        window.sum_ns = self.sum_ns.wrapping_sub(earlier.sum_ns);
        window.unbucketed = self.unbucketed - earlier.unbucketed;
        window
    }
}

impl Histogram {
    /// Of wider buckets than ours: the inclusive upper bound of each, in nanoseconds, and the intervals in it, which all go to
    /// the bucket that holds this bound. The last bound may be `u64::MAX`: none.
    #[must_use]
    pub fn folded(buckets: impl IntoIterator<Item = (u64, u64)>, sum_ns: u64) -> Self {
        let mut histogram = Histogram {
            sum_ns,
            ..Histogram::default()
        };
        for (bound_ns, count) in buckets {
            histogram.counts[bucket_of(bound_ns)] += count;
        }
        histogram
    }

    /// As the programs recorded it.
    #[must_use]
    pub fn recorded(figure: &Figure, buckets: &RawHistogram) -> Self {
        Histogram {
            counts: Box::new(buckets.buckets),
            sum_ns: figure.sum_ns,
            unbucketed: figure.unbucketed,
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::recorded(&Figure::default(), &RawHistogram::EMPTY)
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("sum_ns", &self.sum_ns)
            .field("p50_ns", &self.quantile(0.5))
            .field("p99_ns", &self.quantile(0.99))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(intervals: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for ns in intervals {
            histogram.record(*ns);
        }
        histogram
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn exact_powers_of_two_are_their_own_quantile() {
        let histogram = of(&[1 << 20, 1 << 21, 1 << 22]);
        assert_eq!(histogram.quantile(0.0), Some(1 << 20));
        assert_eq!(histogram.quantile(0.5), Some(1 << 21));
        assert_eq!(histogram.quantile(1.0), Some(1 << 22));
        assert_eq!(histogram.count_up_to(1 << 21), 2);
    }

    #[test]
    fn an_interval_beyond_the_scale_has_no_bound() {
        assert_eq!(of(&[u64::MAX]).quantile(0.5), Some(u64::MAX));
    }

    #[test]
    fn what_found_no_bucket_has_no_bound() {
        let figure = Figure {
            sum_ns: 300,
            unbucketed: 2,
            ..Figure::default()
        };
        let histogram = Histogram::recorded(&figure, &RawHistogram::EMPTY);
        assert_eq!((histogram.count(), histogram.sum_ns()), (2, 300));
        assert_eq!(histogram.quantile(0.5), Some(u64::MAX));
    }

    #[test]
    fn a_histogram_that_was_begun_anew_counts_whole() {
        let (old, new) = (of(&[5_000, 6_000]), of(&[7_000_000]));
        assert_eq!(new.since(&old), new);
    }

    proptest! {
        #[test]
        fn what_was_merged_can_be_taken_away_again(
            a in proptest::collection::vec(0..1u64 << 40, 0..50),
            b in proptest::collection::vec(0..1u64 << 40, 0..50),
        ) {
            let mut both = of(&a);
            both.merge(&of(&b));
            prop_assert_eq!(both.count(), (a.len() + b.len()) as u64);
            prop_assert_eq!(both.sum_ns(), a.iter().chain(&b).sum::<u64>());
            prop_assert_eq!(both.since(&of(&a)), of(&b));
        }

        /// Seen red with: `.floor()` instead of `.ceil()` in `quantile`.
        #[test]
        fn a_quantile_is_the_true_one_rounded_up_by_an_eighth_at_most(
            mut intervals in proptest::collection::vec(1024..1u64 << 36, 1..200), q in 0.0..=1.0f64,
        ) {
            let histogram = of(&intervals);
            intervals.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let rank = ((q * intervals.len() as f64).ceil() as usize).max(1);
            let truth = intervals[rank - 1];
            let bound = histogram.quantile(q).unwrap();
            prop_assert!(truth <= bound && (bound - truth) as f64 <= truth as f64 / 8.0);
        }
    }
}
