//! The histogram that device mapper is asked to keep: fewer buckets than the eBPF rung has, since it keeps one for
//! every CPU of every volume.
//!
//! A bucket is an eighth of a power of two up there; here it is a quarter, between 16 µs and 268 ms, where volumes live.
//! So what is read from a bucket's upper bound is at most 25 % too high there; outside, up to four times.

use weir_agent_ebpf::scale::BUCKETS;

use crate::histogram::Histogram;

/// So many bounds: with the open end 64 counters, 512 bytes for each CPU.
pub(super) const BOUNDS: usize = 63;

/// Inclusive upper bounds in nanoseconds, each of them a bound of the kernel's scale.
pub(super) const BOUNDS_NS: [u64; BOUNDS] = bounds();

const FIRST_FINE: u32 = 14;
const LAST_FINE: u32 = 28;

const fn bounds() -> [u64; BOUNDS] {
    let mut bounds = [0; BOUNDS];
    let mut n = 0;
    let below = [12, 13, FIRST_FINE];
    while n < below.len() {
        bounds[n] = 1 << below[n];
        n += 1;
    }
    let mut bits = FIRST_FINE;
    while bits < LAST_FINE {
        let mut quarter = 1;
        while quarter <= 4 {
            bounds[n] = (4 + quarter) << (bits - 2);
            n += 1;
            quarter += 1;
        }
        bits += 1;
    }
    let above = [30, 32, 34, 36];
    let mut i = 0;
    while i < above.len() {
        bounds[n] = 1 << above[i];
        n += 1;
        i += 1;
    }
    bounds
}

/// As device mapper wants them: an I/O that took exactly as long as a boundary says lies above it (`dm_stat_for_entry` in
/// drivers/md/dm-stats.c), so each is the first nanosecond that is beyond the bound.
pub(super) fn boundaries() -> String {
    let boundaries = BOUNDS_NS.map(|bound| (bound + 1).to_string());
    boundaries.join(",")
}

/// What device mapper counted, on the scale of all histograms: each bucket goes whole to the one that ends where it ends. So
/// numbers up to a bound of [`BOUNDS_NS`], which all coarse bounds are, are exact.
pub(super) fn fold(counts: &[u64; BOUNDS + 1], sum_ns: u64) -> Histogram {
    let bounds = BOUNDS_NS.into_iter().chain([u64::MAX]);
    Histogram::folded(bounds.zip(counts.iter().copied()), sum_ns)
}

const _: () = assert!(BOUNDS < BUCKETS);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_agent_ebpf::scale::{bucket_of, upper_bound_ns};

    /// Seen red with: `(4 + quarter) << (bits - 2)` plus one.
    #[test]
    fn every_bound_is_a_bound_of_the_kernels_scale() {
        for bound in BOUNDS_NS {
            assert_eq!(upper_bound_ns(bucket_of(bound)), Some(bound));
        }
        assert!(BOUNDS_NS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn where_volumes_live_a_bound_is_at_most_a_quarter_above_the_one_before() {
        let fine = BOUNDS_NS.windows(2).filter(|pair| {
            let [below, bound] = [pair[0], pair[1]];
            below >= 1 << FIRST_FINE && bound <= 1 << LAST_FINE
        });
        let mut pairs = 0;
        for pair in fine {
            assert!((pair[1] - pair[0]) * 4 <= pair[0], "{pair:?}");
            pairs += 1;
        }
        assert_eq!(pairs, 56);
    }

    #[test]
    fn what_was_folded_is_exact_up_to_every_bound() {
        let mut counts = [0; BOUNDS + 1];
        for (n, count) in counts.iter_mut().enumerate() {
            *count = n as u64 + 1;
        }
        let histogram = fold(&counts, 77);
        let mut up_to = 0;
        for (bound, count) in BOUNDS_NS.iter().zip(counts) {
            up_to += count;
            assert_eq!(histogram.count_up_to(*bound), up_to);
        }
        assert_eq!(histogram.count(), counts.iter().sum::<u64>());
        assert_eq!((histogram.sum_ns(), histogram.unbucketed()), (77, 0));
        assert_eq!(histogram.quantile(1.0), Some(u64::MAX));
    }

    #[test]
    fn boundaries_are_exclusive_and_short_enough_for_a_message() {
        let text = boundaries();
        assert!(text.starts_with("4097,8193,16385,20481,"), "{text}");
        assert_eq!(text.split(',').count(), BOUNDS);
        assert!(text.len() < 600, "{}", text.len());
    }
}
