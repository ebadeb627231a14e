//! The last day by hour: what a pool is like when it is not now.

use std::time::Duration;

/// One operation's hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Day {
    hours: [Hour; HOURS],
}

/// What an hour was like.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    /// Which, counted from the beginning of time.
    number: u32,
    /// How many minutes of it had something to tell.
    minutes: u16,
    /// The sum of the minutes' 99th percentiles, in microseconds.
    p99: f32,
    /// The same of in-flight.
    in_flight: f32,
    /// The sum of the minutes' I/Os a second, each weighed by its 99th percentile: how much went on when it was slow.
    rate: f32,
}

const HOURS: usize = 24;
/// Up to so many times as much is as much.
const AS_MUCH: f32 = 1.3;

impl Day {
    /// A minute was like this.
    pub(super) fn add(&mut self, p99: f32, in_flight: f32, rate: f32, now: Duration) {
        let number = hour(now);
        let slot = &mut self.hours[number as usize % HOURS];
        if slot.number != number || slot.minutes == 0 {
            *slot = Hour {
                number,
                ..Hour::default()
            };
        }
        slot.minutes = slot.minutes.saturating_add(1);
        slot.p99 += p99;
        slot.in_flight += in_flight;
        slot.rate += rate * p99;
    }

    /// The pool is well, with so many I/Os a second: hours in which it was slow with no more are forgotten. In those with more
    /// it may have been slow for that, and may be again.
    pub(super) fn forgive(&mut self, rate: f32) {
        for slot in &mut self.hours {
            if slot.rate <= slot.p99 * rate * AS_MUCH {
                slot.minutes = 0;
            }
        }
    }

    /// The mean of the last day's minutes, as 99th percentile in microseconds and in-flight, and how many minutes.
    pub(super) fn mean(&self, now: Duration) -> Option<(f32, f32, u16)> {
        let number = hour(now);
        let (mut minutes, mut p99, mut in_flight) = (0u16, 0.0, 0.0);
        let recent = |slot: &&Hour| slot.minutes > 0 && number - slot.number.min(number) < 24;
        for slot in self.hours.iter().filter(recent) {
            minutes = minutes.saturating_add(slot.minutes);
            p99 += slot.p99;
            in_flight += slot.in_flight;
        }
        let count = f32::from(minutes);
        (minutes > 0).then(|| (p99 / count, in_flight / count, minutes))
    }
}

fn hour(now: Duration) -> u32 {
    u32::try_from(now.as_secs() / 3600).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: a slot that is not emptied when its hour comes round again.
    #[test]
    fn what_is_older_than_a_day_is_forgotten() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600 + 60);
        let mut day = Day::default();
        day.add(1000.0, 4.0, 9.0, hours(1));
        day.add(100.0, 2.0, 9.0, hours(2));
        assert_eq!(day.mean(hours(3)), Some((550.0, 3.0, 2)));
        assert_eq!(day.mean(hours(25)), Some((100.0, 2.0, 1)));
        day.add(300.0, 2.0, 9.0, hours(25));
        assert_eq!(day.mean(hours(25)), Some((200.0, 2.0, 2)));
        assert_eq!(day.mean(hours(60)), None);
    }

    /// Seen red with: `forgive` forgetting every hour.
    #[test]
    fn what_was_slow_for_its_load_is_remembered_and_what_was_not_is_forgiven() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600 + 60);
        let mut day = Day::default();
        day.add(9000.0, 40.0, 5000.0, hours(1));
        day.add(900.0, 4.0, 1000.0, hours(2));
        day.forgive(1000.0);
        assert_eq!(day.mean(hours(3)), Some((9000.0, 40.0, 1)));
    }
}
