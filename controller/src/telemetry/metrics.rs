//! The state of telemetry, for scrapes of the controller.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};
use tokio::sync::watch;
use weir_telemetry::server::{Book, Figures, Pool, Reason, Shared};

use super::taking::{Pools, Taking};

/// Shows the present term's [`Figures`]; nothing while this controller does not lead. `METRICS.md` says what each is.
pub struct TelemetryMetrics {
    present: watch::Receiver<Option<Shared>>,
    pools: Pools,
    /// Filled for each scrape, by one at a time.
    families: Mutex<Families>,
    descs: Vec<Desc>,
}

struct Families {
    age: GaugeVec,
    seconds: CounterVec,
    ios: IntCounterVec,
    in_flight: IntGaugeVec,
    reports: IntCounter,
    refused: IntCounterVec,
    left_out: IntCounterVec,
    series: IntGaugeVec,
}

impl TelemetryMetrics {
    /// Shows what is taken.
    ///
    /// # Errors
    /// Never, as long as the names are valid, which a test checks.
    pub fn new(taking: &Taking) -> Result<Self, prometheus::Error> {
        let families = Families::new()?;
        let descs = families.each().into_iter().flat_map(|each| each.desc());
        Ok(TelemetryMetrics {
            present: taking.present(),
            pools: taking.pools().clone(),
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
                opts("age_seconds", "How old what is known of a pool is."),
                &["pool", "node"],
            )?,
            seconds: CounterVec::new(
                opts(
                    "backend_seconds_total",
                    "Time that the I/Os of a pool took at its volumes' devices, as counted in, in this term.",
                ),
                &["pool", "op"],
            )?,
            ios: IntCounterVec::new(
                opts(
                    "backend_ios_total",
                    "I/Os of a pool that were counted in, in this term.",
                ),
                &["pool", "op"],
            )?,
            in_flight: IntGaugeVec::new(
                opts(
                    "in_flight",
                    "I/Os of a pool that had begun and not ended, as its agent last said.",
                ),
                &["pool"],
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

    fn each(&self) -> [&dyn Collector; 8] {
        [
            &self.age,
            &self.seconds,
            &self.ios,
            &self.in_flight,
            &self.reports,
            &self.refused,
            &self.left_out,
            &self.series,
        ]
    }

    fn set(&self, figures: &Figures) {
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

impl Families {
    /// What is known of each pool that there is. What an agent says of others is nobody's.
    fn set_pools(&self, book: &Book, pools: &Pools, now: Instant) {
        self.age.reset();
        self.seconds.reset();
        self.ios.reset();
        self.in_flight.reset();
        for (pool, node) in pools.all() {
            let Some(heard) = book.node(&node) else {
                continue;
            };
            if let Some(age) = heard.age(now) {
                let labels = [pool.as_str(), node.as_str()];
                self.age.with_label_values(&labels).set(age.as_secs_f64());
                let in_flight = i64::try_from(heard.all_in_flight(&pool)).unwrap_or(i64::MAX);
                let of_pool = self.in_flight.with_label_values(&[pool.as_str()]);
                of_pool.set(in_flight);
            }
            let known = heard.pool(&pool).into_iter();
            for (op, history) in known.flat_map(Pool::histories) {
                let (labels, totals) = ([pool.as_str(), op.label()], history.totals());
                self.ios.with_label_values(&labels).inc_by(totals.count);
                let seconds = totals.sum_ns as f64 / 1e9;
                self.seconds.with_label_values(&labels).inc_by(seconds);
            }
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
        shared.look(|book| families.set_pools(book, &self.pools, Instant::now()));
        let each = families.each();
        each.into_iter().flat_map(|each| each.collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_described_is_what_is_registered() {
        let families = Families::new().unwrap();
        let each = families.each();
        let registered: BTreeSet<&str> = each
            .iter()
            .flat_map(|each| each.desc())
            .map(|desc| desc.fq_name.as_str())
            .collect();
        let document = include_str!("../../METRICS.md");
        let described = document.lines().filter_map(|line| line.strip_prefix("| `"));
        let described: BTreeSet<&str> = described
            .filter_map(|line| line.split('`').next())
            .collect();
        assert_eq!(described, registered);
    }
}
