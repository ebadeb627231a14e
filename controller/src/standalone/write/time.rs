//! Times on the wire: seconds for most, six digits of fraction where the API says `MicroTime`.

use jiff::Timestamp;

const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
const MICROSECONDS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// A time as metadata holds it.
pub(crate) fn format(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a time; the error is the one of Go's parser, near enough.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    if !has_date(text) {
        return Err(cannot(text, SECONDS, text, "2006"));
    }
    parse_any(text).ok_or_else(|| cannot(text, SECONDS, text, SECONDS))
}

/// Reads a `MicroTime`, which has exactly six digits of fraction.
pub(crate) fn parse_micro(text: &str) -> Result<Timestamp, String> {
    if !has_date(text) {
        return Err(cannot(text, MICROSECONDS, text, "2006"));
    }
    let rest = text.get(19..).unwrap_or_default();
    let fraction = rest.get(..7).unwrap_or_default();
    let is_fraction = fraction.starts_with('.')
        && fraction.len() == 7
        && fraction.bytes().skip(1).all(|b| b.is_ascii_digit())
        && !rest
            .get(7..8)
            .is_some_and(|next| next.as_bytes()[0].is_ascii_digit());
    if !is_fraction {
        return Err(cannot(text, MICROSECONDS, rest, ".000000"));
    }
    parse_any(text).ok_or_else(|| cannot(text, MICROSECONDS, text, MICROSECONDS))
}

fn has_date(text: &str) -> bool {
    text.get(..4)
        .is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()))
}

/// RFC 3339 and no more: `T` in the middle, an offset at the end, no names of zones.
fn parse_any(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let is_plain = bytes
        .iter()
        .all(|b| b.is_ascii_digit() || b"-:.TZ+".contains(b));
    if !is_plain || bytes.len() < 20 || bytes.get(10) != Some(&b'T') {
        return None;
    }
    text.parse().ok()
}

fn cannot(text: &str, layout: &str, rest: &str, part: &str) -> String {
    let text = short(text);
    format!(
        "parsing time {text:?} as {layout:?}: cannot parse {:?} as {part:?}",
        short(rest)
    )
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
