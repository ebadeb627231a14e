//! What is exported of somebody's I/Os: a volume's on its storage node, or on a node that uses it over NVMe.

use std::time::Duration;

use super::Resolution;
use super::catalogue::IoEntries;
use super::family::Family;
use crate::ladder::BackendFigures;
use crate::probe::{OpFigures, Stage, Tally};

/// The label `op` of reads and writes that are counted together.
const TOGETHER: &str = "read_write";

/// Families that grow.
pub(super) struct IoFamilies {
    resolution: Resolution,
    latency: Family,
    stages: Family,
    in_flight: Family,
    peak: Family,
    oldest: Family,
    bytes: Family,
    failed: Family,
    throttled: Family,
    stage_latency: Family,
    by_size: Family,
}

impl IoFamilies {
    pub(super) fn new(entries: &'static IoEntries, resolution: Resolution) -> Self {
        IoFamilies {
            resolution,
            latency: Family::new(&entries.latency),
            stages: Family::new(&entries.stages),
            in_flight: Family::new(&entries.in_flight),
            peak: Family::new(&entries.peak),
            oldest: Family::new(&entries.oldest),
            bytes: Family::new(&entries.bytes),
            failed: Family::new(&entries.failed),
            throttled: Family::new(&entries.throttled),
            stage_latency: Family::new(&entries.stage_latency),
            by_size: Family::new(&entries.by_size),
        }
    }

    /// One owner's. What never happened is left out.
    pub(super) fn add(&mut self, owner: &str, ops: &[OpFigures], oldest: Option<Duration>) {
        if let Some(age) = oldest {
            self.oldest.seconds([owner], age);
        }
        for figures in ops {
            let op = figures.op.label();
            self.in_flight.gauge([owner, op], figures.in_flight);
            self.peak.gauge([owner, op], figures.peak);
            for (stage, histogram) in &figures.stages {
                if *stage == Stage::Total {
                    self.latency
                        .coarse_histogram([owner, op], histogram, self.resolution);
                } else {
                    self.stages
                        .sum_and_count([owner, op, stage.label()], histogram);
                }
            }
            if !figures.sizes.is_empty() {
                self.bytes.counter([owner, op], figures.bytes());
            }
            for (failure, tally) in &figures.failed {
                self.failed.tally([owner, op, failure.label()], *tally);
            }
            if figures.throttled != Tally::default() {
                self.throttled.tally([owner, op], figures.throttled);
            }
            if self.resolution != Resolution::Coarse {
                self.add_in_full(owner, figures);
            }
        }
    }

    fn add_in_full(&mut self, owner: &str, figures: &OpFigures) {
        let op = figures.op.label();
        for (stage, histogram) in &figures.stages {
            let labels = [owner, op, stage.label()];
            self.stage_latency
                .full_histogram(labels, histogram, self.resolution);
        }
        for (size, sized) in &figures.sizes {
            self.by_size.tally([owner, op, size.label()], sized.total);
        }
    }

    /// A volume on a rung below eBPF. Reads and writes have one histogram, which is its `total` where the volume is used on
    /// its own node. It is never a native one: those have bounds of their own, finer than what was counted.
    pub(super) fn add_backend(&mut self, figures: &BackendFigures) {
        let owner = figures.name.as_str();
        self.in_flight.gauge([owner, TOGETHER], figures.in_flight);
        for (op, tally) in &figures.ops {
            let labels = [owner, op.label(), Stage::Backend.label()];
            self.stages.tally(labels, *tally);
        }
        let Some(histogram) = &figures.together else {
            return;
        };
        let told = if figures.is_local {
            self.latency
                .coarse_histogram([owner, TOGETHER], histogram, Resolution::Coarse);
            &[Stage::Total, Stage::Backend][..]
        } else {
            &[Stage::Backend]
        };
        if self.resolution == Resolution::Coarse {
            return;
        }
        for stage in told {
            let labels = [owner, TOGETHER, stage.label()];
            self.stage_latency
                .full_histogram(labels, histogram, Resolution::Full);
        }
    }

    pub(super) fn finish(self) -> Vec<Family> {
        vec![
            self.latency,
            self.stages,
            self.in_flight,
            self.peak,
            self.oldest,
            self.bytes,
            self.failed,
            self.throttled,
            self.stage_latency,
            self.by_size,
        ]
    }
}
