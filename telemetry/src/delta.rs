//! What was added to a series: a histogram of which only the buckets that grew are there.

use weir_agent_ebpf::scale::{BUCKETS, upper_bound_ns};

/// Intervals that were added to a series, by bucket of [`weir_agent_ebpf::scale`], and their sum.
///
/// Counts stop at the greatest that fits: what a peer sends makes nothing overflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Ascending buckets below [`BUCKETS`], each once.
    buckets: Vec<(u16, u64)>,
    unbucketed: u64,
    sum_ns: u64,
}

/// Buckets that are no histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// One does not follow the one before it.
    #[error("bucket {0} is not above the one before it")]
    Order(u32),
    /// One is beyond the scale.
    #[error("bucket {0} is beyond the scale of {BUCKETS}")]
    Beyond(u32),
}

impl Delta {
    /// Of a histogram's buckets, as many as the scale has at most; further ones are not looked at.
    #[must_use]
    pub fn of_buckets(buckets: &[u64], unbucketed: u64, sum_ns: u64) -> Self {
        let grown = (0..).zip(buckets.iter().take(BUCKETS));
        Delta {
            buckets: grown
                .filter(|(_, added)| **added > 0)
                .map(|(bucket, added)| (bucket, *added))
                .collect(),
            unbucketed,
            sum_ns,
        }
    }

    /// Of intervals of which only the number and the sum, in nanoseconds, are known.
    #[must_use]
    pub fn of_sum(count: u64, sum_ns: u64) -> Self {
        Delta {
            buckets: Vec::new(),
            unbucketed: count,
            sum_ns,
        }
    }

    /// Of buckets as they came.
    ///
    /// # Errors
    /// They do not ascend, or one is beyond the scale.
    pub fn of_ascending(
        buckets: impl IntoIterator<Item = (u32, u64)>,
        unbucketed: u64,
        sum_ns: u64,
    ) -> Result<Self, BucketError> {
        let mut checked: Vec<(u16, u64)> = Vec::new();
        for (bucket, added) in buckets {
            let narrow = u16::try_from(bucket).ok();
            let narrow = narrow.filter(|bucket| usize::from(*bucket) < BUCKETS);
            let narrow = narrow.ok_or(BucketError::Beyond(bucket))?;
            if checked.last().is_some_and(|(last, _)| *last >= narrow) {
                return Err(BucketError::Order(bucket));
            }
            checked.push((narrow, added));
        }
        Ok(Delta {
            buckets: checked,
            unbucketed,
            sum_ns,
        })
    }

    /// How many intervals.
    #[must_use]
    pub fn count(&self) -> u64 {
        let bucketed = self.buckets.iter().map(|(_, added)| *added);
        bucketed.fold(self.unbucketed, u64::saturating_add)
    }

    /// Their sum, in nanoseconds.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Intervals that are in no bucket, but in number and sum.
    #[must_use]
    pub fn unbucketed(&self) -> u64 {
        self.unbucketed
    }

    /// The buckets that grew, ascending, and by how much.
    #[must_use]
    pub fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0 && self.sum_ns == 0
    }

    /// Adds another's intervals.
    pub fn merge(&mut self, other: &Delta) {
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let (mut ours, mut theirs) = (self.buckets.iter(), other.buckets.iter());
        let (mut mine, mut their) = (ours.next(), theirs.next());
        loop {
            match (mine, their) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    merged.push((a.0, a.1.saturating_add(b.1)));
                    (mine, their) = (ours.next(), theirs.next());
                }
                (Some(a), Some(b)) if a.0 > b.0 => {
                    merged.push(*b);
                    their = theirs.next();
                }
                (Some(a), _) => {
                    merged.push(*a);
                    mine = ours.next();
                }
                (None, Some(b)) => {
                    merged.push(*b);
                    their = theirs.next();
                }
                (None, None) => break,
            }
        }
        self.buckets = merged;
        self.unbucketed = self.unbucketed.saturating_add(other.unbucketed);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// The inclusive upper bound, in nanoseconds, of the bucket that holds the smallest interval that at least the fraction
    /// `q` of all that are in buckets does not exceed; `u64::MAX` if it is the last one, which has no bound.
    ///
    /// `None` if no interval is in a bucket.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let buckets = self.buckets.iter();
        let weights = buckets.map(|(bucket, added)| (usize::from(*bucket), *added as f64));
        quantile(weights, q)
    }
}

