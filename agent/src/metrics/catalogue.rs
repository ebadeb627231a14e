//! Every metric that the agent exports: name, type, labels, help. `METRICS.md` says the same at
//! length, and a test compares the two.

mod io;

use std::collections::HashMap;

use prometheus::core::Desc;

pub use io::{IMPORT_IO, IoEntries, VOLUME_IO};

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

impl Entry {
    /// As a registry wants it.
    ///
    /// # Errors
    /// The name or a label is not one that Prometheus accepts.
    pub fn desc(&self) -> Result<Desc, prometheus::Error> {
        let labels = self
            .labels
            .iter()
            .map(|label| (*label).to_owned())
            .collect();
        Desc::new(
            self.name.to_owned(),
            self.help.to_owned(),
            labels,
            HashMap::new(),
        )
    }
}

/// `total` per initiator.
pub const INITIATOR: Entry = Entry {
    name: "weir_initiator_io_seconds",
    kind: Kind::Summary,
    labels: &["volume", "initiator", "op"],
    help: "Time that I/Os of an initiator took, as the storage node sees it.",
};

/// `total` per initiator, in full resolution.
pub const INITIATOR_LATENCY: Entry = Entry {
    name: "weir_initiator_io_latency_seconds",
    kind: Kind::Histogram,
    labels: &["volume", "initiator", "op"],
    help: "Time from the beginning to the end of an initiator's I/O, in full resolution.",
};

/// What this node uses over NVMe.
pub const IMPORT_INFO: Entry = Entry {
    name: "weir_import_info",
    kind: Kind::Gauge,
    labels: &["id"],
    help: "1 for every volume that this node uses over NVMe and whose I/Os are measured here.",
};

/// A pool's disks.
pub const DISK_LATENCY: Entry = Entry {
    name: "weir_pool_disk_io_latency_seconds",
    kind: Kind::Histogram,
    labels: &["pool", "disk", "op"],
    help: "Time from the issue of a request to a pool's disk to its completion.",
};

/// What a pool's disks could not do.
pub const DISK_FAILED: Entry = Entry {
    name: "weir_pool_disk_io_failed_seconds",
    kind: Kind::Summary,
    labels: &["pool", "disk", "op", "status"],
    help: "Time until I/Os of a pool's disk failed.",
};

/// What measures.
pub const RUNG: Entry = Entry {
    name: "weir_probe_rung",
    kind: Kind::Gauge,
    labels: &["rung"],
    help: "1 for what volumes are measured with: ebpf, dm-statistics or diskstats.",
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
    help: "Kernel memory that measuring takes: the probes' maps, or the regions of device mapper's statistics.",
};

