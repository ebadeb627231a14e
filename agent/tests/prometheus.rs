//! What Prometheus' own programs make of a scrape: promtool of the text, a server of the protobuf.
//!
//! Run by `cargo xtask test metrics`, which names the directory of both programs in `WEIR_PROMETHEUS`. Everything
//! happens on the loopback address, in a temporary directory.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "scrape/http.rs"]
mod http;
#[path = "scrape/sample.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod sample;
#[path = "scrape/server.rs"]
mod server;

use std::io::Write;
use std::process::{Command, Stdio};

use prometheus::Registry;
use uuid::Uuid;
use weir_agent::gauges::{GaugeCollector, Gauges, PoolGauge, VolumeGauge, VolumeUser};
use weir_agent::histogram::Histogram;
use weir_agent::ladder::{BackendFigures, Rung};
use weir_agent::probe::{Op, Snapshot, Stage, Tally};
use weir_agent_ebpf::scale::{bucket_of, lower_bound_ns};
use weir_api::names::VolumeId;
use weir_api::pool::ThinUsage;
use weir_api::units::Bytes;
use weir_api::volume::Phase;

use sample::{spread, two_volumes};
use server::{Found, Server};

/// The agent's own routes over a snapshot in which everything occurs; returns the address.
fn agent() -> String {
    let snapshot = two_volumes();
    let volumes = snapshot.volumes.iter().map(|volume| VolumeGauge {
        name: volume.name.to_string(),
        pool: volume.pool.to_string(),
        id: volume.id,
        user: VolumeUser {
            persistent_volume_claim: Some("data-db-0".to_owned()),
            namespace: Some("shop".to_owned()),
            pod: None,
        },
        phase: Phase::Ready,
    });
    let gauges = Gauges {
        volumes: volumes.collect(),
        pools: vec![PoolGauge {
            name: "fast".to_owned(),
            capacity: Bytes(1 << 40),
            free: Bytes(1 << 30),
            allocated: Some(Bytes(1 << 40)),
            thin: Some(ThinUsage {
                data_percent: 7,
                metadata_percent: 1,
            }),
        }],
        ..Gauges::default()
    };
    let registry = Registry::new();
    let gauges = std::sync::Arc::new(std::sync::Mutex::new(gauges));
    let collector = GaugeCollector::new(gauges).unwrap();
    registry.register(Box::new(collector)).unwrap();
    http::serve(weir_agent::serve::router(registry, two_volumes))
}

/// Seen red with: `weir_probe_dropped` without `_total`; an empty help text.
#[test]
fn promtool_has_no_complaint() {
    let address = agent();
    for path in ["/metrics", "/metrics?full=1"] {
        let text = http::get(&address, path).unwrap();
        assert!(text.contains("weir_volume_info{"), "{text}");
        check(&text);
    }
}

#[test]
fn promtool_has_no_complaint_below_ebpf_either() {
    for together in [None, Some(spread(3))] {
        let figures = BackendFigures {
            id: VolumeId(Uuid::from_u128(1)),
            name: "db".parse().unwrap(),
            pool: "fast".parse().unwrap(),
            is_local: true,
            in_flight: 2,
            ops: vec![(Op::Read, Tally::default()), (Op::Write, Tally::default())],
            together,
        };
        let snapshot = Snapshot {
            rung: Rung::DmStatistics,
            backends: vec![figures],
            ..Snapshot::nothing("cannot make the maps")
        };
        check(&weir_agent::metrics::text(Vec::new(), &snapshot, true).unwrap());
    }
}

