//! The histogram scale: log-linear, 8 buckets for every power of two, from 1 µs to 69 s.
//!
//! A bucket's upper bound is *inclusive*, as Prometheus' `le` is: the bucket is taken of `ns - 1`,
//! so an interval of exactly 2^k ns lies in the bucket that ends at 2^k ns. Each bound is at most
//! 12.5 % above the lower one. The first bucket holds everything up to [`FINEST_NS`], the last one
//! everything above [`COARSEST_NS`].

/// Buckets per power of two, as a power of two.
const SUB_BITS: u32 = 3;
const SUBS: usize = 1 << SUB_BITS;

/// The first bucket ends at 2^this ns.
const LOW_BITS: u32 = 10;
/// The last bucket begins above 2^this ns.
const HIGH_BITS: u32 = 36;

/// The inclusive upper bound of the first bucket, in nanoseconds.
pub const FINEST_NS: u64 = 1 << LOW_BITS;

/// Intervals longer than this many nanoseconds share the last bucket, which has no upper bound.
pub const COARSEST_NS: u64 = 1 << HIGH_BITS;

/// The number of buckets, the two open ends included.
pub const BUCKETS: usize = 2 + (HIGH_BITS - LOW_BITS) as usize * SUBS;

/// The bucket that holds an interval of `ns` nanoseconds: below [`BUCKETS`].
#[must_use]
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "only the low bits are wanted"
)]
pub const fn bucket_of(ns: u64) -> usize {
    if ns <= FINEST_NS {
        return 0;
    }
    if ns > COARSEST_NS {
        return BUCKETS - 1;
    }
    let below = ns - 1;
    let exponent = floor_log2(below);
    let sub = (below >> (exponent - SUB_BITS)) as usize & (SUBS - 1);
    1 + (exponent - LOW_BITS) as usize * SUBS + sub
}

/// The inclusive upper bound of a bucket in nanoseconds; `None` for the last one, which has none.
#[must_use]
pub const fn upper_bound_ns(bucket: usize) -> Option<u64> {
    if bucket == 0 {
        return Some(FINEST_NS);
    }
    if bucket >= BUCKETS - 1 {
        return None;
    }
    let octave = (bucket - 1) / SUBS;
    let sub = (bucket - 1) % SUBS;
    let width = (FINEST_NS >> SUB_BITS) << octave;
    Some((SUBS + sub + 1) as u64 * width)
}

/// The exclusive lower bound of a bucket in nanoseconds.
#[must_use]
pub const fn lower_bound_ns(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    match upper_bound_ns(bucket - 1) {
        Some(bound) => bound,
        None => COARSEST_NS,
    }
}

/// Eight comparisons at most. BPF has no instruction that counts leading zeros, and what LLVM
/// emits in its place is longer than this.
#[inline(always)]
const fn floor_log2(value: u64) -> u32 {
    let mut rest = value;
    let mut log = 0;
    let mut step = 32;
    while step > 0 {
        if rest >> step != 0 {
            rest >>= step;
            log += step;
        }
        step /= 2;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for bucket in 0..BUCKETS - 1 {
            let bound = upper_bound_ns(bucket).unwrap();
            assert_eq!(bucket_of(bound), bucket, "{bound} ns");
            assert_eq!(bucket_of(bound + 1), bucket + 1, "{bound} ns + 1");
            assert_eq!(lower_bound_ns(bucket + 1), bound);
        }
        assert_eq!(upper_bound_ns(BUCKETS - 1), None);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(0), 0);
    }

    /// Seen red with: `let below = ns;` in `bucket_of`.
    #[test]
    fn an_exact_power_of_two_is_its_buckets_inclusive_upper_bound() {
        for bits in LOW_BITS..=HIGH_BITS {
            let ns = 1u64 << bits;
            assert_eq!(upper_bound_ns(bucket_of(ns)), Some(ns), "2^{bits}");
        }
    }

    proptest! {
        /// Seen red with: `const SUB_BITS: u32 = 2;`.
        #[test]
        fn a_bound_is_at_most_an_eighth_above_what_lies_in_its_bucket(
            bits in LOW_BITS..HIGH_BITS, fraction in 0.0..1.0f64,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^36")]
            let ns = ((1u64 << bits) as f64 * (1.0 + fraction)) as u64 + 1;
            let bucket = bucket_of(ns);
            let upper = upper_bound_ns(bucket).unwrap();
            prop_assert!(lower_bound_ns(bucket) < ns && ns <= upper);
            prop_assert!((upper - ns) as f64 <= ns as f64 * 0.125);
        }

        #[test]
        fn the_bucket_never_falls_as_the_interval_grows(a: u64, b: u64) {
            let (small, large) = (a.min(b), a.max(b));
            prop_assert!(bucket_of(small) <= bucket_of(large));
            prop_assert!(bucket_of(large) < BUCKETS);
        }

        #[test]
        fn the_logarithm_is_the_machines(value in 1u64..) {
            prop_assert_eq!(floor_log2(value), value.ilog2());
        }
    }
}
