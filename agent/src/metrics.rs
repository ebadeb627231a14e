//! What the kernel counted, as Prometheus metrics: read from the maps at every scrape.
//!
//! [`families`] is a pure function of a [`Snapshot`]; [`text`] and [`protobuf`] make a scrape's body of it and of what
//! the registry holds. Every metric stands in [`catalogue`] and in `METRICS.md`.

mod cap;
pub mod catalogue;
mod coarse;
pub(crate) mod family;
mod native;
mod wire;

use std::collections::BTreeSet;

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use crate::probe::{Snapshot, Stage, StageOff};
use cap::Capped;
use catalogue as names;
use family::Family;
use native::Native;

pub use prometheus::TEXT_FORMAT;
pub use wire::PROTOBUF_FORMAT;

/// How much of each histogram is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// As text, for every scrape: `total` in a few classic buckets, all else as sum and count.
    Coarse,
    /// As text, with `?full=1`: classic buckets as fine as the kernel's as well.
    Full,
    /// As protobuf: native histograms as well.
    Native,
}

/// A metric family, and for each of its metrics what only protobuf can carry.
#[derive(Clone, Debug)]
pub struct Exposed {
    family: MetricFamily,
    /// The native part of each metric's histogram; empty if none has one.
    natives: Vec<Option<Native>>,
}

impl From<MetricFamily> for Exposed {
    fn from(family: MetricFamily) -> Self {
        Exposed {
            family,
            natives: Vec::new(),
        }
    }
}

impl From<Exposed> for MetricFamily {
    fn from(exposed: Exposed) -> Self {
        exposed.family
    }
}

/// A scrape's body as text; `others` are the families of the registry.
///
/// # Errors
/// Never, unless a family of the registry is not well formed.
pub fn text(
    others: Vec<MetricFamily>,
    snapshot: &Snapshot,
    is_full: bool,
) -> Result<String, prometheus::Error> {
    let resolution = if is_full {
        Resolution::Full
    } else {
        Resolution::Coarse
    };
    let mut all = others;
    all.extend(
        families(snapshot, resolution)
            .into_iter()
            .map(MetricFamily::from),
    );
    TextEncoder::new().encode_to_string(&all)
}

/// A scrape's body as protobuf, with native histograms; `others` are the families of the registry.
#[must_use]
pub fn protobuf(others: Vec<MetricFamily>, snapshot: &Snapshot) -> Vec<u8> {
    let mut all: Vec<Exposed> = others.into_iter().map(Exposed::from).collect();
    all.extend(families(snapshot, Resolution::Native));
    wire::encode(all)
}

/// All families of what the probes measured.
#[must_use]
pub fn families(snapshot: &Snapshot, resolution: Resolution) -> Vec<Exposed> {
    let capped = Capped::from(snapshot);
    let mut families = volume_families(&capped, resolution);
    families.extend(import_families(&capped, resolution));
    families.push(initiators(&capped));
    families.push(disks(snapshot, resolution));
    families.extend(probe_families(snapshot, &capped));
    if resolution != Resolution::Coarse {
        families.extend(full_families(&capped, resolution));
    }
    families.into_iter().filter_map(Family::finish).collect()
}

fn volume_families(capped: &Capped<'_>, resolution: Resolution) -> Vec<Family> {
    let mut latency = Family::new(&names::LATENCY);
    let mut stages = Family::new(&names::STAGE);
    let mut in_flight = Family::new(&names::IN_FLIGHT);
    for volume in capped.volumes {
        let name = volume.name.as_str();
        for figures in &volume.ops {
            let op = figures.op.label();
            in_flight.gauge([name, op], figures.in_flight);
            for (stage, histogram) in &figures.stages {
                if *stage == Stage::Total {
                    latency.coarse_histogram([name, op], histogram, resolution);
                } else {
                    stages.sum_and_count([name, op, stage.label()], histogram);
                }
            }
        }
    }
    vec![latency, stages, in_flight]
}

