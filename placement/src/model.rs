//! What is known of a pool's latency: a function of what was heard of it, and when.
//!
//! A [`PoolModel`] hears an agent's reports and answers one question: how long would 99 of 100 I/Os take here in a bad minute, with
//! so many in flight? It answers with a line, `base + slope · in-flight`, for reads and for writes, of the `backend` stage.
//!
//! - **Level.** Where the line lies is told by what was seen in the last five minutes, at the in-flight that there was;
//!   ten seconds are too few to tell a pool from its garbage collection. It is what 998 of 1000 took no longer than: if all that
//!   was slow in five minutes was in one of them, that is its 99th percentile, and an objective is to be kept in each. Few I/Os are mixed with what was known before
//!   them: the day's hours, and the calibration that the agent ran when the pool was new. So an idle pool is as good as
//!   it was when it last did something, and not "best"; and a canary read, which is an I/O like any other, refreshes it.
//!   The day has a part in it in any case: it knows bursts that are over and come again.
//! - **Well again.** Two slow I/Os of a thousand are enough for that, so five minutes would not forget a bad time for half an
//!   hour. If at six looks in a row, which are a minute, what nine of ten I/Os took no longer than in the last ten seconds is less
//!   than half of what it was in the last minutes, the bad time is over: the ten seconds are all that is known of the minutes
//!   then, and the hours in which the pool was slow with no more to do than now are forgotten as well. It is nine of ten and not
//!   the 99th percentile: a minute without a pause says nothing of the next pause.
//! - **Slope.** Theil–Sen: the median of the slopes between every two points. Up to 29 of 100 points may be arbitrarily
//!   wrong and the median still is between the right ones, there is nothing to tune, and it is cheap as long as the
//!   points are few. Least squares follows a single pause of the disk. The points are few and stay spread out because
//!   they are kept by in-flight: the last few of each power of two ([`Fit`]). With too few, or all at one in-flight, the
//!   calibration's slope is taken.
//! - **Trust.** What is older than [`STALE`], or measured without histograms, tells nothing of the 99th percentile.
//!
//! Memory is bounded: a model holds what `size_of` says and two boxed histograms for each of two operations
//! (`a_model_takes_little_memory`).
//!
//! Time is how long ago anything began, whatever that was: the same for all that is asked of one model.

mod day;
mod figures;
mod fit;
mod operation;
mod phantom;
mod window;

use std::time::Duration;

use weir_api::latency::Rung;

pub use figures::{Figures, Line, Trust};
pub(crate) use figures::{latency, whole};
pub use fit::Fit;
pub use operation::Counts;
pub use phantom::Phantoms;

use operation::Operation;

/// What is older than this tells nothing of how a pool is now.
pub const STALE: Duration = Duration::from_secs(30);

/// What an agent tells of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Over how long it was gathered.
    pub span: Duration,
    /// How long ago the agent read it.
    pub age: Duration,
    /// How it was measured.
    pub rung: Rung,
    /// Reads that ended.
    pub reads: Counts<'a>,
    /// Writes that ended.
    pub writes: Counts<'a>,
    /// I/Os that had begun and not ended.
    pub in_flight: u32,
    /// I/Os that failed.
    pub failed: u64,
}

/// How long I/Os take on an empty pool, as its agent found out when the pool was new.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Reads.
    pub reads: Line,
    /// Writes.
    pub writes: Line,
}

/// What is known of a pool's latency.
#[derive(Clone, Debug)]
pub struct PoolModel {
    reads: Operation,
    writes: Operation,
    /// In flight on average, over the seconds and the minutes.
    in_flight: [Mean; 2],
    failed: Mean,
    heard: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Duration,
    rung: Rung,
}

/// A mean over time that forgets.
#[derive(Clone, Copy, Debug)]
struct Mean {
    length: f32,
    sum: f32,
    weight: f32,
    at: Duration,
}

/// What is the case now.
const SECONDS: Duration = Duration::from_secs(10);
/// What has been lately.
const MINUTES: Duration = Duration::from_secs(300);

