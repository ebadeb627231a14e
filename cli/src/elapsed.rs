//! How long ago something was, for people.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// The time between. What lies in the future, as another host's clock may have it, is now.
pub(crate) fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// The two largest units: `4 s`, `3 min 20 s`, `2 h 5 min`, `8 d 1 h`.
pub(crate) fn words(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let [minutes, hours, days] = [seconds / 60, seconds / 3600, seconds / 86400];
    let two = |large: u64, name: &str, small: u64, other: &str| match small {
        0 => format!("{large} {name}"),
        small => format!("{large} {name} {small} {other}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => two(minutes, "min", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes % 60, "min"),
        (days, hours, _) => two(days, "d", hours % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_two_largest_units() {
        let rows = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86400, "1 d"),
            (694_861, "8 d 1 h"),
        ];
        for (seconds, text) in rows {
            assert_eq!(words(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_future_is_now() {
        let at = |second| Timestamp::constant(second, 0);
        assert_eq!(since(at(10), at(3)), Duration::ZERO);
        assert_eq!(since(at(3), at(10)), Duration::from_secs(7));
    }
}
