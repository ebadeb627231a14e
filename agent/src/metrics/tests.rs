//! Against a snapshot in which everything occurs.

use std::collections::BTreeMap;

use prometheus::{Registry, TextEncoder};
use uuid::Uuid;
use weir_agent_ebpf::scale::upper_bound_ns;
use weir_api::names::VolumeId;

use weir_api::units::Bytes;
use weir_api::volume::Phase;

use super::catalogue::{DEFAULT, ENGINE, Entry, FULL, Kind};
use super::*;
use crate::gauges::{Gauges, PoolGauge, VolumeGauge};
use crate::histogram::Histogram;
use crate::probe::{DiskFigures, InitiatorFigures, Loss, Op, OpFigures, StageOff, VolumeFigures};

fn histogram() -> Histogram {
    let mut histogram = Histogram::default();
    for ns in [900, 32_768, 32_769, 1 << 20, 70_000_000_000] {
        histogram.record(ns);
    }
    histogram
}

fn everything() -> Snapshot {
    Snapshot {
        volumes: vec![VolumeFigures {
            id: VolumeId(Uuid::from_u128(1)),
            name: "db".parse().unwrap(),
            pool: "fast".parse().unwrap(),
            ops: vec![OpFigures {
                op: Op::Read,
                in_flight: 3,
                stages: Stage::ALL.map(|stage| (stage, histogram())).to_vec(),
            }],
        }],
        initiators: vec![InitiatorFigures {
            volume: "db".parse().unwrap(),
            initiator: "n1".parse().unwrap(),
            ops: vec![(Op::Write, histogram())],
        }],
        disks: vec![DiskFigures {
            pool: "fast".parse().unwrap(),
            disk: "sda".to_owned(),
            ops: vec![(Op::Flush, histogram())],
        }],
        dropped: Loss::ALL.map(|why| (why, 2)).to_vec(),
        aged: 1,
        skipped: vec![("bio_queue".to_owned(), 4)],
        map_bytes: 4096,
        off: vec![StageOff {
            stage: "disk".to_owned(),
            reason: "no \"tracepoint\"".to_owned(),
        }],
    }
}

fn text(families: &[MetricFamily]) -> String {
    TextEncoder::new().encode_to_string(families).unwrap()
}

/// The figures of a histogram's buckets, by bound.
fn buckets(text: &str, start: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter(|line| line.starts_with(start))
        .map(|line| {
            let (_, le) = line.split_once("le=\"").unwrap();
            let (le, count) = le.split_once("\"} ").unwrap();
            (le.to_owned(), count.parse().unwrap())
        })
        .collect()
}

#[test]
fn bounds_are_inclusive_and_coarse_buckets_are_exact_sums() {
    let text = text(&families(&everything()));
    let buckets = buckets(&text, "weir_volume_io_latency_seconds_bucket");
    assert_eq!(buckets.len(), 14);
    assert_eq!(buckets[0], ("0.000032768".to_owned(), 2));
    assert_eq!(buckets[1], ("0.000065536".to_owned(), 3));
    assert_eq!(buckets[5], ("0.001048576".to_owned(), 4));
    assert_eq!(buckets[12].1, 4);
    assert_eq!(buckets[13], ("+Inf".to_owned(), 5));
}

#[test]
fn full_resolution_has_every_stage_and_only_buckets_that_hold_something() {
    let text = text(&full_families(&everything()));
    for stage in Stage::ALL {
        assert!(text.contains(&format!("stage=\"{}\"", stage.label())));
    }
    let start = "weir_volume_io_stage_latency_seconds_bucket{volume=\"db\",pool=\"fast\",op=\"read\",stage=\"total\"";
    let bound = upper_bound_ns(weir_agent_ebpf::scale::bucket_of(32_769)).unwrap();
    assert_eq!(
        buckets(&text, start),
        [
            ("0.000001024".to_owned(), 1),
            ("0.000032768".to_owned(), 2),
            ((bound as f64 / 1e9).to_string(), 3),
            ("0.001048576".to_owned(), 4),
            ("+Inf".to_owned(), 5),
        ]
    );
}

#[test]
fn other_stages_are_sum_and_count() {
    let text = text(&families(&everything()));
    let line = "weir_volume_io_stage_seconds_count{volume=\"db\",pool=\"fast\",op=\"read\",stage=\"backend\"} 5";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains(
        "weir_volume_io_stage_seconds_count{volume=\"db\",pool=\"fast\",op=\"read\",stage=\"total\""
    ));
}

#[test]
fn the_collector_can_be_registered_and_gathered() {
    let registry = Registry::new();
    let collector = ProbeCollector::new(everything).unwrap();
    registry.register(Box::new(collector)).unwrap();
    assert_eq!(registry.gather().len(), DEFAULT.len());
}

#[test]
fn a_node_that_measures_nothing_says_why() {
    let text = text(&families(&Snapshot::nothing("built without probes")));
    assert!(text.contains("weir_probe_stage_off{stage=\"all\",reason=\"built without probes\"} 1"));
}

type Described = BTreeMap<String, (String, Vec<String>)>;

fn exported(families: &[MetricFamily]) -> Described {
    families
        .iter()
        .map(|family| {
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            let labels = family.get_metric()[0].get_label();
            let labels = labels.iter().map(|label| label.name().to_owned()).collect();
            (family.name().to_owned(), (kind, labels))
        })
        .collect()
}

fn catalogued(entries: &[Entry]) -> Described {
    entries
        .iter()
        .map(|entry| {
            let kind = match entry.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
                Kind::Summary => "summary",
            };
            let labels = entry.labels.iter().map(|label| (*label).to_owned());
            (entry.name.to_owned(), (kind.to_owned(), labels.collect()))
        })
        .collect()
}

/// Rows such as `` | `name` | type | `label`, `label` | … ``.
fn documented(section: &str) -> Described {
    let document = include_str!("../../METRICS.md");
    let (_, after) = document.split_once(section).unwrap();
    let body = after.split("\n## ").next().unwrap();
    body.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            let quoted = cells.get(3)?.split('`').skip(1).step_by(2);
            let labels = quoted.map(str::to_owned).collect();
            Some((name.to_owned(), (cells.get(2)?.to_string(), labels)))
        })
        .collect()
}

#[test]
fn what_is_exported_is_what_is_catalogued_and_described() {
    assert_eq!(exported(&families(&everything())), catalogued(&DEFAULT));
    assert_eq!(exported(&full_families(&everything())), catalogued(&FULL));
    assert_eq!(
        documented("## Measured in the kernel\n"),
        catalogued(&DEFAULT)
    );
    assert_eq!(documented("## With `?full=1`\n"), catalogued(&FULL));
    let gauges = Gauges {
        volumes: vec![VolumeGauge {
            name: "v".to_owned(),
            pool: "p".to_owned(),
            phase: Phase::Ready,
        }],
        pools: vec![PoolGauge {
            name: "p".to_owned(),
            capacity: Bytes(1),
            free: Bytes(1),
        }],
        ..Gauges::default()
    };
    assert_eq!(
        exported(&crate::gauges::families(&gauges)),
        catalogued(&ENGINE)
    );
    assert_eq!(documented("## Of the agent itself\n"), catalogued(&ENGINE));
}

#[test]
fn every_reason_and_operation_is_described() {
    let document = include_str!("../../METRICS.md");
    let labels = Loss::ALL.map(Loss::label).into_iter();
    let labels = labels.chain(Op::ALL.map(Op::label));
    for label in labels.chain(Stage::ALL.map(Stage::label)) {
        assert!(document.contains(&format!("`{label}`")), "{label}");
    }
}