/// The quantile of buckets and their weights, which come in ascending order: see [`Delta::quantile`].
pub(crate) fn quantile(weights: impl Iterator<Item = (usize, f64)> + Clone, q: f64) -> Option<u64> {
    let all: f64 = weights.clone().map(|(_, weight)| weight).sum();
    if all <= 0.0 {
        return None;
    }
    let rank = q.clamp(0.0, 1.0) * all;
    let mut seen = 0.0;
    let mut last = None;
    for (bucket, weight) in weights.filter(|(_, weight)| *weight > 0.0) {
        seen += weight;
        last = Some(bucket);
        if seen >= rank {
            break;
        }
    }
    // Rounding may leave the sum of the parts a little below the whole: then it is the last one.
    last.map(|bucket| upper_bound_ns(bucket).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_agent_ebpf::scale::bucket_of;

    fn of(intervals: &[u64]) -> Delta {
        let mut buckets = [0; BUCKETS];
        for ns in intervals {
            buckets[bucket_of(*ns)] += 1;
        }
        Delta::of_buckets(&buckets, 0, intervals.iter().sum())
    }

    #[test]
    fn buckets_that_are_no_histogram_are_refused() {
        let of = |buckets: &[(u32, u64)]| Delta::of_ascending(buckets.iter().copied(), 0, 0);
        assert_eq!(of(&[(209, 1)]).unwrap().count(), 1);
        assert_eq!(of(&[(210, 1)]), Err(BucketError::Beyond(210)));
        assert_eq!(of(&[(u32::MAX, 1)]), Err(BucketError::Beyond(u32::MAX)));
        assert_eq!(of(&[(3, 1), (3, 1)]), Err(BucketError::Order(3)));
        assert_eq!(of(&[(3, 1), (2, 1)]), Err(BucketError::Order(2)));
    }

    #[test]
    fn nothing_that_a_peer_sends_overflows() {
        let greatest = [(0, u64::MAX), (1, u64::MAX)];
        let mut delta = Delta::of_ascending(greatest, u64::MAX, u64::MAX).unwrap();
        delta.merge(&delta.clone());
        assert_eq!((delta.count(), delta.sum_ns()), (u64::MAX, u64::MAX));
        assert_eq!(delta.quantile(1.0), Some(upper_bound_ns(1).unwrap()));
    }

    #[test]
    fn sums_without_buckets_have_no_quantile() {
        let delta = Delta::of_sum(3, 300);
        assert_eq!((delta.count(), delta.sum_ns()), (3, 300));
        assert_eq!(delta.quantile(0.99), None);
        assert!(!delta.is_empty() && Delta::default().is_empty());
    }

    proptest! {
        /// Seen red with: `a.0 >= b.0` in the first guard of `merge`.
        #[test]
        fn merged_deltas_are_the_delta_of_all(
            a in proptest::collection::vec(0..1u64 << 38, 0..60),
            b in proptest::collection::vec(0..1u64 << 38, 0..60),
        ) {
            let mut both = of(&a);
            both.merge(&of(&b));
            prop_assert_eq!(both, of(&[a, b].concat()));
        }

        #[test]
        fn a_quantile_is_the_true_one_rounded_up_to_its_bucket(
            mut intervals in proptest::collection::vec(1024..1u64 << 36, 1..100), q in 0.01..=1.0f64,
        ) {
            let found = of(&intervals).quantile(q).unwrap();
            intervals.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let rank = ((q * intervals.len() as f64).ceil() as usize).max(1);
            let truth = intervals[rank - 1];
            prop_assert_eq!(Some(found), upper_bound_ns(bucket_of(truth)));
        }
    }
}
