//! Prometheus gauges of the engine: what is the case, as of the last round.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use weir_api::units::Bytes;
use weir_api::volume::Phase;

/// What the last round saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Volumes asked for or recorded.
    pub volumes: Vec<VolumeGauge>,
    /// Pools asked for or recorded.
    pub pools: Vec<PoolGauge>,
    /// Recorded volumes that nobody asks for.
    pub orphan_volumes: usize,
    /// LVs with a volume's mark of which nothing is recorded.
    pub orphan_lvs: usize,
    /// Request files that are no request.
    pub invalid_requests: usize,
    /// Record files that can't be read.
    pub broken_records: usize,
    /// Steps that failed since the agent's start.
    pub failed_steps_total: u64,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeGauge {
    /// Its object's name.
    pub name: String,
    /// Its pool's name.
    pub pool: String,
    /// Where in its life it is.
    pub phase: Phase,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolGauge {
    /// Its object's name.
    pub name: String,
    /// Its size.
    pub capacity: Bytes,
    /// Its unused extents.
    pub free: Bytes,
}

/// The gauges, locked.
pub(crate) fn lock(gauges: &Mutex<Gauges>) -> MutexGuard<'_, Gauges> {
    // Replaced as a whole: a panic elsewhere can't leave them half-written.
    gauges.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows [`Gauges`] to a Prometheus registry.
pub struct GaugeCollector {
    gauges: Arc<Mutex<Gauges>>,
    descs: Vec<Desc>,
}

/// Name, help, labels.
const FAMILIES: [(&str, &str, &[&str]); 7] = [
    (
        "weir_volume_phase",
        "1 for the phase a volume is in.",
        &["volume", "pool", "phase"],
    ),
    (
        "weir_pool_capacity_bytes",
        "Size of a pool's volume group.",
        &["pool"],
    ),
    (
        "weir_pool_free_bytes",
        "Extents of a pool that no LV uses.",
        &["pool"],
    ),
    (
        "weir_orphan_volumes",
        "Volumes kept without a request: `recorded` ones are served, `unrecorded` LVs are not.",
        &["kind"],
    ),
    (
        "weir_invalid_requests",
        "Request files that can't be read.",
        &[],
    ),
    (
        "weir_broken_records",
        "Record files that can't be read.",
        &[],
    ),
    (
        "weir_failed_steps_total",
        "Steps towards what is asked for that failed.",
        &[],
    ),
];

impl GaugeCollector {
    /// Shows these.
    ///
    /// # Errors
    /// Never with the names above; the registry's checks return one.
    pub fn new(gauges: Arc<Mutex<Gauges>>) -> Result<Self, prometheus::Error> {
        let desc = |(name, help, labels): &(&str, &str, &[&str])| {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            Desc::new(
                (*name).to_owned(),
                (*help).to_owned(),
                labels,
                HashMap::new(),
            )
        };
        let descs = FAMILIES.iter().map(desc).collect::<Result<_, _>>()?;
        Ok(GaugeCollector { gauges, descs })
    }
}

impl Collector for GaugeCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = lock(&self.gauges).clone();
        let mut rows: [Vec<(Vec<&str>, f64)>; 7] = Default::default();
        let phases: Vec<String> = now
            .volumes
            .iter()
            .map(|volume| volume.phase.to_string())
            .collect();
        for (volume, phase) in now.volumes.iter().zip(&phases) {
            rows[0].push((vec![&volume.name, &volume.pool, phase], 1.0));
        }
        for pool in &now.pools {
            rows[1].push((vec![&pool.name], float(pool.capacity.0)));
            rows[2].push((vec![&pool.name], float(pool.free.0)));
        }
        rows[3].push((vec!["recorded"], float(now.orphan_volumes as u64)));
        rows[3].push((vec!["unrecorded"], float(now.orphan_lvs as u64)));
        rows[4].push((Vec::new(), float(now.invalid_requests as u64)));
        rows[5].push((Vec::new(), float(now.broken_records as u64)));
        rows[6].push((Vec::new(), float(now.failed_steps_total)));
        let families = FAMILIES.iter().zip(rows);
        families
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(of, rows)| family(*of, rows))
            .collect()
    }
}

/// Prometheus knows floating-point numbers only; exact up to 8 PiB.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(number: u64) -> f64 {
    number as f64
}

fn family(
    (name, help, labels): (&str, &str, &[&str]),
    rows: Vec<(Vec<&str>, f64)>,
) -> MetricFamily {
    let is_counter = name.ends_with("_total");
    let metric = |(values, number): (Vec<&str>, f64)| {
        let pair = |(label, value): (&&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*label).to_owned());
            pair.set_value(value.to_owned());
            pair
        };
        let mut metric = Metric::default();
        metric.set_label(labels.iter().zip(values).map(pair).collect());
        if is_counter {
            let mut counter = Counter::default();
            counter.set_value(number);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(number);
            metric.set_gauge(gauge);
        }
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(if is_counter {
        MetricType::COUNTER
    } else {
        MetricType::GAUGE
    });
    family.set_metric(rows.into_iter().map(metric).collect());
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, Registry, TextEncoder};

    #[test]
    fn what_the_last_round_saw_is_shown() {
        let gauges = Arc::new(Mutex::new(Gauges {
            volumes: vec![VolumeGauge {
                name: "a".to_owned(),
                pool: "p".to_owned(),
                phase: Phase::Ready,
            }],
            pools: vec![PoolGauge {
                name: "p".to_owned(),
                capacity: Bytes(8),
                free: Bytes(4),
            }],
            orphan_volumes: 2,
            failed_steps_total: 3,
            ..Gauges::default()
        }));
        let registry = Registry::new();
        registry
            .register(Box::new(GaugeCollector::new(gauges).unwrap()))
            .unwrap();
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&registry.gather(), &mut text)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "weir_volume_phase{volume=\"a\",pool=\"p\",phase=\"Ready\"} 1",
            "weir_pool_free_bytes{pool=\"p\"} 4",
            "weir_orphan_volumes{kind=\"recorded\"} 2",
            "weir_failed_steps_total 3",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
