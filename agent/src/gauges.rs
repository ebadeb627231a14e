//! Prometheus gauges of the engine: what is the case, as of the last round.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use weir_api::names::VolumeId;
use weir_api::pool::ThinUsage;
use weir_api::units::Bytes;
use weir_api::volume::Phase;

use crate::metrics::catalogue::{self, ENGINE, Entry};
use crate::metrics::family::Family;

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
    /// Looks at the node since the agent's start.
    pub rounds_total: u64,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeGauge {
    /// Its object's name.
    pub name: String,
    /// Its pool's name.
    pub pool: String,
    /// Its identity.
    pub id: VolumeId,
    /// Whose it is.
    pub user: VolumeUser,
    /// Where in its life it is.
    pub phase: Phase,
}

/// Whose a volume is in Kubernetes, in the words of its own metrics. What is not known is no label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeUser {
    /// The name of its claim.
    pub persistent_volume_claim: Option<String>,
    /// The namespace of claim and pod.
    pub namespace: Option<String>,
    /// The pod that uses it.
    pub pod: Option<String>,
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
    /// What was promised to its volumes.
    pub allocated: Option<Bytes>,
    /// How full its thin pool is.
    pub thin: Option<ThinUsage>,
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

impl GaugeCollector {
    /// Shows these.
    ///
    /// # Errors
    /// Never, as long as the catalogue's names are valid, which a test checks.
    pub fn new(gauges: Arc<Mutex<Gauges>>) -> Result<Self, prometheus::Error> {
        let descs = ENGINE.iter().map(Entry::desc).collect::<Result<_, _>>()?;
        Ok(GaugeCollector { gauges, descs })
    }
}

impl Collector for GaugeCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        families(&lock(&self.gauges))
    }
}

pub(crate) fn families(now: &Gauges) -> Vec<MetricFamily> {
    let mut infos = Family::new(&catalogue::VOLUME_INFO);
    let mut phases = Family::new(&catalogue::VOLUME_PHASE);
    for volume in &now.volumes {
        let user = &volume.user;
        let labels = [
            &volume.name,
            &volume.pool,
            &volume.id.to_string(),
            user.persistent_volume_claim.as_deref().unwrap_or_default(),
            user.namespace.as_deref().unwrap_or_default(),
            user.pod.as_deref().unwrap_or_default(),
        ];
        infos.gauge(labels, 1);
        phases.gauge([&volume.name, &volume.pool, &volume.phase.to_string()], 1);
    }
    let mut capacity = Family::new(&catalogue::POOL_CAPACITY);
    let mut free = Family::new(&catalogue::POOL_FREE);
    let mut allocated = Family::new(&catalogue::POOL_ALLOCATED);
    let mut thin = Family::new(&catalogue::POOL_THIN_USED);
    for pool in &now.pools {
        capacity.gauge([&pool.name], pool.capacity.0);
        free.gauge([&pool.name], pool.free.0);
        if let Some(bytes) = pool.allocated {
            allocated.gauge([&pool.name], bytes.0);
        }
        if let Some(usage) = pool.thin {
            thin.gauge([pool.name.as_str(), "data"], usage.data_percent.into());
            thin.gauge(
                [pool.name.as_str(), "metadata"],
                usage.metadata_percent.into(),
            );
        }
    }
    let mut orphans = Family::new(&catalogue::ORPHANS);
    orphans.gauge(["recorded"], now.orphan_volumes as u64);
    orphans.gauge(["unrecorded"], now.orphan_lvs as u64);
    let mut invalid = Family::new(&catalogue::INVALID_REQUESTS);
    invalid.gauge([], now.invalid_requests as u64);
    let mut broken = Family::new(&catalogue::BROKEN_RECORDS);
    broken.gauge([], now.broken_records as u64);
    let mut failed = Family::new(&catalogue::FAILED_STEPS);
    failed.counter([], now.failed_steps_total);
    let mut rounds = Family::new(&catalogue::ROUNDS);
    rounds.counter([], now.rounds_total);
    let all = [
        infos, phases, capacity, free, allocated, thin, orphans, invalid, broken, failed, rounds,
    ];
    all.into_iter()
        .filter_map(Family::finish)
        .map(MetricFamily::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, Registry, TextEncoder};
    use uuid::Uuid;

    #[test]
    fn what_the_last_round_saw_is_shown() {
        let gauges = Arc::new(Mutex::new(Gauges {
            volumes: vec![VolumeGauge {
                name: "a".to_owned(),
                pool: "p".to_owned(),
                id: VolumeId(Uuid::from_u128(1)),
                user: VolumeUser {
                    namespace: Some("shop".to_owned()),
                    ..VolumeUser::default()
                },
                phase: Phase::Ready,
            }],
            pools: vec![PoolGauge {
                name: "p".to_owned(),
                capacity: Bytes(8),
                free: Bytes(4),
                allocated: Some(Bytes(3)),
                thin: Some(ThinUsage {
                    data_percent: 90,
                    metadata_percent: 2,
                }),
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
        let info = "weir_volume_info{volume=\"a\",pool=\"p\",id=\"00000000-0000-0000-0000-000000000001\",\
                    namespace=\"shop\"} 1";
        for line in [
            info,
            "weir_volume_phase{volume=\"a\",pool=\"p\",phase=\"Ready\"} 1",
            "weir_pool_free_bytes{pool=\"p\"} 4",
            "weir_pool_allocated_bytes{pool=\"p\"} 3",
            "weir_pool_thin_used_percent{pool=\"p\",part=\"data\"} 90",
            "weir_pool_thin_used_percent{pool=\"p\",part=\"metadata\"} 2",
            "weir_orphan_volumes{kind=\"recorded\"} 2",
            "weir_failed_steps_total 3",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
