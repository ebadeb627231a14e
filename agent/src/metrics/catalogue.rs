//! Every metric that the probes export: name, type, labels, help. `METRICS.md` says the same at
//! length, and a test compares the two.

/// A metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// A metric's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Cumulative buckets.
    Histogram,
    /// Here without quantiles: sum and count.
    Summary,
}

/// `total` of a volume's I/O.
pub const LATENCY: Entry = Entry {
    name: "weir_volume_io_latency_seconds",
    kind: Kind::Histogram,
    labels: &["volume", "pool", "op"],
    help: "Time from the beginning to the end of an I/O of a volume, as its storage node sees it.",
};

/// The other stages.
pub const STAGE: Entry = Entry {
    name: "weir_volume_io_stage_seconds",
    kind: Kind::Summary,
    labels: &["volume", "pool", "op", "stage"],
    help: "Time that I/Os of a volume spent in a stage.",
};

/// All stages in full resolution.
pub const STAGE_LATENCY: Entry = Entry {
    name: "weir_volume_io_stage_latency_seconds",
    kind: Kind::Histogram,
    labels: &["volume", "pool", "op", "stage"],
    help: "Time that an I/O of a volume spent in a stage, in full resolution.",
};

/// I/Os in flight.
pub const IN_FLIGHT: Entry = Entry {
    name: "weir_volume_io_in_flight",
    kind: Kind::Gauge,
    labels: &["volume", "op"],
    help: "I/Os of a volume that have begun and not ended.",
};

/// `total` per initiator.
pub const INITIATOR_LATENCY: Entry = Entry {
    name: "weir_initiator_io_latency_seconds",
    kind: Kind::Histogram,
    labels: &["volume", "initiator", "op"],
    help: "Time from the beginning to the end of an initiator's I/O, as the storage node sees it.",
};

/// A pool's disks.
pub const DISK_LATENCY: Entry = Entry {
    name: "weir_pool_disk_io_latency_seconds",
    kind: Kind::Histogram,
    labels: &["pool", "disk", "op"],
    help: "Time from the issue of a request to a pool's disk to its completion.",
};

/// What was lost.
pub const DROPPED: Entry = Entry {
    name: "weir_probe_dropped_total",
    kind: Kind::Counter,
    labels: &["reason"],
    help: "I/Os, or attributions of I/Os, that the probes lost.",
};

/// What was skipped.
pub const SKIPPED: Entry = Entry {
    name: "weir_probe_skipped_total",
    kind: Kind::Counter,
    labels: &["program"],
    help: "Events of any device that the kernel did not show to a program.",
};

/// What was given up.
pub const AGED: Entry = Entry {
    name: "weir_probe_aged_total",
    kind: Kind::Counter,
    labels: &[],
    help: "I/Os whose end was not seen for so long that they were given up.",
};

/// Memory.
pub const MAP_BYTES: Entry = Entry {
    name: "weir_probe_map_bytes",
    kind: Kind::Gauge,
    labels: &[],
    help: "Kernel memory that the probes' maps take.",
};

/// What is not measured.
pub const STAGE_OFF: Entry = Entry {
    name: "weir_probe_stage_off",
    kind: Kind::Gauge,
    labels: &["stage", "reason"],
    help: "1 for everything that is not measured on this node, with the reason.",
};

/// The agent's version.
pub const BUILD_INFO: Entry = Entry {
    name: "weir_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "1, with the agent's version.",
};

/// What every scrape gets.
pub const DEFAULT: [Entry; 11] = [
    LATENCY,
    STAGE,
    IN_FLIGHT,
    INITIATOR_LATENCY,
    DISK_LATENCY,
    DROPPED,
    SKIPPED,
    AGED,
    MAP_BYTES,
    STAGE_OFF,
    BUILD_INFO,
];

/// What `?full=1` adds.
pub const FULL: [Entry; 1] = [STAGE_LATENCY];
