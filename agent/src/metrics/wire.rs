//! Prometheus' protobuf format: messages of the package `io.prometheus.client`, as far as the agent has
//! something to say in them. Numbers and types are those of client_model's `metrics.proto`; a test compares the
//! two. Every field that is not repeated is optional there, so zeros are written.

use prometheus::proto;
use prost::{Enumeration, Message};

use super::Exposed;
use super::native::{Native, SCHEMA, ZERO_THRESHOLD};

/// The media type of [`encode`]'s result.
pub const PROTOBUF_FORMAT: &str = "application/vnd.google.protobuf; \
    proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// All families, one after the other, each with its length before it.
#[must_use]
pub(super) fn encode(families: Vec<Exposed>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in families {
        bytes.extend(MetricFamily::from(family).encode_length_delimited_to_vec());
    }
    bytes
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub(super) kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(super) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Summary = 2,
    Untyped = 3,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Number>,
    #[prost(message, optional, tag = "4")]
    pub(super) summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) value: Option<String>,
}

/// `Gauge` and `Counter`, which are alike.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Number {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

/// Without quantiles.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    pub(super) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(super) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    pub(super) positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(super) cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) upper_bound: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    pub(super) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) length: Option<u32>,
}

impl From<Exposed> for MetricFamily {
    fn from(exposed: Exposed) -> Self {
        let Exposed {
            mut family,
            natives,
        } = exposed;
        let kind = family.get_field_type();
        let mut natives = natives.into_iter();
        let metrics = family.take_metric();
        MetricFamily {
            name: Some(family.name().to_owned()),
            help: Some(family.help().to_owned()),
            kind: Some(MetricType::from(kind) as i32),
            metric: metrics
                .iter()
                .map(|metric| Metric::new(kind, metric, natives.next().flatten()))
                .collect(),
        }
    }
}

impl From<proto::MetricType> for MetricType {
    fn from(kind: proto::MetricType) -> Self {
        match kind {
            proto::MetricType::COUNTER => MetricType::Counter,
            proto::MetricType::GAUGE => MetricType::Gauge,
            proto::MetricType::SUMMARY => MetricType::Summary,
            proto::MetricType::UNTYPED => MetricType::Untyped,
            proto::MetricType::HISTOGRAM => MetricType::Histogram,
        }
    }
}

impl Metric {
    fn new(kind: proto::MetricType, metric: &proto::Metric, native: Option<Native>) -> Self {
        let labels = metric.get_label().iter().map(|pair| LabelPair {
            name: Some(pair.name().to_owned()),
            value: Some(pair.value().to_owned()),
        });
        let mut wire = Metric {
            label: labels.collect(),
            ..Metric::default()
        };
        match kind {
            proto::MetricType::COUNTER => wire.counter = number(metric.get_counter().get_value()),
            proto::MetricType::GAUGE => wire.gauge = number(metric.get_gauge().get_value()),
            proto::MetricType::SUMMARY => {
                let summary = metric.get_summary();
                wire.summary = Some(Summary {
                    sample_count: Some(summary.sample_count()),
                    sample_sum: Some(summary.sample_sum()),
                });
            }
            proto::MetricType::HISTOGRAM => {
                wire.histogram = Some(Histogram::new(metric.get_histogram(), native));
            }
            // Neither the agent nor the crate's own collectors have such.
            proto::MetricType::UNTYPED => {}
        }
        wire
    }
}

fn number(value: f64) -> Option<Number> {
    Some(Number { value: Some(value) })
}

impl Histogram {
    fn new(classic: &proto::Histogram, native: Option<Native>) -> Self {
        let buckets = classic.get_bucket().iter().map(|bucket| Bucket {
            cumulative_count: Some(bucket.cumulative_count()),
            upper_bound: Some(bucket.upper_bound()),
        });
        let mut wire = Histogram {
            sample_count: Some(classic.get_sample_count()),
            sample_sum: Some(classic.get_sample_sum()),
            bucket: buckets.collect(),
            ..Histogram::default()
        };
        if let Some(native) = native {
            let spans = native.spans.iter().map(|span| BucketSpan {
                offset: Some(span.offset),
                length: Some(span.length),
            });
            wire.schema = Some(SCHEMA);
            wire.zero_threshold = Some(ZERO_THRESHOLD);
            wire.zero_count = Some(native.zero_count);
            wire.positive_span = spans.collect();
            wire.positive_delta = native.deltas;
        }
        wire
    }
}

#[cfg(test)]
mod tests;
