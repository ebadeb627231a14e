//! Against a snapshot in which everything occurs.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;
use weir_agent_ebpf::scale::upper_bound_ns;
use weir_api::names::VolumeId;

use weir_api::units::Bytes;
use weir_api::volume::Phase;

use super::catalogue::{ENGINE, Entry, Kind, default, full};
use super::*;
use crate::gauges::{Gauges, PoolGauge, VolumeGauge, VolumeUser};
use crate::histogram::Histogram;
use crate::ladder::BackendFigures;
use crate::probe::{
    DiskFigures, Failure, ImportFigures, InitiatorFigures, Loss, Op, OpFigures, Size, Sized, Stage,
    StageOff, Tally, VolumeFigures,
};

fn histogram() -> Histogram {
    let mut histogram = Histogram::default();
    for ns in [900, 65_536, 65_537, 1 << 20, 70_000_000_000] {
        histogram.record(ns);
    }
    histogram
}

const TALLY: Tally = Tally {
    count: 2,
    sum_ns: 3_000_000_000,
};

fn everything_of(stages: &[Stage]) -> OpFigures {
    OpFigures {
        op: Op::Read,
        in_flight: 3,
        peak: 7,
        stages: stages.iter().map(|stage| (*stage, histogram())).collect(),
        sizes: [(Size::UpTo4K, 8192), (Size::More, 1 << 20)]
            .map(|(size, bytes)| {
                (
                    size,
                    Sized {
                        total: TALLY,
                        bytes,
                    },
                )
            })
            .to_vec(),
        failed: vec![(Failure::NoSpace, TALLY)],
        throttled: TALLY,
    }
}

pub(super) fn everything() -> Snapshot {
    Snapshot {
        rung: Rung::Ebpf,
        backends: Vec::new(),
        volumes: vec![VolumeFigures {
            id: VolumeId(Uuid::from_u128(1)),
            name: "db".parse().unwrap(),
            pool: "fast".parse().unwrap(),
            ops: vec![everything_of(&Stage::ALL)],
            oldest: Some(Duration::from_millis(1500)),
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
            failed: vec![(Op::Flush, Failure::Medium, TALLY)],
        }],
        imports: vec![ImportFigures {
            id: VolumeId(Uuid::from_u128(2)),
            ops: vec![everything_of(&[Stage::Total, Stage::HostQueue])],
            oldest: Some(Duration::from_millis(1500)),
        }],
        dropped: Loss::ALL.map(|why| (why, 2)).to_vec(),
        aged: 1,
        skipped: vec![("bio_queue".to_owned(), 4)],
        map_bytes: 4096,
        histograms: (5, 9),
        off: vec![StageOff {
            stage: "disk".to_owned(),
            reason: "no \"tracepoint\"".to_owned(),
        }],
    }
}

