//! What the kernel counted, as Prometheus metrics: read from the maps at every scrape.
//!
//! [`families`] is a pure function of a [`Snapshot`]; [`text`] and [`protobuf`] make a scrape's body of it and of what
//! the registry holds. Every metric stands in [`catalogue`] and in `METRICS.md`.

mod cap;
pub mod catalogue;
mod coarse;
pub(crate) mod family;
mod io;
mod native;
mod wire;

use std::collections::BTreeSet;

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use crate::ladder::Rung;
use crate::probe::{Snapshot, StageOff};
use cap::Capped;
use catalogue as names;
use family::Family;
use io::IoFamilies;
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
    let mut volumes = IoFamilies::new(&names::VOLUME_IO, resolution);
    for volume in capped.volumes {
        volumes.add(volume.name.as_str(), &volume.ops, volume.oldest);
    }
    for figures in capped.backends {
        volumes.add_backend(figures);
    }
    let mut imports = IoFamilies::new(&names::IMPORT_IO, resolution);
    let mut import_info = Family::new(&names::IMPORT_INFO);
    for import in capped.imports {
        let id = import.id.to_string();
        import_info.gauge([&id], 1);
        imports.add(&id, &import.ops, import.oldest);
    }
    let mut families = volumes.finish();
    families.push(import_info);
    families.extend(imports.finish());
    families.push(initiators(&capped));
    families.extend(disks(snapshot, resolution));
    families.extend(probe_families(snapshot, &capped));
    if resolution != Resolution::Coarse {
        families.push(initiators_in_full(&capped, resolution));
    }
    families.into_iter().filter_map(Family::finish).collect()
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

/// `total` of every initiator, as fine as the kernel counts.
fn initiators_in_full(capped: &Capped<'_>, resolution: Resolution) -> Family {
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
    initiators
}

fn disks(snapshot: &Snapshot, resolution: Resolution) -> [Family; 2] {
    let mut latency = Family::new(&names::DISK_LATENCY);
    let mut failed = Family::new(&names::DISK_FAILED);
    for figures in &snapshot.disks {
        let (pool, disk) = (figures.pool.as_str(), figures.disk.as_str());
        for (op, histogram) in &figures.ops {
            latency.coarse_histogram([pool, disk, op.label()], histogram, resolution);
        }
        for (op, failure, tally) in &figures.failed {
            failed.tally([pool, disk, op.label(), failure.label()], *tally);
        }
    }
    [latency, failed]
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
    let mut histograms = Family::new(&names::HISTOGRAMS);
    if snapshot.rung == Rung::Ebpf {
        aged.counter([], snapshot.aged);
        let (given, all) = snapshot.histograms;
        histograms.gauge(["given"], given.into());
        histograms.gauge(["free"], (all - given).into());
    }
    let mut rung = Family::new(&names::RUNG);
    rung.gauge([snapshot.rung.label()], 1);
    let mut bytes = Family::new(&names::MAP_BYTES);
    bytes.gauge([], snapshot.map_bytes);
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
        rung, dropped, skipped, aged, bytes, histograms, off, left_out, build,
    ]
}

#[cfg(test)]
mod tests;
