//! Headers as scrapers send them, and as nobody would.

use axum::http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::fuzz::fuzz;

/// As Prometheus 2.53 sends it with native histograms.
const PROMETHEUS_2: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,\
    application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
/// As Prometheus 3.5 does.
const PROMETHEUS_3: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
    text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

fn wanted(accept: &str) -> Format {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, accept.parse().unwrap());
    Format::wanted(&headers)
}

const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// Seen red with: `protobuf > text` for `protobuf >= text`.
#[test]
fn who_prefers_protobuf_gets_it() {
    for accept in [
        PROMETHEUS_2,
        PROMETHEUS_3,
        PROTOBUF,
        &format!("{PROTOBUF}, text/plain"),
        &format!("text/plain;q=0.9,{PROTOBUF}"),
        "Application/Vnd.Google.Protobuf; Encoding=delimited; proto=\"io.prometheus.client.MetricFamily\"",
        &format!("this is no media type, {PROTOBUF}"),
    ] {
        assert_eq!(wanted(accept), Format::Protobuf, "{accept}");
    }
}

/// Seen red with: `encoding` not looked at.
#[test]
fn everybody_else_gets_text() {
    for accept in [
        "",
        "*/*",
        "application/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/vnd.google.protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        "application/vnd.google.protobuf;proto=io.prometheus.client.Metric;encoding=delimited",
        &format!("{PROTOBUF};q=0"),
        &format!("{PROTOBUF};q=0.2,text/plain;version=0.0.4;q=0.3"),
        &format!("{PROTOBUF};q=NaN"),
        "\"",
    ] {
        assert_eq!(wanted(accept), Format::Text, "{accept}");
    }
    assert_eq!(Format::wanted(&HeaderMap::new()), Format::Text);
}

#[test]
fn several_lines_are_one_list() {
    let mut headers = HeaderMap::new();
    headers.append(header::ACCEPT, "text/plain;q=0.3".parse().unwrap());
    headers.append(header::ACCEPT, PROTOBUF.parse().unwrap());
    assert_eq!(Format::wanted(&headers), Format::Protobuf);
}

/// Headers of pieces that mean something, in any order: whatever is asked, it is answered, in protobuf only if that was named.
///
/// Seen red with: `is_protobuf` not looking at the subtype.
#[test]
fn fuzz_accept() {
    let pieces = [
        "application/vnd.google.protobuf",
        "application/octet-stream",
        "text/plain",
        "*/*",
        ";proto=io.prometheus.client.MetricFamily",
        ";encoding=delimited",
        ";encoding=\"delimited\"",
        ";version=0.0.4",
        ";q=",
        ";q=0.5",
        ";q=-1e99",
        ",",
        ";",
        "=",
        "\"",
        "\\",
        " ",
        "\t",
        "+",
        "/",
        "\u{e9}",
    ];
    let piece = prop_oneof![
        4 => select(pieces.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ];
    fuzz("fuzz_accept", &vec(piece, 0..12), |pieces| {
        let accept = pieces.concat();
        let mut headers = HeaderMap::new();
        let Ok(value) = HeaderValue::from_str(&accept) else {
            return;
        };
        headers.insert(header::ACCEPT, value);
        if Format::wanted(&headers) == Format::Protobuf {
            assert!(
                accept.contains("application/vnd.google.protobuf"),
                "{accept:?}"
            );
        }
    });
}
