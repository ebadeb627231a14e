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
    /// What most I/Os took no longer than at the last points, the newest first; 0: there was none, or not in time.
    recent: [f32; RECENT],
}

/// What 99 of 100 I/Os take no longer than in the worst of five minutes, if all that was slow in five was in that one. An
/// objective is to be kept in every minute, and a pause of a second is one of a hundred in a minute and one of five hundred in
/// five. So it also tells that pauses come more often before there are enough of them for five minutes' own 99th percentile.
const BAD_MINUTE: f32 = 1.0 - 0.01 / 5.0;
/// So many I/Os weigh as much as what was known before them.
const AS_MUCH_AS_KNOWN: f64 = 300.0;
/// Fewer have no such percentile worth a point.
const FEWEST: f64 = 500.0;
/// So many points, which are a minute, tell that a pool is well again.
const RECENT: usize = 6;
/// It is well again if all of them are below this part of what the last minutes say.
const WELL: f32 = 0.5;
/// What most I/Os take no longer than tells that: that there was no pause in a minute does not.
const MOST: f32 = 0.9;
/// How much the day weighs beside the last minutes, and how many minutes of it weigh half of that.
const OF_DAY: f32 = 0.5;
const HALF_A_DAY: f32 = 30.0;
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
            recent: [0.0; RECENT],
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
        if now.saturating_sub(self.point_at) >= SECONDS {
            // A gap is no evidence of anything.
            if now.saturating_sub(self.point_at) >= 2 * SECONDS {
                self.recent = [0.0; RECENT];
            }
            self.point_at = now;
            self.take_point(in_flight, now);
        }
        if now.saturating_sub(self.minute_at) >= MINUTE {
            self.minute_at = now;
            if self.minutes.count(now) >= FEWEST
                && let Some(p99) = self.minutes.quantile(BAD_MINUTE)
            {
                self.day.add(p99, in_flight, self.rate(now), now);
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
        let day = self.day.mean(now);
        let at_this_load =
            |(p99, was, _): (f32, f32, u16)| (p99 + slope * (in_flight - was)).max(0.25 * p99);
        let calibration = self.calibration.map(|line| line.at(in_flight));
        let before = day.map(at_this_load).or(calibration);
        let count = self.minutes.count(now);
        let seen = self.minutes.quantile(BAD_MINUTE).filter(|_| count >= 1.0);
        let weight = super::narrow(count / (count + AS_MUCH_AS_KNOWN));
        let lately = match (before, seen) {
            (Some(before), Some(seen)) => between(before, seen, weight),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        let level = match day {
            // Not less where less is in flight now: a burst that is over was seen by the day, and comes again.
            Some((p99, was, minutes)) => {
                let here = p99 + slope * (in_flight - was).max(0.0);
                let minutes = f32::from(minutes);
                let weight = OF_DAY * minutes / (minutes + HALF_A_DAY);
                between(lately, here, weight)
            }
            None => lately,
        };
        Some(Line {
            base: level - slope * in_flight,
            slope,
        })
    }

    /// What the last ten seconds were like, if enough ended in them.
    fn take_point(&mut self, in_flight: f32, now: Duration) {
        self.recent.rotate_right(1);
        self.recent[0] = 0.0;
        if self.seconds.count(now) < FEWEST {
            return;
        }
        if let Some(p99) = self.seconds.quantile(BAD_MINUTE) {
            self.fit.add(in_flight, p99, now);
        }
        let (Some(most), Some(before)) = (self.seconds.quantile(MOST), self.minutes.quantile(MOST))
        else {
            return;
        };
        self.recent[0] = most;
        let is_well = |most: &f32| *most > 0.0 && *most < WELL * before;
        if self.recent.iter().all(is_well) {
            self.forget_what_was_before(now);
        }
    }

    /// It is well, and was for a minute: what it was like before is over. The last minutes would take half an hour to forget
    /// it by themselves, as long as one of a hundred I/Os is left of it.
    fn forget_what_was_before(&mut self, now: Duration) {
        self.minutes.begin_with(&self.seconds, now);
        self.day.forgive(self.rate(now));
    }

    /// I/Os a second, just now.
    fn rate(&self, now: Duration) -> f32 {
        super::narrow(self.seconds.count(now) / SECONDS.as_secs_f64())
    }
}

/// Between two latencies, by their logarithms: an idle disk's one slow read is an outlier, not a mean.
fn between(one: f32, other: f32, weight: f32) -> f32 {
    let (one, other) = (one.max(1e-3).ln(), other.max(1e-3).ln());
    (one * (1.0 - weight) + other * weight).exp()
}
