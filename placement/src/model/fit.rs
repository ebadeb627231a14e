//! How much longer I/Os take, the more are in flight: Theil–Sen over few points.

use std::time::Duration;

/// Points of latency against in-flight, and the slope through them.
///
/// The last [`EACH`] points of each power of two of in-flight are kept: however long a pool stays at one load, what was
/// seen at others is not pushed out, and their number is bounded.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    points: [[Point; EACH]; POWERS],
    /// Where the next one of each power goes.
    next: [u8; POWERS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    in_flight: f32,
    micros: f32,
    /// In seconds; 0: there is none.
    at: u32,
}

/// Points of each power of two.
const EACH: usize = 4;
/// Powers of two: below 1, then to 2, 4, … and what is above 512.
const POWERS: usize = 11;
/// Points that are older say nothing: disks age and get other neighbours.
const OLDEST: u32 = 24 * 3600;
/// How much further apart than the smaller of two in-flights they must be to have a slope, in hundredths.
const APART: f32 = 0.25;
/// From how many slopes on their median says anything.
const FEWEST: usize = 6;

impl Fit {
    /// A point was seen.
    pub fn add(&mut self, in_flight: f32, micros: f32, now: Duration) {
        if !in_flight.is_finite() || !micros.is_finite() || in_flight < 0.0 {
            return;
        }
        let power = power(in_flight);
        let next = usize::from(self.next[power]);
        self.points[power][next % EACH] = Point {
            in_flight,
            micros,
            at: seconds(now),
        };
        self.next[power] = u8::try_from((next + 1) % EACH).unwrap_or(0);
    }

    /// Microseconds more for each I/O in flight; `None`: too little is known. Never negative: more load makes nothing
    /// quicker, whatever the points say.
    #[must_use]
    pub fn slope(&self, now: Duration) -> Option<f32> {
        let now = seconds(now);
        let all = self.points.iter().flatten();
        let recent = all.filter(|point| point.at > 0 && now.saturating_sub(point.at) < OLDEST);
        let mut points = [Point::default(); EACH * POWERS];
        let mut count = 0;
        for point in recent {
            points[count] = *point;
            count += 1;
        }
        let mut slopes = Vec::with_capacity(count * count / 2);
        for (index, one) in points[..count].iter().enumerate() {
            for other in &points[..index] {
                let (low, high) = if one.in_flight < other.in_flight {
                    (one, other)
                } else {
                    (other, one)
                };
                let apart = high.in_flight - low.in_flight;
                if apart > APART * low.in_flight.max(1.0) {
                    slopes.push((high.micros - low.micros) / apart);
                }
            }
        }
        if slopes.len() < FEWEST {
            return None;
        }
        let middle = slopes.len() / 2;
        let (_, median, _) = slopes.select_nth_unstable_by(middle, f32::total_cmp);
        Some(median.max(0.0))
    }
}

fn power(in_flight: f32) -> usize {
    let mut power = 0;
    let mut bound = 1.0;
    while in_flight >= bound && power < POWERS - 1 {
        power += 1;
        bound *= 2.0;
    }
    power
}

/// Since a second before the beginning, so that 0 means never.
fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs().saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fit(points: &[(f32, f32)]) -> Fit {
        let mut fit = Fit::default();
        for (in_flight, micros) in points {
            fit.add(*in_flight, *micros, SECOND);
        }
        fit
    }

    #[test]
    fn few_points_or_all_at_one_load_say_nothing() {
        assert_eq!(fit(&[(1.0, 100.0), (4.0, 200.0)]).slope(SECOND), None);
        let same = [(2.0, 100.0), (2.1, 200.0), (2.2, 50.0), (2.0, 300.0)];
        assert_eq!(fit(&same).slope(SECOND), None);
    }

    #[test]
    fn a_long_time_at_one_load_does_not_push_out_the_others() {
        let line = |in_flight: f32| (in_flight, 100.0 + 10.0 * in_flight);
        let mut points = vec![line(1.0), line(2.0), line(4.0), line(8.0)];
        points.extend(std::iter::repeat_n(line(30.0), 1000));
        let slope = fit(&points).slope(SECOND).unwrap();
        assert!((slope - 10.0).abs() < 0.01, "{slope}");
    }

    #[test]
    fn what_is_older_than_a_day_says_nothing() {
        let points: Vec<_> = (1..20u8)
            .map(|x| (f32::from(x), 10.0 * f32::from(x)))
            .collect();
        let fit = fit(&points);
        assert!(fit.slope(3600 * SECOND).is_some());
        assert_eq!(fit.slope(25 * 3600 * SECOND), None);
    }

    proptest! {
        /// A quarter of all points is anything: the slope is still the others'.
        ///
        /// Seen red with: the mean of the slopes instead of their median.
        #[test]
        fn outliers_do_not_turn_it(
            wrong in proptest::collection::vec(0.0..1e6f32, 8), slope in 1.0..100.0f32, seed: usize,
        ) {
            let mut points = Vec::new();
            for power in 0..8u8 {
                for step in 0..4u8 {
                    let in_flight = f32::from(1u16 << power) * (1.0 + f32::from(step) / 5.0);
                    points.push((in_flight, 100.0 + slope * in_flight));
                }
            }
            for (index, micros) in wrong.iter().enumerate() {
                let which = seed.wrapping_add(index * 4) % points.len();
                points[which].1 = *micros;
            }
            let found = fit(&points).slope(SECOND).unwrap();
            // Where a quarter is wrong, of the pairs 44 of 100 are: those may pull by as much as the others' noise, which
            // is none here but for single precision.
            prop_assert!(found >= 0.0 && (found - slope).abs() <= slope * 0.75, "{found} {slope}");
        }
    }
}