/// What this node uses over NVMe.
fn import_families(capped: &Capped<'_>, resolution: Resolution) -> [Family; 4] {
    let mut info = Family::new(&names::IMPORT_INFO);
    let mut latency = Family::new(&names::IMPORT_LATENCY);
    let mut stages = Family::new(&names::IMPORT_STAGE);
    let mut in_flight = Family::new(&names::IMPORT_IN_FLIGHT);
    for import in capped.imports {
        let id = import.id.to_string();
        info.gauge([&id], 1);
        for figures in &import.ops {
            let op = figures.op.label();
            in_flight.gauge([&id, op], figures.in_flight);
            for (stage, histogram) in &figures.stages {
                if *stage == Stage::Total {
                    latency.coarse_histogram([&id, op], histogram, resolution);
                } else if is_of_import(*stage) {
                    stages.sum_and_count([&id, op, stage.label()], histogram);
                }
            }
        }
    }
    [info, latency, stages, in_flight]
}

/// The others are the storage node's to measure.
fn is_of_import(stage: Stage) -> bool {
    matches!(stage, Stage::Total | Stage::HostQueue)
}

fn initiators(capped: &Capped<'_>) -> Family {
    let mut family = Family::new(&names::INITIATOR);
    for figures in capped.initiators {
        let (volume, initiator) = (figures.volume.as_str(), figures.initiator.as_str());
        for (op, histogram) in &figures.ops {
            family.sum_and_count([volume, initiator, op.label()], histogram);
        }
    }
    family
}

/// Every stage of every volume, imports too, and every initiator, as fine as the kernel counts.
fn full_families(capped: &Capped<'_>, resolution: Resolution) -> [Family; 3] {
    let mut stages = Family::new(&names::STAGE_LATENCY);
    for volume in capped.volumes {
        for figures in &volume.ops {
            for (stage, histogram) in &figures.stages {
                let labels = [volume.name.as_str(), figures.op.label(), stage.label()];
                stages.full_histogram(labels, histogram, resolution);
            }
        }
    }
    let mut imports = Family::new(&names::IMPORT_STAGE_LATENCY);
    for import in capped.imports {
        let id = import.id.to_string();
        for figures in &import.ops {
            let stages = figures.stages.iter();
            for (stage, histogram) in stages.filter(|(stage, _)| is_of_import(*stage)) {
                let labels = [&id, figures.op.label(), stage.label()];
                imports.full_histogram(labels, histogram, resolution);
            }
        }
    }
    let mut initiators = Family::new(&names::INITIATOR_LATENCY);
    for figures in capped.initiators {
        for (op, histogram) in &figures.ops {
            let labels = [
                figures.volume.as_str(),
                figures.initiator.as_str(),
                op.label(),
            ];
            initiators.full_histogram(labels, histogram, resolution);
        }
    }
    [stages, imports, initiators]
}

fn disks(snapshot: &Snapshot, resolution: Resolution) -> Family {
    let mut family = Family::new(&names::DISK_LATENCY);
    for figures in &snapshot.disks {
        for (op, histogram) in &figures.ops {
            let labels = [figures.pool.as_str(), &figures.disk, op.label()];
            family.coarse_histogram(labels, histogram, resolution);
        }
    }
    family
}

fn probe_families(snapshot: &Snapshot, capped: &Capped<'_>) -> Vec<Family> {
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
    let (given, all) = snapshot.histograms;
    let mut histograms = Family::new(&names::HISTOGRAMS);
    histograms.gauge(["given"], given.into());
    histograms.gauge(["free"], (all - given).into());
    let mut off = Family::new(&names::STAGE_OFF);
    let mut told = BTreeSet::new();
    for StageOff { stage, reason } in capped.off {
        if told.insert((stage, reason)) {
            off.gauge([stage, reason], 1);
        }
    }
    let mut left_out = Family::new(&names::LEFT_OUT);
    for (kind, count) in capped.left_out {
        left_out.gauge([kind], count as u64);
    }
    let mut build = Family::new(&names::BUILD_INFO);
    build.gauge([env!("CARGO_PKG_VERSION")], 1);
    vec![
        dropped, skipped, aged, bytes, histograms, off, left_out, build,
    ]
}

#[cfg(test)]
mod tests;
