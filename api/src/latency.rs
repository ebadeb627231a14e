//! Latency in objects: what is wanted of a volume, and a coarse summary of what was measured. The full
//! histograms stay on the nodes' `/metrics`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Latency;

/// What a volume's latency should be, as the storage node measures it; placement keeps to it, and a
/// condition says why if it can't be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct LatencyObjective {
    /// 99 of 100 reads take no longer, e.g. `2ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::some_latency")]
    pub read_p99: Option<Latency>,
    /// 99 of 100 writes take no longer, e.g. `2ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::some_latency")]
    pub write_p99: Option<Latency>,
}

/// What was measured, over one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LatencySummary {
    /// 99 of 100 I/Os took no longer.
    pub p99: Latency,
    /// Reads alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Percentiles>,
    /// Writes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Percentiles>,
    /// Over how many seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub window_seconds: u32,
    /// How it was measured.
    pub rung: Rung,
    /// When the window ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Time>,
}

/// Figures of one kind of I/O.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    /// So many I/Os were seen.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: Latency,
    /// 99 of 100 took no longer.
    pub p99: Latency,
}

/// Ways to measure, from the best that a kernel offers down; the lower, the less it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// Probes in the kernel, for each I/O and stage.
    Ebpf,
    /// Device mapper's own histograms.
    Dmstats,
    /// Means from the disk's counters.
    Diskstats,
    /// SPDK's histograms.
    Spdk,
}
