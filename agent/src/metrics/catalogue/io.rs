//! What is exported of I/Os: the same of a volume on its storage node and on a node that uses it over NVMe.

use super::{Entry, Kind};

/// The families of one kind of owner.
#[derive(Clone, Copy, Debug)]
pub struct IoEntries {
    /// `total`.
    pub latency: Entry,
    /// The other stages.
    pub stages: Entry,
    /// How many now.
    pub in_flight: Entry,
    /// How many at most.
    pub peak: Entry,
    /// Since when.
    pub oldest: Entry,
    /// How much.
    pub bytes: Entry,
    /// With an error.
    pub failed: Entry,
    /// Held back by a limit.
    pub throttled: Entry,
    /// All stages in full resolution.
    pub stage_latency: Entry,
    /// `total` by size.
    pub by_size: Entry,
}

impl IoEntries {
    /// Those that every scrape gets.
    #[must_use]
    pub fn every_scrape(&self) -> [Entry; 8] {
        [
            self.latency,
            self.stages,
            self.in_flight,
            self.peak,
            self.oldest,
            self.bytes,
            self.failed,
            self.throttled,
        ]
    }

    /// Those that full resolution adds.
    #[must_use]
    pub fn in_full(&self) -> [Entry; 2] {
        [self.stage_latency, self.by_size]
    }
}

/// Of a volume, on its storage node.
pub const VOLUME_IO: IoEntries = IoEntries {
    latency: Entry {
        name: "weir_volume_io_latency_seconds",
        kind: Kind::Histogram,
        labels: &["volume", "op"],
        help: "Time from the beginning to the end of an I/O of a volume, as its storage node sees it.",
    },
    stages: Entry {
        name: "weir_volume_io_stage_seconds",
        kind: Kind::Summary,
        labels: &["volume", "op", "stage"],
        help: "Time that I/Os of a volume spent in a stage.",
    },
    in_flight: Entry {
        name: "weir_volume_io_in_flight",
        kind: Kind::Gauge,
        labels: &["volume", "op"],
        help: "I/Os of a volume that have begun and not ended.",
    },
    peak: Entry {
        name: "weir_volume_io_in_flight_peak",
        kind: Kind::Gauge,
        labels: &["volume", "op"],
        help: "The most I/Os of a volume that were in flight at once in the last 34 to 69 seconds.",
    },
    oldest: Entry {
        name: "weir_volume_io_oldest_seconds",
        kind: Kind::Gauge,
        labels: &["volume"],
        help: "Age of the oldest I/O of a volume that has not ended.",
    },
    bytes: Entry {
        name: "weir_volume_io_bytes_total",
        kind: Kind::Counter,
        labels: &["volume", "op"],
        help: "Bytes that I/Os of a volume read or wrote.",
    },
    failed: Entry {
        name: "weir_volume_io_failed_seconds",
        kind: Kind::Summary,
        labels: &["volume", "op", "status"],
        help: "Time until I/Os of a volume failed.",
    },
    throttled: Entry {
        name: "weir_volume_io_throttled_seconds",
        kind: Kind::Summary,
        labels: &["volume", "op"],
        help: "Time that I/Os of a volume waited for a cgroup's limit before they began.",
    },
    stage_latency: Entry {
        name: "weir_volume_io_stage_latency_seconds",
        kind: Kind::Histogram,
        labels: &["volume", "op", "stage"],
        help: "Time that an I/O of a volume spent in a stage, in full resolution.",
    },
    by_size: Entry {
        name: "weir_volume_io_size_seconds",
        kind: Kind::Summary,
        labels: &["volume", "op", "size"],
        help: "Time from the beginning to the end of I/Os of a volume, by their size.",
    },
};

/// Of a volume that this node uses over NVMe.
pub const IMPORT_IO: IoEntries = IoEntries {
    latency: Entry {
        name: "weir_import_io_latency_seconds",
        kind: Kind::Histogram,
        labels: &["id", "op"],
        help: "Time from the beginning to the end of an I/O of a volume that this node uses over NVMe, as this node sees it.",
    },
    stages: Entry {
        name: "weir_import_io_stage_seconds",
        kind: Kind::Summary,
        labels: &["id", "op", "stage"],
        help: "Time that I/Os of a volume that this node uses over NVMe spent in a stage.",
    },
    in_flight: Entry {
        name: "weir_import_io_in_flight",
        kind: Kind::Gauge,
        labels: &["id", "op"],
        help: "I/Os of a volume that this node uses over NVMe that have begun and not ended.",
    },
    peak: Entry {
        name: "weir_import_io_in_flight_peak",
        kind: Kind::Gauge,
        labels: &["id", "op"],
        help: "The most I/Os of a volume that this node uses over NVMe that were in flight at once in the last 34 to 69 seconds.",
    },
    oldest: Entry {
        name: "weir_import_io_oldest_seconds",
        kind: Kind::Gauge,
        labels: &["id"],
        help: "Age of the oldest I/O of a volume that this node uses over NVMe that has not ended.",
    },
    bytes: Entry {
        name: "weir_import_io_bytes_total",
        kind: Kind::Counter,
        labels: &["id", "op"],
        help: "Bytes that I/Os of a volume that this node uses over NVMe read or wrote.",
    },
    failed: Entry {
        name: "weir_import_io_failed_seconds",
        kind: Kind::Summary,
        labels: &["id", "op", "status"],
        help: "Time until I/Os of a volume that this node uses over NVMe failed.",
    },
    throttled: Entry {
        name: "weir_import_io_throttled_seconds",
        kind: Kind::Summary,
        labels: &["id", "op"],
        help: "Time that I/Os of a volume that this node uses over NVMe waited for a cgroup's limit before they began.",
    },
    stage_latency: Entry {
        name: "weir_import_io_stage_latency_seconds",
        kind: Kind::Histogram,
        labels: &["id", "op", "stage"],
        help: "Time that an I/O of a volume that this node uses over NVMe spent in a stage, in full resolution.",
    },
    by_size: Entry {
        name: "weir_import_io_size_seconds",
        kind: Kind::Summary,
        labels: &["id", "op", "size"],
        help: "Time from the beginning to the end of I/Os of a volume that this node uses over NVMe, by their size.",
    },
};
