//! Which format a scraper wants: protobuf for those that name it, text for everybody else.

use axum::http::{HeaderMap, header};
use mediatype::{MediaType, MediaTypeList, ReadParams};

/// A scrape's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

impl Format {
    /// What a request's `Accept` says. Protobuf must be named (no wildcard means it), with exactly the message and the
    /// framing that there are, and text must not be preferred. What can't be read says nothing.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).into_iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        let (mut text, mut protobuf) = (0.0, 0.0);
        for range in lines.flat_map(MediaTypeList::new).flatten() {
            if is_protobuf(&range) {
                protobuf = quality(&range).max(protobuf);
            } else if is_text(&range) {
                text = quality(&range).max(text);
            }
        }
        if protobuf > 0.0 && protobuf >= text {
            Format::Protobuf
        } else {
            Format::Text
        }
    }
}

fn is_protobuf(range: &MediaType<'_>) -> bool {
    range.ty == "application"
        && range.subty == "vnd.google.protobuf"
        && range.suffix.is_none()
        && parameter(range, "proto")
            .is_some_and(|proto| proto == "io.prometheus.client.MetricFamily")
        && parameter(range, "encoding").is_some_and(|encoding| encoding == "delimited")
}

fn is_text(range: &MediaType<'_>) -> bool {
    // Another version of it is not what there is.
    range.ty == "text"
        && range.subty == "plain"
        && parameter(range, "version").is_none_or(|version| version == "0.0.4")
}

/// From 0, never, to 1, which is the default.
fn quality(range: &MediaType<'_>) -> f32 {
    let quality = parameter(range, "q").map_or(Some(1.0), |q| q.parse().ok());
    quality.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0)
}

fn parameter(range: &MediaType<'_>, wanted: &str) -> Option<String> {
    let mut parameters = range.params();
    let (_, value) = parameters.find(|(name, _)| name.as_str().eq_ignore_ascii_case(wanted))?;
    Some(value.unquoted_str().into_owned())
}

#[cfg(test)]
mod tests;
