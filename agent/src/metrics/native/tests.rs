//! The native scale against the kernel's.

use proptest::prelude::*;
use weir_agent_ebpf::scale::{BUCKETS, COARSEST_NS, bucket_of, lower_bound_ns, upper_bound_ns};

use super::*;
use crate::metrics::coarse::BOUNDS_NS;

/// The upper bound of a native bucket in nanoseconds, as the format defines it.
fn native_bound_ns(number: i32) -> f64 {
    (f64::from(number) / 8.0).exp2() * 1e9
}

/// Counts by the native bucket's number, as a reader of spans and deltas gets them.
fn read(native: &Native) -> Vec<(i32, i64)> {
    let (mut number, mut count) = (0, 0);
    let mut deltas = native.deltas.iter();
    let mut counts = Vec::new();
    for span in &native.spans {
        number += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            counts.push((number, count));
            number += 1;
        }
    }
    assert_eq!(
        deltas.next(),
        None,
        "more deltas than the spans have buckets"
    );
    counts
}

fn of(intervals: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    intervals.iter().for_each(|ns| histogram.record(*ns));
    histogram
}

/// The one native bucket that an interval goes to.
fn bucket_number(ns: u64) -> i32 {
    let buckets = read(&Native::from(&of(&[ns])));
    assert_eq!(buckets.len(), 1, "{ns} ns");
    buckets[0].0
}

/// Seen red with: `const SHIFT: i32 = -158;`.
#[test]
fn each_bucket_goes_to_the_native_one_that_holds_its_geometric_middle() {
    for bucket in 1..BUCKETS - 1 {
        let (lower, upper) = (lower_bound_ns(bucket), upper_bound_ns(bucket).unwrap());
        let middle = (lower as f64 * upper as f64).sqrt();
        let number = bucket_number(upper);
        // No middle is so close to a bound that arithmetic could be in doubt.
        assert!(
            native_bound_ns(number - 1) * 1.0001 < middle,
            "{lower} to {upper} ns"
        );
        assert!(
            middle * 1.0001 < native_bound_ns(number),
            "{lower} to {upper} ns"
        );
    }
}

/// What METRICS.md says of the error: a figure read anywhere in a native bucket, over an interval anywhere in the
/// bucket that was put there.
///
/// Seen red with: `const SHIFT: i32 = -160;`.
#[test]
fn what_is_read_lies_between_0_878_and_1_108_times_what_was_measured() {
    let ratios = (1..BUCKETS - 1).map(|bucket| {
        let (lower, upper) = (lower_bound_ns(bucket), upper_bound_ns(bucket).unwrap());
        let number = bucket_number(upper);
        let least = native_bound_ns(number - 1) / upper as f64;
        (least, native_bound_ns(number) / lower as f64)
    });
    let (least, most) = ratios.fold((1.0, 1.0), |(least, most): (f64, f64), ratio| {
        (least.min(ratio.0), most.max(ratio.1))
    });
    let document = include_str!("../../../METRICS.md");
    assert!(document.contains(&format!("between {least:.3} and {most:.3} times")));
    assert_eq!(
        (format!("{least:.3}"), format!("{most:.3}")),
        ("0.878".to_owned(), "1.108".to_owned())
    );
}

/// The whole way of an interval at, and one nanosecond above, each power of two: the kernel's bucket, the classic one,
/// the native one.
///
/// Seen red with: `let below = ns;` in `scale::bucket_of` (in the kernel's bucket); `..bucket_of(bound_ns)` in
/// `Histogram::count_up_to` (in the classic one).
#[test]
fn exact_powers_of_two_lie_below_their_bound_in_every_scale() {
    for bits in 10..=36 {
        let (at, above) = (1u64 << bits, (1u64 << bits) + 1);
        assert_eq!(upper_bound_ns(bucket_of(at)), Some(at), "2^{bits}");
        assert_eq!(bucket_of(above), bucket_of(at) + 1, "2^{bits} + 1");
        if BOUNDS_NS.contains(&at) {
            assert_eq!(of(&[at]).count_up_to(at), 1, "2^{bits}");
            assert_eq!(of(&[above]).count_up_to(at), 0, "2^{bits} + 1");
        }
        if at > FINEST_NS {
            assert_eq!(bucket_number(above), bucket_number(at) + 1, "2^{bits}");
        }
    }
}

#[test]
fn the_zero_bucket_is_the_first_one_exactly() {
    let native = Native::from(&of(&[0, 1, FINEST_NS]));
    assert_eq!((native.zero_count, native.spans.len()), (3, 0));
    let native = Native::from(&of(&[FINEST_NS + 1]));
    assert_eq!((native.zero_count, native.spans.len()), (0, 1));
    assert!((ZERO_THRESHOLD - 1.024e-6).abs() < f64::EPSILON);
}

#[test]
fn what_is_beyond_the_scale_has_a_native_bucket_of_its_own() {
    let number = bucket_number(u64::MAX);
    assert_eq!(number, bucket_number(COARSEST_NS) + 1);
    assert!(native_bound_ns(number - 1) > COARSEST_NS as f64);
}

#[test]
fn near_buckets_share_a_span_and_far_ones_do_not() {
    let bound = |bucket| upper_bound_ns(bucket).unwrap();
    let native = Native::from(&of(&[bound(10), bound(10), bound(13), bound(17)]));
    let first = bucket_number(bound(10));
    assert_eq!(
        native.spans,
        [
            Span {
                offset: first,
                length: 4
            },
            Span {
                offset: 3,
                length: 1
            }
        ]
    );
    assert_eq!(native.deltas, [2, -2, 0, 1, 0]);
}

proptest! {
    /// Seen red with: `before = 0;` left out of the gap's loop.
    #[test]
    fn a_reader_gets_every_count(
        intervals in proptest::collection::vec((0u32..38, any::<u64>()), 0..300),
    ) {
        let intervals: Vec<u64> = intervals
            .iter()
            .map(|(bits, noise)| (1u64 << bits) + noise % (1u64 << bits))
            .collect();
        let histogram = of(&intervals);
        let native = Native::from(&histogram);
        let mut expected = Vec::new();
        for (bucket, &count) in (0..).zip(histogram.counts()).skip(1) {
            if count > 0 {
                expected.push((bucket + SHIFT, i64::try_from(count).unwrap()));
            }
        }
        let mut got = read(&native);
        got.retain(|(_, count)| *count != 0);
        prop_assert_eq!(got, expected);
        prop_assert_eq!(native.zero_count, histogram.counts()[0]);
        let numbers: Vec<i32> = read(&native).into_iter().map(|(number, _)| number).collect();
        prop_assert!(numbers.is_sorted());
    }
}