/// The recording rules that ship, over what both ends export.
///
/// Seen red with: volumes joined by their name alone, not by node and name.
#[test]
fn promtool_has_no_complaint_about_the_rules() {
    let rules = "../deploy/prometheus";
    for (what, file) in [
        ("check", "weir.rules.yaml"),
        ("test", "weir.rules.test.yaml"),
    ] {
        let promtool = Command::new(server::program("promtool"))
            .args([what, "rules", file])
            .current_dir(rules)
            .output()
            .unwrap();
        let said = [promtool.stdout, promtool.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(promtool.status.success(), "{file}: {said}");
    }
}

fn check(text: &str) {
    let mut promtool = Command::new(server::program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Dropped at the end of the statement, which is the end of its input.
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}: {text}");
}

/// Every histogram of the snapshot, asked of a server that scraped it: number and sum of the intervals are exact, quantiles
/// lie where METRICS.md says, classic buckets are there too.
///
/// Seen red with: `const SHIFT: i32 = -158;`; `const SCHEMA: i32 = 2;`; `zero_count` always 0.
#[test]
fn prometheus_reads_what_was_counted() {
    let address = agent();
    let server = Server::start(&address);
    let stages = "weir_volume_io_stage_latency_seconds{job=\"protobuf\"}";
    let counts = server.wait_for(&format!("histogram_count({stages})"));
    let sums = server.ask(&format!("histogram_sum({stages})"));
    let quantiles = [0.1, 0.5, 0.9, 0.99, 0.999]
        .map(|q| (q, server.ask(&format!("histogram_quantile({q}, {stages})"))));
    let longest = server.ask(&format!("histogram_quantile(1, {stages})"));
    let mut seen = 0;
    for volume in two_volumes().volumes {
        for figures in &volume.ops {
            for (stage, histogram) in &figures.stages {
                let labels = [
                    ("volume", volume.name.as_str()),
                    ("op", figures.op.label()),
                    ("stage", stage.label()),
                ];
                assert_eq!(
                    value(&counts, &labels),
                    histogram.count() as f64,
                    "{labels:?}"
                );
                assert_eq!(
                    value(&sums, &labels),
                    histogram.sum_ns() as f64 / 1e9,
                    "{labels:?}"
                );
                // What is longer than the scale, in the native bucket beyond it.
                assert!(
                    (68.7..76.2).contains(&value(&longest, &labels)),
                    "{labels:?}"
                );
                for (q, found) in &quantiles {
                    check_quantile(*q, value(found, &labels), histogram);
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, counts.len());
    assert_eq!(seen, 2 * 5 * Stage::ALL.len());
    let in_pool = server.ask(the_join());
    assert_eq!(
        value(&in_pool, &[("pool", "fast")]),
        2.0 * 2.0 * 5.0 * 3.0,
        "{in_pool:?}"
    );
    classic_buckets_are_there(&server, "protobuf");
    classic_buckets_are_there(&server, "text");
    // Each format has everything: what is not a histogram comes from both, with the same value.
    for family in [
        "weir_volume_info",
        "weir_volume_io_stage_seconds_sum",
        "weir_probe_dropped_total",
    ] {
        let apart =
            format!("{family}{{job=\"protobuf\"}} == ignoring (job) {family}{{job=\"text\"}}");
        let all = server.ask(&format!("{family}{{job=\"text\"}}"));
        assert!(
            !all.is_empty() && server.ask(&apart).len() == all.len(),
            "{family}"
        );
    }
}

/// METRICS.md's example of a join: here I/Os in flight, 3 of each operation and volume, seen by both jobs.
fn the_join() -> &'static str {
    let mut lines = include_str!("../METRICS.md").lines();
    let query = lines.find(|line| line.starts_with("sum by (pool)"));
    query.expect("an example of a join")
}

/// METRICS.md: what is read lies between 0.878 and 1.108 times what was measured, wherever in its bucket that lay.
fn check_quantile(q: f64, seconds: f64, histogram: &Histogram) {
    let upper = histogram.quantile(q).unwrap();
    let lower = lower_bound_ns(bucket_of(upper));
    let ns = seconds * 1e9;
    assert!(
        ns >= 0.878 * upper as f64 && ns <= 1.108 * lower as f64,
        "quantile {q}: {ns} ns read, between {lower} and {upper} ns measured"
    );
}

fn classic_buckets_are_there(server: &Server, job: &str) {
    let buckets = server.ask(&format!(
        "weir_volume_io_latency_seconds_bucket{{job=\"{job}\"}}"
    ));
    assert_eq!(buckets.len(), 2 * 5 * 8, "{job}");
    for volume in two_volumes().volumes {
        for figures in &volume.ops {
            let total = figures.stage(Stage::Total).unwrap();
            let mine = buckets.iter().filter(|found| {
                found.label("volume") == volume.name.as_str()
                    && found.label("op") == figures.op.label()
            });
            for found in mine {
                let expected = match found.label("le").parse::<f64>().unwrap() {
                    bound if bound.is_infinite() => total.count(),
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a bound"
                    )]
                    bound => total.count_up_to((bound * 1e9).round() as u64),
                };
                assert_eq!(found.value, expected as f64, "{job} {found:?}");
            }
        }
    }
}

fn value(all: &[Found], labels: &[(&str, &str)]) -> f64 {
    let mut matching = all.iter().filter(|found| {
        labels
            .iter()
            .all(|(name, value)| found.label(name) == *value)
    });
    let found = matching.next();
    found
        .unwrap_or_else(|| panic!("no series {labels:?}"))
        .value
}