fn default_text() -> String {
    text(Vec::new(), &everything(), false).unwrap()
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

/// Seen red with: `..bucket_of(bound_ns)` in `Histogram::count_up_to`.
#[test]
fn bounds_are_inclusive_and_coarse_buckets_are_exact_sums() {
    let text = default_text();
    let buckets = buckets(&text, "weir_volume_io_latency_seconds_bucket");
    let expected = [
        ("0.000065536", 2),
        ("0.000262144", 3),
        ("0.001048576", 4),
        ("0.004194304", 4),
        ("0.016777216", 4),
        ("0.134217728", 4),
        ("1.073741824", 4),
        ("+Inf", 5),
    ];
    assert_eq!(buckets, expected.map(|(le, count)| (le.to_owned(), count)));
    assert!(buckets.len() <= 14);
}

#[test]
fn full_resolution_has_every_stage_and_only_buckets_that_hold_something() {
    let text = text(Vec::new(), &everything(), true).unwrap();
    for stage in Stage::ALL {
        assert!(text.contains(&format!("stage=\"{}\"", stage.label())));
    }
    let bound = upper_bound_ns(weir_agent_ebpf::scale::bucket_of(65_537)).unwrap();
    let expected = [
        ("0.000001024".to_owned(), 1),
        ("0.000065536".to_owned(), 2),
        ((bound as f64 / 1e9).to_string(), 3),
        ("0.001048576".to_owned(), 4),
        ("+Inf".to_owned(), 5),
    ];
    for start in [
        "weir_volume_io_stage_latency_seconds_bucket{volume=\"db\",op=\"read\",stage=\"total\"",
        "weir_initiator_io_latency_seconds_bucket{volume=\"db\",initiator=\"n1\",op=\"write\"",
    ] {
        assert_eq!(buckets(&text, start), expected);
    }
}

#[test]
fn other_stages_and_initiators_are_sum_and_count() {
    let text = default_text();
    for line in [
        "weir_volume_io_stage_seconds_count{volume=\"db\",op=\"read\",stage=\"backend\"} 5",
        "weir_initiator_io_seconds_count{volume=\"db\",initiator=\"n1\",op=\"write\"} 5",
    ] {
        assert!(text.contains(line), "{text}");
    }
    for never in ["stage=\"total\"", "weir_initiator_io_latency_seconds"] {
        assert!(!text.contains(never), "{never}");
    }
}

#[test]
fn a_node_that_measures_nothing_says_why() {
    let text = text(
        Vec::new(),
        &Snapshot::nothing("built without probes"),
        false,
    )
    .unwrap();
    assert!(text.contains("weir_probe_stage_off{stage=\"all\",reason=\"built without probes\"} 1"));
}

/// Two series that are equal would make Prometheus refuse one of them.
///
/// Seen red with: every reason shown.
#[test]
fn the_same_reason_is_told_once() {
    let mut snapshot = everything();
    snapshot.off.extend(everything().off);
    let text = text(Vec::new(), &snapshot, false).unwrap();
    assert_eq!(text.matches("weir_probe_stage_off{").count(), 1);
}

/// Seen red with: `..` instead of `..kept` in `cap::first`.
#[test]
fn what_does_not_fit_is_left_out_whole_and_counted() {
    let mut snapshot = everything();
    let (volume, initiator) = (snapshot.volumes.remove(0), snapshot.initiators.remove(0));
    for number in 0..cap::VOLUMES + 2 {
        let mut volume = volume.clone();
        volume.name = format!("v{number}").parse().unwrap();
        volume.ops[0].stages.truncate(2);
        snapshot.volumes.push(volume);
    }
    for number in 0..cap::INITIATORS + 3 {
        let mut initiator = initiator.clone();
        initiator.initiator = format!("n{number}").parse().unwrap();
        snapshot.initiators.push(initiator);
    }
    for number in 0..cap::REASONS {
        snapshot.off.push(StageOff {
            stage: "all".to_owned(),
            reason: number.to_string(),
        });
    }
    let text = text(Vec::new(), &snapshot, false).unwrap();
    let (last, first_out) = (cap::VOLUMES - 1, cap::VOLUMES);
    assert!(text.contains(&format!("{{volume=\"v{last}\"")));
    assert!(!text.contains(&format!("{{volume=\"v{first_out}\"")));
    let series = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(
        series("weir_volume_io_latency_seconds_count{"),
        cap::VOLUMES
    );
    assert_eq!(series("weir_volume_io_in_flight{"), cap::VOLUMES);
    assert_eq!(series("weir_initiator_io_seconds_count{"), cap::INITIATORS);
    assert_eq!(series("weir_probe_stage_off{"), cap::REASONS);
    for (kind, count) in [("volume", 2), ("initiator", 3), ("reason", 1)] {
        let line = format!("weir_scrape_left_out{{kind=\"{kind}\"}} {count}\n");
        assert!(text.contains(&line), "{kind}");
    }
}

#[test]
fn what_failed_was_large_or_is_old_is_told() {
    let text = text(Vec::new(), &everything(), true).unwrap();
    for line in [
        "weir_volume_io_in_flight_peak{volume=\"db\",op=\"read\"} 7",
        "weir_volume_io_oldest_seconds{volume=\"db\"} 1.5",
        "weir_volume_io_bytes_total{volume=\"db\",op=\"read\"} 1056768",
        "weir_volume_io_failed_seconds_count{volume=\"db\",op=\"read\",status=\"no_space\"} 2",
        "weir_volume_io_throttled_seconds_sum{volume=\"db\",op=\"read\"} 3",
        "weir_volume_io_size_seconds_count{volume=\"db\",op=\"read\",size=\"4KiB\"} 2",
        "weir_pool_disk_io_failed_seconds_sum{pool=\"fast\",disk=\"sda\",op=\"flush\",status=\"medium\"} 3",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}");
    }
}

#[test]
fn what_fits_is_not_left_out() {
    assert!(default_text().contains("weir_scrape_left_out{kind=\"volume\"} 0\n"));
}

/// Volume `db` is used on this node, `web` is exported.
fn below_ebpf(rung: Rung) -> Snapshot {
    let figures = |name: &str, is_local| BackendFigures {
        id: VolumeId(Uuid::from_u128(1)),
        name: name.parse().unwrap(),
        pool: "fast".parse().unwrap(),
        is_local,
        in_flight: 4,
        ops: vec![
            (
                Op::Read,
                Tally {
                    count: 2,
                    sum_ns: 3_000_000,
                },
            ),
            (Op::Write, Tally::default()),
        ],
        together: (rung == Rung::DmStatistics).then(histogram),
    };
    Snapshot {
        rung,
        backends: vec![figures("db", true), figures("web", false)],
        ..Snapshot::default()
    }
}

