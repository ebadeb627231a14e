//! What the kernel counted, as Prometheus metrics: read from the maps at every scrape.
//!
//! [`families`] is a pure function of a [`Snapshot`]; [`ProbeCollector`] takes the snapshot when
//! it is asked. Every metric stands in [`catalogue`] and in `METRICS.md`.

pub mod catalogue;
mod coarse;
pub(crate) mod family;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::probe::{Snapshot, Stage};
use catalogue as names;
use family::Family;

/// Takes a snapshot: [`crate::probe::Probes::read`], or [`Snapshot::nothing`] with the reason.
pub type TakeSnapshot = dyn Fn() -> Snapshot + Send + Sync;

/// Exports the default families.
pub struct ProbeCollector {
    take_snapshot: Box<TakeSnapshot>,
    descs: Vec<Desc>,
}

impl ProbeCollector {
    /// A collector to be registered once.
    ///
    /// # Errors
    /// Never, as long as the catalogue's names are valid, which a test checks.
    pub fn new(
        take_snapshot: impl Fn() -> Snapshot + Send + Sync + 'static,
    ) -> Result<Self, prometheus::Error> {
        let descs = names::DEFAULT
            .iter()
            .map(names::Entry::desc)
            .collect::<Result<_, _>>()?;
        Ok(ProbeCollector {
            take_snapshot: Box::new(take_snapshot),
            descs,
        })
    }
}

impl Collector for ProbeCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        families(&(self.take_snapshot)())
    }
}

/// The default families: `total` as a coarse histogram, other stages as sum and count.
#[must_use]
pub fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut families = volume_families(snapshot);
    families.push(initiators(snapshot));
    families.push(disks(snapshot));
    families.extend(probe_families(snapshot));
    families.into_iter().filter_map(Family::finish).collect()
}

/// The families of `?full=1`: every stage of every volume, in full resolution.
#[must_use]
pub fn full_families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let mut full = Family::new(&names::STAGE_LATENCY);
    for volume in &snapshot.volumes {
        for figures in &volume.ops {
            for (stage, histogram) in &figures.stages {
                let labels = [
                    volume.name.as_str(),
                    volume.pool.as_str(),
                    figures.op.label(),
                    stage.label(),
                ];
                full.full_histogram(labels, histogram);
            }
        }
    }
    full.finish().into_iter().collect()
}

fn volume_families(snapshot: &Snapshot) -> Vec<Family> {
    let mut latency = Family::new(&names::LATENCY);
    let mut stages = Family::new(&names::STAGE);
    let mut in_flight = Family::new(&names::IN_FLIGHT);
    for volume in &snapshot.volumes {
        let (name, pool) = (volume.name.as_str(), volume.pool.as_str());
        for figures in &volume.ops {
            let op = figures.op.label();
            in_flight.gauge([name, op], figures.in_flight);
            for (stage, histogram) in &figures.stages {
                if *stage == Stage::Total {
                    latency.coarse_histogram([name, pool, op], histogram);
                } else {
                    stages.sum_and_count([name, pool, op, stage.label()], histogram);
                }
            }
        }
    }
    vec![latency, stages, in_flight]
}

fn initiators(snapshot: &Snapshot) -> Family {
    let mut family = Family::new(&names::INITIATOR_LATENCY);
    for figures in &snapshot.initiators {
        let (volume, initiator) = (figures.volume.as_str(), figures.initiator.as_str());
        for (op, histogram) in &figures.ops {
            family.coarse_histogram([volume, initiator, op.label()], histogram);
        }
    }
    family
}

fn disks(snapshot: &Snapshot) -> Family {
    let mut family = Family::new(&names::DISK_LATENCY);
    for figures in &snapshot.disks {
        for (op, histogram) in &figures.ops {
            let labels = [figures.pool.as_str(), &figures.disk, op.label()];
            family.coarse_histogram(labels, histogram);
        }
    }
    family
}

fn probe_families(snapshot: &Snapshot) -> Vec<Family> {
    let mut dropped = Family::new(&names::DROPPED);
    for (why, count) in &snapshot.dropped {
        dropped.counter([why.label()], *count);
    }
    let mut skipped = Family::new(&names::SKIPPED);
    for (program, count) in &snapshot.skipped {
        skipped.counter([program.as_str()], *count);
    }
    let mut aged = Family::new(&names::AGED);
    aged.counter([], snapshot.aged);
    let mut bytes = Family::new(&names::MAP_BYTES);
    bytes.gauge([], snapshot.map_bytes);
    let mut off = Family::new(&names::STAGE_OFF);
    for missing in &snapshot.off {
        off.gauge([missing.stage.as_str(), &missing.reason], 1);
    }
    let mut build = Family::new(&names::BUILD_INFO);
    build.gauge([env!("CARGO_PKG_VERSION")], 1);
    vec![dropped, skipped, aged, bytes, off, build]
}

#[cfg(test)]
mod tests;
