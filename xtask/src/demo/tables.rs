//! What the agents' figures say about the demo's volumes.

use super::cluster::Scrapes;
use super::result::Entry;
use super::view;
use super::volume::{Path, Volume};
use crate::exposition::Buckets;
use crate::scene::fio::Outcome;

/// A volume's I/Os until a time.
pub(super) fn total(scrapes: &Scrapes, volume: &Volume, op: &str) -> Buckets {
    stage(scrapes, volume, op, "total")
}

fn stage(scrapes: &Scrapes, volume: &Volume, op: &str, stage: &str) -> Buckets {
    let labels = [("volume", volume.name), ("op", op), ("stage", stage)];
    let scrape = scrapes.of(volume);
    scrape.buckets("weir_volume_io_stage_latency_seconds", &labels)
}

/// All volumes between two times, with fio's figures once there are any.
pub(super) fn table(
    volumes: &[Volume],
    before: &Scrapes,
    after: &Scrapes,
    outcomes: Option<&[Outcome]>,
) -> String {
    let mut rows = view::header();
    for (index, volume) in volumes.iter().enumerate() {
        for op in view::OPS {
            let fio = outcomes.map(|outcomes| match op {
                "read" => outcomes[index].read,
                _ => outcomes[index].write,
            });
            let stages = view::STAGES.map(|name| {
                let since = stage(after, volume, op, name);
                (name, since.since(&stage(before, volume, op, name)))
            });
            rows += &view::row(volume.name, volume.path.name(), op, &stages, fio);
        }
    }
    rows
}

/// One volume's reads between two times.
pub(super) fn histogram(volumes: &[Volume], before: &Scrapes, after: &Scrapes) -> String {
    let Some(volume) = volumes.iter().find(|volume| volume.path == Path::NvmeTcp) else {
        return String::new();
    };
    let between = total(after, volume, "read").since(&total(before, volume, "read"));
    view::histogram(&format!("{}, read, total", volume.name), &between)
}

/// The same as [`table`], for a program.
pub(super) fn entries(
    volumes: &[Volume],
    outcomes: &[Outcome],
    before: &Scrapes,
    after: &Scrapes,
) -> Vec<Entry> {
    let entry = |volume: &Volume, op: &str, fio| {
        let between = |name| {
            let since = stage(after, volume, op, name);
            since.since(&stage(before, volume, op, name))
        };
        let stages = view::STAGES.map(|name| (name, between(name)));
        Entry::new(volume.name, volume.path.name(), op, fio, &stages)
    };
    let both = |(volume, fio): (&Volume, &Outcome)| {
        [
            entry(volume, "read", fio.read),
            entry(volume, "write", fio.write),
        ]
    };
    volumes.iter().zip(outcomes).flat_map(both).collect()
}
