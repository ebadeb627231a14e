//! One operation of one pool.

use std::time::Duration;

use super::day::Day;
use super::figures::Line;
use super::fit::Fit;
use super::window::Window;
use super::{MINUTES, SECONDS};

/// I/Os that ended: by bucket of [`weir_agent_ebpf::scale`], and their sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts<'a> {
    /// Buckets in ascending order, and how many in each.
    pub buckets: &'a [(u16, u64)],
    /// Those that are in no bucket.
    pub unbucketed: u64,
    /// Their sum, in nanoseconds, those included that are in no bucket.
    pub sum_ns: u64,
}

/// What was seen of one operation.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    seconds: Window,
    minutes: Window,
    day: Day,
    fit: Fit,
    calibration: Option<Line>,
    /// When the last point was taken, and the last minute told to the day.
    point_at: Duration,
    minute_at: Duration,
}

/// So many I/Os weigh as much as what was known before them.
const AS_MUCH_AS_KNOWN: f64 = 300.0;
/// Fewer have no 99th percentile worth a point.
const FEWEST: f64 = 200.0;
const MINUTE: Duration = Duration::from_secs(60);

impl Counts<'_> {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        let bucketed = self.buckets.iter().map(|(_, count)| *count);
        bucketed.fold(self.unbucketed, u64::saturating_add)
    }
}

impl Operation {
    pub(super) fn new(calibration: Option<Line>, now: Duration) -> Self {
        Operation {
            seconds: Window::new(SECONDS, now),
            minutes: Window::new(MINUTES, now),
            day: Day::default(),
            fit: Fit::default(),
            calibration,
            point_at: now,
            minute_at: now,
        }
    }

    /// Takes in what ended; `in_flight` is the mean of the last seconds.
    pub(super) fn add(
        &mut self,
        counts: &Counts<'_>,
        span: Duration,
        in_flight: f32,
        now: Duration,
    ) {
        // What gathered for longer than a window: nobody knows what of it lies inside.
        if span <= SECONDS {
            self.seconds.add(counts.buckets, now);
        }
        if span <= MINUTES {
            self.minutes.add(counts.buckets, now);
        }
        if now.saturating_sub(self.point_at) >= SECONDS && self.seconds.count(now) >= FEWEST {
            self.point_at = now;
            if let Some(p99) = self.seconds.quantile(0.99) {
                self.fit.add(in_flight, p99, now);
            }
        }
        if now.saturating_sub(self.minute_at) >= MINUTE {
            self.minute_at = now;
            if self.minutes.count(now) >= FEWEST
                && let Some(p99) = self.minutes.quantile(0.99)
            {
                self.day.add(p99, in_flight, now);
            }
        }
    }

    /// How many ended in the last minutes.
    pub(super) fn count(&self, now: Duration) -> f64 {
        self.minutes.count(now)
    }

    /// The line that is predicted, where `in_flight` was in flight in the last minutes; `None`: nothing is known.
    pub(super) fn line(&self, in_flight: f32, now: Duration) -> Option<Line> {
        let calibrated = self.calibration.map(|line| line.slope);
        let slope = self.fit.slope(now).or(calibrated).unwrap_or(0.0);
        let before = match self.day.mean(now) {
            Some((p99, was, _)) => Some((p99 + slope * (in_flight - was)).max(0.25 * p99)),
            None => self.calibration.map(|line| line.at(in_flight)),
        };
        let count = self.minutes.count(now);
        let seen = self.minutes.quantile(0.99).filter(|_| count >= 1.0);
        let weight = super::narrow(count / (count + AS_MUCH_AS_KNOWN));
        let level = match (seen, before) {
            // By their logarithms: an idle disk's one slow read is an outlier, not a mean.
            (Some(seen), Some(before)) => (seen.ln() * weight + before.ln() * (1.0 - weight)).exp(),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        Some(Line {
            base: level - slope * in_flight,
            slope,
        })
    }
}
