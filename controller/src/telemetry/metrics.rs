//! The state of telemetry, for scrapes of the controller.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};
use tokio::sync::watch;
use weir_telemetry::server::{Figures, Reason, Shared};

/// Shows the present term's [`Figures`]; nothing while this controller does not lead.
///
/// | name | type | labels | meaning |
/// |---|---|---|---|
/// | `weir_telemetry_age_seconds` | gauge | `node` | how old what is known of a node is: since its agent read the figures that were counted in last. Missing until it reported in this term |
/// | `weir_telemetry_reports_total` | counter | | reports that were counted in, in this term |
/// | `weir_telemetry_refused_total` | counter | `reason` | streams and messages that were refused, in this term: `identity` (no agent), `other_node`, `malformed`, `nodes` (there are too many) |
/// | `weir_telemetry_left_out_total` | counter | `side` | series for which there was no room, `here` or on an `agent`, since its start |
/// | `weir_telemetry_series` | gauge | `kind` | `history` (a pool's operation) and `link` (one end of a volume used over NVMe) that are held |
pub struct TelemetryMetrics {
    present: watch::Receiver<Option<Shared>>,
    /// Filled for each scrape, by one at a time.
    families: Mutex<Families>,
    descs: Vec<Desc>,
}

struct Families {
    age: GaugeVec,
    reports: IntCounter,
    refused: IntCounterVec,
    left_out: IntCounterVec,
    series: IntGaugeVec,
}

impl TelemetryMetrics {
    /// Shows the term that is in the channel.
    ///
    /// # Errors
    /// Never, as long as the names are valid, which a test checks.
    pub fn new(present: watch::Receiver<Option<Shared>>) -> Result<Self, prometheus::Error> {
        let families = Families::new()?;
        let descs = families.each().into_iter().flat_map(|each| each.desc());
        Ok(TelemetryMetrics {
            present,
            descs: descs.cloned().collect(),
            families: Mutex::new(families),
        })
    }
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("weir_telemetry_{name}"), help);
        Ok(Families {
            age: GaugeVec::new(
                opts("age_seconds", "How old what is known of a node is."),
                &["node"],
            )?,
            reports: IntCounter::with_opts(opts(
                "reports_total",
                "Reports that were counted in, in this term.",
            ))?,
            refused: IntCounterVec::new(
                opts(
                    "refused_total",
                    "Streams and messages that were refused, in this term.",
                ),
                &["reason"],
            )?,
            left_out: IntCounterVec::new(
                opts("left_out_total", "Series for which there was no room."),
                &["side"],
            )?,
            series: IntGaugeVec::new(opts("series", "Series that are held."), &["kind"])?,
        })
    }

    fn each(&self) -> [&dyn Collector; 5] {
        [
            &self.age,
            &self.reports,
            &self.refused,
            &self.left_out,
            &self.series,
        ]
    }

    fn set(&self, figures: &Figures) {
        self.age.reset();
        for (node, age) in &figures.ages {
            let age_seconds = age.as_secs_f64();
            self.age
                .with_label_values(&[node.as_str()])
                .set(age_seconds);
        }
        self.reports.reset();
        self.reports.inc_by(figures.reports);
        self.refused.reset();
        for reason in Reason::ALL {
            let refused = self.refused.with_label_values(&[reason.label()]);
            refused.inc_by(figures.refusals.of(reason));
        }
        self.left_out.reset();
        let (here, agents) = (figures.left_out, figures.left_out_by_agents);
        for (side, count) in [("here", here), ("agent", agents)] {
            self.left_out.with_label_values(&[side]).inc_by(count);
        }
        let (histories, links) = figures.held;
        for (kind, held) in [("history", histories), ("link", links)] {
            let held = i64::try_from(held).unwrap_or(i64::MAX);
            self.series.with_label_values(&[kind]).set(held);
        }
    }
}

impl Collector for TelemetryMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(shared) = self.present.borrow().clone() else {
            return Vec::new();
        };
        let figures = shared.figures(Instant::now());
        let families = self.families.lock();
        let families = families.unwrap_or_else(PoisonError::into_inner);
        families.set(&figures);
        let each = families.each();
        each.into_iter().flat_map(|each| each.collect()).collect()
    }
}
