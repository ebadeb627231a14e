//! How long a request may wait.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// When a request has to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// That of a request which came now: our own limit, or a little before the client's, so that it hears what is waited for and
    /// not only that time is over.
    #[must_use]
    pub fn of(metadata: &MetadataMap, limit: Duration) -> Self {
        let theirs = metadata
            .get("grpc-timeout")
            .and_then(|text| parse(text.to_str().ok()?));
        let theirs = theirs.map(|theirs| theirs.mul_f32(0.9));
        Deadline(Instant::now() + theirs.map_or(limit, |theirs| theirs.min(limit)))
    }

    /// The moment.
    #[must_use]
    pub fn at(self) -> Instant {
        self.0
    }
}

/// At most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_deadline_is_read() {
        for (text, milliseconds) in [
            ("10S", 10_000),
            ("15000m", 15_000),
            ("1M", 60_000),
            ("1H", 3_600_000),
            ("7u", 0),
        ] {
            assert_eq!(
                parse(text).map(|d| d.as_millis()),
                Some(milliseconds),
                "{text}"
            );
        }
        for bad in ["", "S", "10", "10s", "123456789S", "-1S", "ä"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