#[test]
fn below_ebpf_sums_are_of_the_backend_and_the_histogram_of_reads_and_writes() {
    let snapshot = below_ebpf(Rung::DmStatistics);
    let text = text(Vec::new(), &snapshot, true).unwrap();
    for line in [
        "weir_probe_rung{rung=\"dm-statistics\"} 1",
        "weir_volume_io_stage_seconds_sum{volume=\"db\",op=\"read\",stage=\"backend\"} 0.003",
        "weir_volume_io_stage_seconds_count{volume=\"web\",op=\"write\",stage=\"backend\"} 0",
        "weir_volume_io_in_flight{volume=\"db\",op=\"read_write\"} 4",
        "weir_volume_io_latency_seconds_count{volume=\"db\",op=\"read_write\"} 5",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let full = |volume: &str, stage: &str| {
        let labels = format!("{{volume=\"{volume}\",op=\"read_write\",stage=\"{stage}\"");
        buckets(
            &text,
            &format!("weir_volume_io_stage_latency_seconds_bucket{labels}"),
        )
        .len()
    };
    let told = [
        full("db", "total"),
        full("db", "backend"),
        full("web", "backend"),
    ];
    assert_eq!(told, [5, 5, 5]);
    assert_eq!(full("web", "total"), 0);
    assert!(!text.contains("latency_seconds_count{volume=\"web\",op=\"read_write\"}"));
}

/// Seen red with: `aged` and `histograms` told on every rung.
#[test]
fn what_a_rung_cant_know_is_absent() {
    for rung in [Rung::DmStatistics, Rung::Diskstats] {
        let text = text(Vec::new(), &below_ebpf(rung), true).unwrap();
        assert_eq!(text.matches("weir_probe_rung{").count(), 1);
        for never in [
            "weir_probe_aged",
            "weir_probe_dropped",
            "weir_probe_histograms",
            "op=\"flush\"",
        ] {
            assert!(!text.contains(never), "{never}");
        }
    }
    let text = text(Vec::new(), &below_ebpf(Rung::Diskstats), true).unwrap();
    assert!(!text.contains("_bucket"), "{text}");
}

/// Its bounds are wider than a native histogram's: that would invent precision.
///
/// Seen red with: `Resolution::Native` in `IoFamilies::add_backend`.
#[test]
fn what_device_mapper_counted_is_no_native_histogram() {
    let exposed = families(&below_ebpf(Rung::DmStatistics), Resolution::Native);
    assert!(
        exposed
            .iter()
            .all(|exposed| exposed.natives.iter().all(Option::is_none))
    );
    let text = text(Vec::new(), &below_ebpf(Rung::DmStatistics), true).unwrap();
    assert!(text.contains("le=\"0.001048576\"} 4"));
}

type Described = BTreeMap<String, (String, Vec<String>)>;

fn exported(families: impl IntoIterator<Item = MetricFamily>) -> Described {
    families
        .into_iter()
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
    let probes = |resolution| {
        let families = families(&everything(), resolution);
        exported(families.into_iter().map(MetricFamily::from))
    };
    let all = [default(), full()].concat();
    assert_eq!(probes(Resolution::Coarse), catalogued(&default()));
    assert_eq!(probes(Resolution::Full), catalogued(&all));
    assert_eq!(probes(Resolution::Native), catalogued(&all));
    assert_eq!(
        documented("## Measured in the kernel\n"),
        catalogued(&default())
    );
    assert_eq!(documented("## In full resolution\n"), catalogued(&full()));
    let gauges = Gauges {
        volumes: vec![VolumeGauge {
            name: "v".to_owned(),
            pool: "p".to_owned(),
            id: VolumeId(Uuid::from_u128(1)),
            user: VolumeUser {
                persistent_volume_claim: Some("c".to_owned()),
                namespace: Some("n".to_owned()),
                pod: Some("p-0".to_owned()),
            },
            phase: Phase::Ready,
        }],
        pools: vec![PoolGauge {
            name: "p".to_owned(),
            capacity: Bytes(1),
            free: Bytes(1),
            allocated: Some(Bytes(1)),
            thin: Some(weir_api::pool::ThinUsage::default()),
        }],
        ..Gauges::default()
    };
    assert_eq!(
        exported(crate::gauges::families(&gauges)),
        catalogued(&ENGINE)
    );
    assert_eq!(documented("## Of the agent itself\n"), catalogued(&ENGINE));
}

#[test]
fn every_reason_and_operation_is_described() {
    let document = include_str!("../../METRICS.md");
    let labels = Loss::ALL.map(Loss::label).into_iter();
    let labels = labels.chain(Op::ALL.map(Op::label));
    let labels = labels.chain(Failure::ALL.map(Failure::label));
    let labels = labels.chain(Size::ALL.map(Size::label));
    let labels = labels.chain(["volume", "initiator", "reason"]);
    for label in labels.chain(Stage::ALL.map(Stage::label)) {
        assert!(document.contains(&format!("`{label}`")), "{label}");
    }
}