impl PoolModel {
    /// A pool of which nothing was heard yet.
    #[must_use]
    pub fn new(calibration: Option<Calibration>, now: Duration) -> Self {
        let operation =
            |line: fn(&Calibration) -> Line| Operation::new(calibration.as_ref().map(line), now);
        PoolModel {
            reads: operation(|calibration| calibration.reads),
            writes: operation(|calibration| calibration.writes),
            in_flight: [Mean::over(SECONDS, now), Mean::over(MINUTES, now)],
            failed: Mean::over(MINUTES, now),
            heard: None,
        }
    }

    /// An agent told something.
    pub fn hear(&mut self, report: &Report<'_>, now: Duration) {
        let read_at = now.saturating_sub(report.age);
        if self.heard.is_none_or(|heard| heard.at <= read_at) {
            self.heard = Some(Heard {
                at: read_at,
                rung: report.rung,
            });
        }
        // By Little's law: what was spent in all I/Os, over the time in which it was. Where nothing ends, only the count
        // of what is in flight says so.
        let spent = report.reads.sum_ns.saturating_add(report.writes.sum_ns) as f64 / 1e9;
        let ended = report.reads.count() + report.writes.count();
        let in_flight = if ended == 0 {
            f64::from(report.in_flight)
        } else {
            spent / report.span.as_secs_f64().max(1e-3)
        };
        for mean in &mut self.in_flight {
            mean.add(narrow(in_flight), narrow(report.span.as_secs_f64()), now);
        }
        self.failed.add(narrow(report.failed as f64), 1.0, now);
        let seconds = self.in_flight[0].value();
        self.reads.add(&report.reads, report.span, seconds, now);
        self.writes.add(&report.writes, report.span, seconds, now);
    }

    /// When what was last heard was read.
    #[must_use]
    pub fn heard_at(&self) -> Duration {
        self.heard.map_or(Duration::ZERO, |heard| heard.at)
    }

    /// What placement has to know of it.
    #[must_use]
    pub fn figures(&self, now: Duration) -> Figures {
        let trust = match self.heard {
            Some(heard) if now.saturating_sub(heard.at) <= STALE => match heard.rung {
                Rung::Ebpf | Rung::Spdk => Trust::Full,
                Rung::Dmstats => Trust::Coarse,
                Rung::Diskstats => Trust::None,
            },
            _ => Trust::None,
        };
        let in_flight = self.in_flight[1].value();
        let read = self.reads.line(in_flight, now);
        let write = self.writes.line(in_flight, now);
        let (read, write) = match (read, write) {
            (Some(read), Some(write)) => (read, write),
            // Nothing was ever seen of one, and there is no calibration: it is taken to be as the other.
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => (Line::default(), Line::default()),
        };
        let is_known = read != Line::default() || write != Line::default();
        Figures {
            trust: if is_known { trust } else { Trust::None },
            in_flight,
            phantom: 0.0,
            read,
            write,
            failing: self.failing(now),
        }
    }

    /// I/Os that failed, of a thousand, in the last minutes.
    fn failing(&self, now: Duration) -> u16 {
        let failed = f64::from(self.failed.total(now));
        let ended = self.reads.count(now) + self.writes.count(now);
        if failed < 1.0 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 1000"
        )]
        let of_thousand = (1000.0 * failed / (failed + ended)).clamp(1.0, 1000.0) as u16;
        of_thousand
    }
}

impl Mean {
    fn over(length: Duration, now: Duration) -> Self {
        Mean {
            length: narrow(length.as_secs_f64()),
            sum: 0.0,
            weight: 0.0,
            at: now,
        }
    }

    /// Adds what was the case for so long.
    fn add(&mut self, value: f32, seconds: f32, now: Duration) {
        let fading = self.fading(now);
        self.sum = self.sum * fading + value * seconds;
        self.weight = self.weight * fading + seconds;
        self.at = self.at.max(now);
    }

    fn value(&self) -> f32 {
        if self.weight > 0.0 {
            self.sum / self.weight
        } else {
            0.0
        }
    }

    /// All that was added, as far as it is not forgotten.
    fn total(&self, now: Duration) -> f32 {
        self.sum * self.fading(now)
    }

    fn fading(&self, now: Duration) -> f32 {
        let age = narrow(now.saturating_sub(self.at).as_secs_f64());
        (-age / self.length).exp()
    }
}

/// Figures are kept in single precision: seven digits of what is known to an eighth.
#[expect(clippy::cast_possible_truncation, reason = "figures, not accounts")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
