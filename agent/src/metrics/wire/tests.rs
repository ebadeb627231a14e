//! The messages against the published numbers, and whole bodies against the text.

use weir_agent_ebpf::layout::{Figure, RawHistogram};

use super::*;
use crate::histogram::Histogram as Recorded;
use crate::metrics::tests::everything;
use crate::metrics::{self, Resolution, families};
use crate::probe::Stage;

/// Wire types: a varint, eight bytes, bytes with their length before them.
const VARINT: u64 = 0;
const EIGHT: u64 = 1;
const LENGTH: u64 = 2;

/// The number and wire type of a message's first field, and the field's bytes.
fn first_field(message: &impl Message) -> (u64, u64, Vec<u8>) {
    let bytes = message.encode_to_vec();
    let (key, rest) = bytes.split_first().expect("a field that is set");
    assert!(key & 0x80 == 0, "numbers up to 15 take one byte");
    (u64::from(key >> 3), u64::from(key & 7), rest.to_vec())
}

/// client_model's `metrics.proto` (version 0.6), as far as it is used: message, field, number, wire type, and the
/// bytes of a value that tells `sint` from `int`.
///
/// Seen red with: `tag = "8"` for `zero_count`; `int32` for `offset`.
#[test]
fn numbers_and_types_are_the_published_ones() {
    let text = || Some("x".to_owned());
    let (one, half) = (vec![1, 0xb], 0.5f64.to_le_bytes().to_vec());
    let (string, empty) = (vec![1, b'x'], vec![0]);
    let histogram = Histogram::default;
    let number = Number { value: Some(0.5) };
    #[rustfmt::skip]
    let fields = [
        ("MetricFamily.name", 1, LENGTH, &string, first_field(&MetricFamily { name: text(), ..MetricFamily::default() })),
        ("MetricFamily.help", 2, LENGTH, &string, first_field(&MetricFamily { help: text(), ..MetricFamily::default() })),
        ("MetricFamily.type", 3, VARINT, &vec![4], first_field(&MetricFamily { kind: Some(MetricType::Histogram as i32), ..MetricFamily::default() })),
        ("MetricFamily.metric", 4, LENGTH, &empty, first_field(&MetricFamily { metric: vec![Metric::default()], ..MetricFamily::default() })),
        ("Metric.label", 1, LENGTH, &empty, first_field(&Metric { label: vec![LabelPair::default()], ..Metric::default() })),
        ("Metric.gauge", 2, LENGTH, &empty, first_field(&Metric { gauge: Some(Number::default()), ..Metric::default() })),
        ("Metric.counter", 3, LENGTH, &empty, first_field(&Metric { counter: Some(Number::default()), ..Metric::default() })),
        ("Metric.summary", 4, LENGTH, &empty, first_field(&Metric { summary: Some(Summary::default()), ..Metric::default() })),
        ("Metric.histogram", 7, LENGTH, &empty, first_field(&Metric { histogram: Some(histogram()), ..Metric::default() })),
        ("LabelPair.name", 1, LENGTH, &string, first_field(&LabelPair { name: text(), value: None })),
        ("LabelPair.value", 2, LENGTH, &string, first_field(&LabelPair { name: None, value: text() })),
        ("Gauge.value, Counter.value", 1, EIGHT, &half, first_field(&number)),
        ("Summary.sample_count", 1, VARINT, &vec![11], first_field(&Summary { sample_count: Some(11), sample_sum: None })),
        ("Summary.sample_sum", 2, EIGHT, &half, first_field(&Summary { sample_count: None, sample_sum: Some(0.5) })),
        ("Histogram.sample_count", 1, VARINT, &vec![11], first_field(&Histogram { sample_count: Some(11), ..histogram() })),
        ("Histogram.sample_sum", 2, EIGHT, &half, first_field(&Histogram { sample_sum: Some(0.5), ..histogram() })),
        ("Histogram.bucket", 3, LENGTH, &empty, first_field(&Histogram { bucket: vec![Bucket::default()], ..histogram() })),
        ("Histogram.schema", 5, VARINT, &vec![6], first_field(&Histogram { schema: Some(3), ..histogram() })),
        ("Histogram.zero_threshold", 6, EIGHT, &half, first_field(&Histogram { zero_threshold: Some(0.5), ..histogram() })),
        ("Histogram.zero_count", 7, VARINT, &vec![11], first_field(&Histogram { zero_count: Some(11), ..histogram() })),
        ("Histogram.positive_span", 12, LENGTH, &empty, first_field(&Histogram { positive_span: vec![BucketSpan::default()], ..histogram() })),
        ("Histogram.positive_delta", 13, LENGTH, &one, first_field(&Histogram { positive_delta: vec![-6], ..histogram() })),
        ("Bucket.cumulative_count", 1, VARINT, &vec![11], first_field(&Bucket { cumulative_count: Some(11), upper_bound: None })),
        ("Bucket.upper_bound", 2, EIGHT, &half, first_field(&Bucket { cumulative_count: None, upper_bound: Some(0.5) })),
        ("BucketSpan.offset", 1, VARINT, &vec![11], first_field(&BucketSpan { offset: Some(-6), length: None })),
        ("BucketSpan.length", 2, VARINT, &vec![11], first_field(&BucketSpan { offset: None, length: Some(11) })),
    ];
    for (name, number, wire_type, bytes, found) in fields {
        assert_eq!((number, wire_type, bytes.clone()), found, "{name}");
    }
    let types = [
        (MetricType::Counter, 0),
        (MetricType::Gauge, 1),
        (MetricType::Summary, 2),
        (MetricType::Untyped, 3),
        (MetricType::Histogram, 4),
    ];
    assert!(types.iter().all(|(kind, number)| *kind as i32 == *number));
}