/// The pool of histograms.
pub const HISTOGRAMS: Entry = Entry {
    name: "weir_probe_histograms",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Histograms in the kernel: those in use, and those that are left. Without one only sums and counts are kept.",
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

/// What did not fit.
pub const LEFT_OUT: Entry = Entry {
    name: "weir_scrape_left_out",
    kind: Kind::Gauge,
    labels: &["kind"],
    help: "What is measured and not in this scrape, since there is more of its kind than a scrape may hold.",
};

/// What every scrape gets of the probes.
#[must_use]
pub fn default() -> Vec<Entry> {
    let ios = [VOLUME_IO.every_scrape(), IMPORT_IO.every_scrape()].concat();
    let others = [
        IMPORT_INFO,
        INITIATOR,
        DISK_LATENCY,
        DISK_FAILED,
        RUNG,
        DROPPED,
        SKIPPED,
        AGED,
        MAP_BYTES,
        HISTOGRAMS,
        STAGE_OFF,
        LEFT_OUT,
        BUILD_INFO,
    ];
    [ios, others.to_vec()].concat()
}

/// What `?full=1` and protobuf add.
#[must_use]
pub fn full() -> Vec<Entry> {
    let ios = [VOLUME_IO.in_full(), IMPORT_IO.in_full()].concat();
    [ios, vec![INITIATOR_LATENCY]].concat()
}

/// What a volume is.
pub const VOLUME_INFO: Entry = Entry {
    name: "weir_volume_info",
    kind: Kind::Gauge,
    labels: &[
        "volume",
        "pool",
        "id",
        "persistentvolumeclaim",
        "namespace",
        "pod",
    ],
    help: "1 for every volume, with what is known of it; to be joined with other metrics by `volume`.",
};

/// Volumes by phase.
pub const VOLUME_PHASE: Entry = Entry {
    name: "weir_volume_phase",
    kind: Kind::Gauge,
    labels: &["volume", "pool", "phase"],
    help: "1 for the phase that a volume is in.",
};

/// Size of pools.
pub const POOL_CAPACITY: Entry = Entry {
    name: "weir_pool_capacity_bytes",
    kind: Kind::Gauge,
    labels: &["pool"],
    help: "Size of a pool's volume group.",
};

/// Room in pools.
pub const POOL_FREE: Entry = Entry {
    name: "weir_pool_free_bytes",
    kind: Kind::Gauge,
    labels: &["pool"],
    help: "Extents of a pool that no LV uses.",
};

/// What pools have promised.
pub const POOL_ALLOCATED: Entry = Entry {
    name: "weir_pool_allocated_bytes",
    kind: Kind::Gauge,
    labels: &["pool"],
    help: "What was promised to a pool's volumes, thin ones with their full size.",
};

/// How full thin pools are.
pub const POOL_THIN_USED: Entry = Entry {
    name: "weir_pool_thin_used_percent",
    kind: Kind::Gauge,
    labels: &["pool", "part"],
    help: "How full the data and the metadata of a pool's thin pool are, rounded up; 100 only where nothing is left.",
};

/// What nobody asks for.
pub const ORPHANS: Entry = Entry {
    name: "weir_orphan_volumes",
    kind: Kind::Gauge,
    labels: &["kind"],
    help: "Volumes that are kept without a request: recorded ones are served, unrecorded LVs are not.",
};

/// What can't be understood.
pub const INVALID_REQUESTS: Entry = Entry {
    name: "weir_invalid_requests",
    kind: Kind::Gauge,
    labels: &[],
    help: "Request files that are no request.",
};

/// What can't be read.
pub const BROKEN_RECORDS: Entry = Entry {
    name: "weir_broken_records",
    kind: Kind::Gauge,
    labels: &[],
    help: "Record files that can't be read.",
};

/// What did not work.
pub const FAILED_STEPS: Entry = Entry {
    name: "weir_failed_steps_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Steps towards what is asked for that failed.",
};

/// Whether the engine goes round.
pub const ROUNDS: Entry = Entry {
    name: "weir_agent_rounds_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Times that the agent looked at its node and had nothing left to do.",
};

/// Whether the API is there.
pub const API_CONNECTED: Entry = Entry {
    name: "weir_api_connected",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while everything that a cluster's API has for this node is listed and watched.",
};

/// How long ago the API was heard.
pub const API_EVENT_AGE: Entry = Entry {
    name: "weir_api_event_age_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Time since anything was heard of a cluster's API, be it that nothing changed.",
};

/// Whether the API is another cluster's.
pub const API_FOREIGN: Entry = Entry {
    name: "weir_api_foreign",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while the API is that of another cluster than the one that owns this node's pools: nothing it says is heeded.",
};

/// Whether telemetry reaches the leader.
pub const TELEMETRY_CONNECTED: Entry = Entry {
    name: "weir_telemetry_connected",
    kind: Kind::Gauge,
    labels: &[],
    help: "1 while the controller that leads is told what this node measures.",
};

/// How long ago the leader acknowledged telemetry.
pub const TELEMETRY_TOLD_AGE: Entry = Entry {
    name: "weir_telemetry_told_age_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "Time since a controller last acknowledged what this node measured.",
};

/// What an agent that follows a cluster's API adds to every scrape.
pub const JOIN: [Entry; 5] = [
    API_CONNECTED,
    API_EVENT_AGE,
    API_FOREIGN,
    TELEMETRY_CONNECTED,
    TELEMETRY_TOLD_AGE,
];

/// What the engine adds to every scrape.
pub const ENGINE: [Entry; 11] = [
    VOLUME_INFO,
    VOLUME_PHASE,
    POOL_CAPACITY,
    POOL_FREE,
    POOL_ALLOCATED,
    POOL_THIN_USED,
    ORPHANS,
    INVALID_REQUESTS,
    BROKEN_RECORDS,
    FAILED_STEPS,
    ROUNDS,
];
