//! How long ago something was, as `kubectl` prints it.

use jiff::Timestamp;
use serde_json::Value;

use crate::standalone::write::time;

/// The age of a time as it stands in an object: `5m`, `3h2m`, `2d`; `<unknown>` when there is none.
pub(super) fn age(time: &Value, now: Timestamp) -> String {
    match time {
        Value::Null => "<unknown>".to_owned(),
        Value::String(text) => match time::parse(text) {
            Ok(then) => human(now.as_second().saturating_sub(then.as_second())),
            Err(_) => "<invalid>".to_owned(),
        },
        _ => "<invalid>".to_owned(),
    }
}

/// Two units at most, and fewer the longer it is ago.
fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match seconds {
        // Clocks differ a little.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(s / MINUTE, "m", s % MINUTE, "s"),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two(s / HOUR, "h", s % HOUR / MINUTE, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two(s / DAY, "d", s % DAY / HOUR, "h"),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => two(s / YEAR, "y", s % YEAR / DAY, "d"),
        s => format!("{}y", s / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn ages_are_those_of_kubectl() {
        let rows = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (249, "4m9s"),
            (599, "9m59s"),
            (16 * 60 + 3, "16m"),
            (179 * 60, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 120, "3h2m"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (50 * 3600, "2d2h"),
            (8 * 86400, "8d"),
            (729 * 86400, "729d"),
            (731 * 86400, "2y1d"),
            (9 * 365 * 86400, "9y"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }
}
