//! What was heard of one operation of one pool.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::window::{Span, Window};
use crate::delta::Delta;

/// How many points are kept: a minute of seconds.
const POINTS: usize = 60;

/// How many intervals, and their sum in nanoseconds: all that this leader counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum_ns: u64,
}

impl Totals {
    pub(super) fn add(&mut self, delta: &Delta) {
        self.count = self.count.saturating_add(delta.count());
        self.sum_ns = self.sum_ns.saturating_add(delta.sum_ns());
    }
}

/// What one report said: latency against how much was in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it was heard.
    pub at: Instant,
    /// Over how long.
    pub span: Duration,
    /// What was in flight at its end.
    pub in_flight: u32,
    /// How many intervals.
    pub count: u32,
    /// Their mean.
    pub mean: Duration,
    /// 99 of 100 of those that are in buckets took no longer. 0 if none is.
    pub p99: Duration,
}

impl Point {
    /// How much was in flight on average: by Little's law what was spent in all I/Os, over the time in which it was.
    #[must_use]
    pub fn mean_in_flight(&self) -> f64 {
        let span = self.span.as_secs_f64();
        if span > 0.0 {
            self.mean.as_secs_f64() * f64::from(self.count) / span
        } else {
            0.0
        }
    }
}

/// One operation of one pool: sums, windows, and the last minute's points.
#[derive(Clone, Debug)]
pub struct History {
    totals: Totals,
    windows: [Window; 3],
    points: VecDeque<Point>,
    heard: Instant,
}

impl History {
    pub(super) fn new(now: Instant) -> Self {
        History {
            totals: Totals::default(),
            windows: Span::ALL.map(|span| Window::new(span, now)),
            points: VecDeque::new(),
            heard: now,
        }
    }

    /// Counts a delta in that was added over `span` until now. A window that is shorter than that leaves it out: nobody
    /// knows what of it lies inside.
    pub(super) fn add(&mut self, delta: &Delta, span: Duration, in_flight: u64, now: Instant) {
        self.totals.add(delta);
        self.heard = now;
        for (window, kind) in self.windows.iter_mut().zip(Span::ALL) {
            if span <= kind.length() {
                window.add(delta, now);
            }
        }
        if span > Span::Seconds.length() {
            return;
        }
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        let narrow = |figure: u64| u32::try_from(figure).unwrap_or(u32::MAX);
        let mean = delta.sum_ns().checked_div(delta.count());
        self.points.push_back(Point {
            at: now,
            span,
            in_flight: narrow(in_flight),
            count: narrow(delta.count()),
            mean: Duration::from_nanos(mean.unwrap_or(0)),
            p99: Duration::from_nanos(delta.quantile(0.99).unwrap_or(0)),
        });
    }

    /// All that this leader counted in.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What was added lately.
    #[must_use]
    pub fn window(&self, span: Span) -> &Window {
        match span {
            Span::Seconds => &self.windows[0],
            Span::Minutes => &self.windows[1],
            Span::Day => &self.windows[2],
        }
    }

    /// The last minute's reports that had something to tell, the oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.points.iter()
    }

    /// When something was last counted in.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Seen red with: every window taking every delta.
    #[test]
    fn what_gathered_for_long_is_in_no_window_that_is_shorter() {
        let now = Instant::now();
        let mut history = History::new(now);
        history.add(&Delta::of_sum(7, 7), 60 * SECOND, 0, now);
        let counts = Span::ALL.map(|span| history.window(span).count(now));
        assert_eq!(counts, [0.0, 7.0, 7.0]);
        assert_eq!(history.points().count(), 0);
        assert_eq!(
            history.totals(),
            Totals {
                count: 7,
                sum_ns: 7
            }
        );
    }

    #[test]
    fn a_minute_of_points_is_kept() {
        let begin = Instant::now();
        let mut history = History::new(begin);
        for second in 0..200 {
            let delta = Delta::of_sum(second + 1, 3_000_000 * (second + 1));
            let now = begin + SECOND * u32::try_from(second).unwrap();
            history.add(&delta, SECOND, second, now);
        }
        let points: Vec<_> = history.points().collect();
        assert_eq!((points.len(), points[0].in_flight), (POINTS, 140));
        let last = points[POINTS - 1];
        assert_eq!((last.count, last.mean), (200, Duration::from_millis(3)));
        // 200 I/Os of 3 ms in a second.
        assert!((last.mean_in_flight() - 0.6).abs() < 1e-9);
    }
}
