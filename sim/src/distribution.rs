//! How long I/Os take: shares of them, on the scale on which agents measure.

use std::cell::OnceCell;
use std::ops::Deref;

use weir_agent_ebpf::scale::{BUCKETS, bucket_of, lower_bound_ns, upper_bound_ns};

/// Shares of I/Os by bucket, from the first bucket that has any on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) first: usize,
    pub(crate) shares: Vec<f32>,
    /// In nanoseconds.
    pub(crate) mean: f64,
}

/// How long an I/O is waited for, and how long it waits before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Response {
    /// Half of them take no longer once they are worked on, in nanoseconds.
    pub(crate) median: f64,
    /// The spread of the logarithm of that.
    pub(crate) spread: f64,
    /// The share that waits.
    pub(crate) waiting: f64,
    /// How long those do, on average.
    pub(crate) wait: f64,
    /// And at most.
    pub(crate) longest_wait: f64,
}

/// The distribution of a response, computed when somebody looks at it: of many states of a pool only the flow matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Later {
    response: Response,
    known: OnceCell<Distribution>,
}

impl Later {
    pub(crate) fn of(response: Response) -> Self {
        Later {
            response,
            known: OnceCell::new(),
        }
    }
}

impl Deref for Later {
    type Target = Distribution;

    fn deref(&self) -> &Distribution {
        self.known.get_or_init(|| Distribution::of(&self.response))
    }
}

/// The points at which a normal distribution is looked at where it is added to another.
const POINTS: usize = 16;
const STEP: f64 = 0.4;
/// Nobody waits for so many times the mean: e⁻⁶⁰ is nothing beside any share that is looked at.
const NEVER: f64 = 60.0;

impl Distribution {
    /// The distribution of a response.
    pub(crate) fn of(response: &Response) -> Self {
        let points = Points::of(response);
        let mut shares = Vec::new();
        let mut first = None;
        let mut above = 1.0;
        for bucket in 0..BUCKETS {
            let longer = match upper_bound_ns(bucket) {
                Some(bound) => tail(response, &points, bound as f64),
                None => 0.0,
            };
            let share = above - longer;
            above = longer;
            if first.is_none() {
                if share < 1e-9 {
                    continue;
                }
                first = Some(bucket);
            }
            shares.push(narrow(share.max(0.0)));
            if longer < 1e-7 {
                break;
            }
        }
        let first = first.unwrap_or(0);
        let each = (first..).zip(&shares);
        let mean = each.map(|(bucket, share)| f64::from(*share) * middle_ns(bucket));
        Distribution {
            mean: mean.sum(),
            first,
            shares,
        }
    }

    /// Each bucket with its share.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        (self.first..).zip(self.shares.iter().copied())
    }

    /// Adds so many I/Os to a histogram.
    pub(crate) fn add_to(&self, counts: &mut [f32; BUCKETS], times: f32) {
        let there = &mut counts[self.first..self.first + self.shares.len()];
        for (count, share) in there.iter_mut().zip(&self.shares) {
            *count += share * times;
        }
    }
}

/// Where a histogram's quantile lies, in nanoseconds; `None` if less than one I/O is in it.
pub(crate) fn quantile(counts: &[f32], first: usize, q: f64) -> Option<f64> {
    let all: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if all < 1.0 {
        return None;
    }
    let rank = q * all;
    let mut seen = 0.0;
    for (bucket, count) in (first..).zip(counts) {
        let count = f64::from(*count);
        if count > 0.0 && seen + count >= rank {
            // Inside of a bucket they lie evenly by their logarithms: without this, all would be rounded up to an eighth.
            let low = (lower_bound_ns(bucket) as f64).max(512.0);
            let high = upper_bound_ns(bucket).map_or(low, |bound| bound as f64);
            return Some(low * (high / low).powf((rank - seen) / count));
        }
        seen += count;
    }
    None
}

/// The middle of a bucket, in nanoseconds.
pub(crate) fn middle_ns(bucket: usize) -> f64 {
    let low = (lower_bound_ns(bucket) as f64).max(512.0);
    let high = upper_bound_ns(bucket).map_or(low, |bound| bound as f64);
    (low * high).sqrt()
}

/// Single precision is what histograms are kept in: shares, not accounts.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a share needs no more digits"
)]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

/// How long the work takes: values, and the weight of each.
struct Points([(f64, f64); POINTS]);

impl Points {
    fn of(response: &Response) -> Self {
        let mut points = [(0.0, 0.0); POINTS];
        let mut all = 0.0;
        for (index, point) in points.iter_mut().enumerate() {
            let z = (index as f64 - (POINTS as f64 - 1.0) / 2.0) * STEP;
            let weight = (-0.5 * z * z).exp();
            all += weight;
            *point = (response.median * (response.spread * z).exp(), weight);
        }
        for point in &mut points {
            point.1 /= all;
        }
        Points(points)
    }
}

/// The share that takes longer than `ns`.
fn tail(response: &Response, points: &Points, ns: f64) -> f64 {
    let z = (ns / response.median).ln() / response.spread;
    let work = above(z);
    if response.waiting <= 0.0 || response.wait <= 0.0 {
        return work;
    }
    let longer = |(value, weight): &(f64, f64)| {
        let left = ns - value;
        if left <= 0.0 {
            *weight
        } else if left >= response.longest_wait || left > NEVER * response.wait {
            0.0
        } else {
            weight * (-left / response.wait).exp()
        }
    };
    let with_wait: f64 = points.0.iter().map(longer).sum();
    (1.0 - response.waiting) * work + response.waiting * with_wait
}

/// The share of a normal distribution above `z` (Abramowitz and Stegun, 26.2.17: to seven digits).
fn above(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() * series;
    if z >= 0.0 { tail } else { 1.0 - tail }
}

/// The bucket of so many nanoseconds.
pub(crate) fn bucket(ns: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds, and not negative"
    )]
    let ns = ns.max(0.0) as u64;
    bucket_of(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantile_of(response: &Response, q: f64) -> f64 {
        let distribution = Distribution::of(response);
        let counts: Vec<f32> = distribution
            .shares
            .iter()
            .map(|share| share * 1e6)
            .collect();
        quantile(&counts, distribution.first, q).unwrap()
    }

    #[test]
    fn work_alone_is_lognormal() {
        let alone = Response {
            median: 80_000.0,
            spread: 0.35,
            waiting: 0.0,
            wait: 0.0,
            longest_wait: 0.0,
        };
        let p50 = quantile_of(&alone, 0.5);
        assert!((p50 / 80_000.0 - 1.0).abs() < 0.05, "{p50}");
        let p99 = quantile_of(&alone, 0.99);
        let truth = 80_000.0 * (0.35f64 * 2.326).exp();
        assert!((p99 / truth - 1.0).abs() < 0.05, "{p99} {truth}");
    }

    #[test]
    fn a_long_wait_ends_at_the_longest() {
        let busy = Response {
            median: 80_000.0,
            spread: 0.35,
            waiting: 1.0,
            wait: 5e6,
            longest_wait: 6e6,
        };
        let p99 = quantile_of(&busy, 0.99);
        assert!((5.9e6..6.6e6).contains(&p99), "{p99}");
        let mean = Distribution::of(&busy).mean;
        let truth = 85_000.0 + 5e6 * (1.0 - (-6.0f64 / 5.0).exp());
        assert!((mean / truth - 1.0).abs() < 0.05, "{mean} {truth}");
    }
}
