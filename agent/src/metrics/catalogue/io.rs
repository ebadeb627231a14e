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

macro_rules! of {
    ($owner:literal, $label:literal, $what:literal, $who:literal) => {
        IoEntries {
            latency: Entry {
                name: concat!("weir_", $owner, "_io_latency_seconds"),
                kind: Kind::Histogram,
                labels: &[$label, "op"],
                help: concat!(
                    "Time from the beginning to the end of an I/O of ",
                    $what,
                    ", as ",
                    $who,
                    " sees it."
                ),
            },
            stages: Entry {
                name: concat!("weir_", $owner, "_io_stage_seconds"),
                kind: Kind::Summary,
                labels: &[$label, "op", "stage"],
                help: concat!("Time that I/Os of ", $what, " spent in a stage."),
            },
            in_flight: Entry {
                name: concat!("weir_", $owner, "_io_in_flight"),
                kind: Kind::Gauge,
                labels: &[$label, "op"],
                help: concat!("I/Os of ", $what, " that have begun and not ended."),
            },
            peak: Entry {
                name: concat!("weir_", $owner, "_io_in_flight_peak"),
                kind: Kind::Gauge,
                labels: &[$label, "op"],
                help: concat!(
                    "The most I/Os of ",
                    $what,
                    " that were in flight at once in the last 34 to 69 seconds."
                ),
            },
            oldest: Entry {
                name: concat!("weir_", $owner, "_io_oldest_seconds"),
                kind: Kind::Gauge,
                labels: &[$label],
                help: concat!("Age of the oldest I/O of ", $what, " that has not ended."),
            },
            bytes: Entry {
                name: concat!("weir_", $owner, "_io_bytes_total"),
                kind: Kind::Counter,
                labels: &[$label, "op"],
                help: concat!("Bytes that I/Os of ", $what, " read or wrote."),
            },
            failed: Entry {
                name: concat!("weir_", $owner, "_io_failed_seconds"),
                kind: Kind::Summary,
                labels: &[$label, "op", "status"],
                help: concat!("Time until I/Os of ", $what, " failed."),
            },
            throttled: Entry {
                name: concat!("weir_", $owner, "_io_throttled_seconds"),
                kind: Kind::Summary,
                labels: &[$label, "op"],
                help: concat!(
                    "Time that I/Os of ",
                    $what,
                    " waited for a cgroup's limit before they began."
                ),
            },
            stage_latency: Entry {
                name: concat!("weir_", $owner, "_io_stage_latency_seconds"),
                kind: Kind::Histogram,
                labels: &[$label, "op", "stage"],
                help: concat!(
                    "Time that an I/O of ",
                    $what,
                    " spent in a stage, in full resolution."
                ),
            },
            by_size: Entry {
                name: concat!("weir_", $owner, "_io_size_seconds"),
                kind: Kind::Summary,
                labels: &[$label, "op", "size"],
                help: concat!(
                    "Time from the beginning to the end of I/Os of ",
                    $what,
                    ", by their size."
                ),
            },
        }
    };
}

/// Of a volume, on its storage node.
pub const VOLUME_IO: IoEntries = of!("volume", "volume", "a volume", "its storage node");

/// Of a volume that this node uses over NVMe.
pub const IMPORT_IO: IoEntries = of!(
    "import",
    "id",
    "a volume that this node uses over NVMe",
    "this node"
);