/// The body, decoded by the same messages; an independent decoder is Prometheus itself, in `tests/prometheus.rs`.
fn decoded(body: &[u8]) -> Vec<MetricFamily> {
    let mut rest = body;
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

/// Seen red with: `positive_span` left empty.
#[test]
fn every_count_of_the_snapshot_is_in_a_native_histogram() {
    let snapshot = everything();
    let body = decoded(&metrics::protobuf(Vec::new(), &snapshot));
    let mut natives = 0;
    let histograms = body.iter().flat_map(|family| &family.metric);
    for histogram in histograms.filter_map(|metric| metric.histogram.as_ref()) {
        natives += 1;
        assert_eq!(histogram.schema, Some(3));
        assert_eq!(histogram.zero_count, Some(1));
        let lengths = histogram
            .positive_span
            .iter()
            .filter_map(|span| span.length);
        assert_eq!(
            lengths.sum::<u32>() as usize,
            histogram.positive_delta.len()
        );
        let mut count = 0;
        let counts = histogram.positive_delta.iter().map(|delta| {
            count += delta;
            count
        });
        assert_eq!(counts.sum::<i64>() + 1, 5);
        assert_eq!(histogram.sample_count, Some(5));
    }
    // Each stage, `total` once more with classic buckets, an initiator, a disk, an import's two stages and its `total` once more.
    assert_eq!(natives, Stage::ALL.len() + 6);
}

/// Prometheus would refuse the whole scrape.
///
/// Seen red with: `Native::of` always `Some`.
#[test]
fn what_is_not_all_in_buckets_is_in_no_native_histogram() {
    let mut snapshot = everything();
    let figure = Figure {
        unbucketed: 1,
        ..Figure::default()
    };
    let (_, disk) = &mut snapshot.disks[0].ops[0];
    disk.merge(&Recorded::recorded(&figure, &RawHistogram::EMPTY));
    let body = decoded(&metrics::protobuf(Vec::new(), &snapshot));
    let name = metrics::names::DISK_LATENCY.name;
    let mut families = body.iter().filter(|family| family.name() == name);
    let histogram = families.next().unwrap().metric[0]
        .histogram
        .clone()
        .unwrap();
    assert_eq!(histogram.sample_count, Some(6));
    assert_eq!(
        (histogram.schema, histogram.positive_delta.len()),
        (None, 0)
    );
    assert_eq!(histogram.bucket.last().unwrap().cumulative_count, Some(4));
}

#[test]
fn classic_buckets_are_there_besides() {
    let body = decoded(&metrics::protobuf(Vec::new(), &everything()));
    let buckets = |name: &str| {
        let mut named = body
            .iter()
            .filter(|family| family.name.as_deref() == Some(name));
        let metric = &named.next().unwrap().metric[0];
        metric.histogram.as_ref().unwrap().bucket.clone()
    };
    let bucket = |upper_bound, count| Bucket {
        cumulative_count: Some(count),
        upper_bound: Some(upper_bound),
    };
    assert_eq!(
        buckets("weir_volume_io_latency_seconds")[..3],
        [
            bucket(0.000_065_536, 2),
            bucket(0.000_262_144, 3),
            bucket(0.001_048_576, 4)
        ]
    );
    assert_eq!(buckets("weir_volume_io_stage_latency_seconds"), []);
}

/// All that the text has besides histograms, the registry's own included, is in protobuf, with the same values.
///
/// Seen red with: `others` not encoded.
#[test]
fn nothing_of_the_text_is_missing() {
    let mut gauge = prometheus::proto::Gauge::default();
    gauge.set_value(7.0);
    let mut other = prometheus::proto::MetricFamily::default();
    other.set_name("of_the_registry".to_owned());
    other.set_field_type(prometheus::proto::MetricType::GAUGE);
    other.set_metric(vec![prometheus::proto::Metric::from_gauge(gauge)]);
    let text = metrics::text(vec![other.clone()], &everything(), true).unwrap();
    let body = decoded(&metrics::protobuf(vec![other], &everything()));
    let mut lines = std::collections::BTreeSet::new();
    for family in &body {
        let name = family.name.as_deref().unwrap();
        for metric in &family.metric {
            let pairs = metric.label.iter().map(|pair| {
                let value = pair.value.as_deref().unwrap().replace('"', "\\\"");
                format!("{}=\"{value}\"", pair.name.as_deref().unwrap())
            });
            let labels = pairs.collect::<Vec<_>>().join(",");
            let labels = if labels.is_empty() {
                labels
            } else {
                format!("{{{labels}}}")
            };
            let number = metric.gauge.or(metric.counter);
            if let Some(number) = number {
                lines.insert(format!("{name}{labels} {}", number.value.unwrap()));
            }
            let summed = metric
                .histogram
                .as_ref()
                .map(|h| (h.sample_count, h.sample_sum));
            let summed = summed.or(metric.summary.map(|s| (s.sample_count, s.sample_sum)));
            if let Some((count, sum)) = summed {
                lines.insert(format!("{name}_count{labels} {}", count.unwrap()));
                lines.insert(format!("{name}_sum{labels} {}", sum.unwrap()));
            }
        }
    }
    let expected = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    let expected: std::collections::BTreeSet<String> = expected.map(str::to_owned).collect();
    assert_eq!(lines, expected);
    assert!(lines.contains("of_the_registry 7"));
    assert_eq!(
        body.len(),
        families(&everything(), Resolution::Native).len() + 1
    );
}
