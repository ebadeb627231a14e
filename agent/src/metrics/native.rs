//! A histogram as a Prometheus native one: schema 3, which has 8 buckets for every power of two as the
//! kernel's scale has, but bounds at 2^(i/8) seconds instead of linear ones.
//!
//! Each of the kernel's buckets goes whole to the native one that holds its geometric middle. It turns out
//! that these follow one another without a gap: bucket `n` of the kernel's scale is the native bucket
//! `n + `[`SHIFT`]. The open ends:
//! - the first bucket, 0 to 1.024 µs, is the zero bucket, exactly, since that has a threshold of its own;
//! - the last one, beyond 68.7 s, goes into the next native bucket, 69.8 s to 76.1 s, which no other goes to: what is
//!   read there means "longer than 68.7 s". The bucket for infinity, the other choice, would make quantiles infinite
//!   and spoil every heat map.

use weir_agent_ebpf::scale::FINEST_NS;

use crate::histogram::Histogram;

/// 2^3 buckets for every power of two.
pub(super) const SCHEMA: i32 = 3;

/// The upper bound of the zero bucket in seconds, inclusive.
pub(super) const ZERO_THRESHOLD: f64 = FINEST_NS as f64 / 1e9;

/// From a bucket's number on the kernel's scale to the native one's, whose upper bound is 2^(number/8) seconds.
const SHIFT: i32 = -159;

/// So many empty buckets in a row cost less than a new span.
const CHEAP_GAP: usize = 2;

/// The native part of a histogram; sum and number of intervals are those of the classic part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Native {
    /// Intervals up to [`ZERO_THRESHOLD`].
    pub(super) zero_count: u64,
    /// Where the buckets of `deltas` lie.
    pub(super) spans: Vec<Span>,
    /// The intervals of each bucket, less those of the one before.
    pub(super) deltas: Vec<i64>,
}

/// Consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Buckets left out since the span before; of the first span, the number of its first bucket.
    pub(super) offset: i32,
    /// How many buckets.
    pub(super) length: u32,
}

impl Native {
    /// `None` if not all intervals have a bucket: Prometheus refuses a native histogram whose buckets don't sum to its
    /// count.
    pub(super) fn of(histogram: &Histogram) -> Option<Self> {
        (histogram.unbucketed() == 0).then(|| Native::from(histogram))
    }
}

impl From<&Histogram> for Native {
    fn from(histogram: &Histogram) -> Self {
        let [zero_count, buckets @ ..] = histogram.counts();
        let mut native = Native {
            zero_count: *zero_count,
            ..Native::default()
        };
        let (mut next, mut before) = (0, 0);
        let filled = (1..)
            .zip(buckets)
            .zip(0usize..)
            .filter(|((_, count), _)| **count > 0);
        for ((number, &count), place) in filled {
            let gap = place - next;
            match native.spans.last_mut() {
                Some(span) if gap <= CHEAP_GAP => {
                    for _ in 0..gap {
                        span.length += 1;
                        native.deltas.push(difference(0, before));
                        before = 0;
                    }
                    span.length += 1;
                }
                Some(_) => native.spans.push(Span {
                    offset: i32::try_from(gap).unwrap_or(i32::MAX),
                    length: 1,
                }),
                None => native.spans.push(Span {
                    offset: number + SHIFT,
                    length: 1,
                }),
            }
            native.deltas.push(difference(count, before));
            (next, before) = (place + 1, count);
        }
        native
    }
}

/// Wraps beyond 2^63 intervals, as whoever adds the differences up does.
fn difference(count: u64, before: u64) -> i64 {
    count.wrapping_sub(before).cast_signed()
}

#[cfg(test)]
mod tests;
