//! What the demo found out, as a program reads it. Keys are only ever added.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::cluster::Cluster;
use super::node_loss::NodeLoss;
use super::volume::Volume;
use crate::exposition::Buckets;
use crate::scene::fio::Seen;

/// The whole result.
#[derive(Debug, Serialize)]
pub(super) struct Demo {
    pub(super) kernel: String,
    pub(super) volumes: Vec<Entry>,
    pub(super) placed: Vec<Placed>,
    pub(super) agent_kill: AgentKill,
    pub(super) node_loss: NodeLoss,
    pub(super) elapsed_s: f64,
}

/// What the controller decided.
#[derive(Debug, Serialize)]
pub(super) struct Placed {
    volume: &'static str,
    pool: &'static str,
}

impl Placed {
    pub(super) fn of(volume: &Volume) -> Self {
        Placed {
            volume: volume.name,
            pool: Cluster::pool(volume.node),
        }
    }
}

/// One volume and operation.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    name: String,
    path: &'static str,
    op: String,
    ios: u64,
    fio: Percentiles,
    weir: BTreeMap<&'static str, Stage>,
}

/// What the agent's death did.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct AgentKill {
    pub(super) io_errors: u64,
    pub(super) counter_monotonic: bool,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50_us: f64,
    p99_us: f64,
}

#[derive(Debug, Serialize)]
struct Stage {
    #[serde(flatten)]
    percentiles: Percentiles,
    count: u64,
}

impl Entry {
    pub(super) fn new(
        name: &str,
        path: &'static str,
        op: &str,
        fio: Seen,
        stages: &[(&'static str, Buckets)],
    ) -> Self {
        let stage = |buckets: &Buckets| -> Option<Stage> {
            let percentiles = Percentiles {
                p50_us: micros(buckets.quantile_ns(0.5)?),
                p99_us: micros(buckets.quantile_ns(0.99)?),
            };
            Some(Stage {
                percentiles,
                count: buckets.count(),
            })
        };
        Entry {
            name: name.to_owned(),
            path,
            op: op.to_owned(),
            ios: fio.ios,
            fio: Percentiles {
                p50_us: micros(fio.p50_ns),
                p99_us: micros(fio.p99_ns),
            },
            // A stage that a volume's path doesn't have (fabric_wait of a local one) is left out.
            weir: stages
                .iter()
                .filter_map(|(name, buckets)| Some((*name, stage(buckets)?)))
                .collect(),
        }
    }
}

impl Demo {
    /// One JSON object, or a sentence for a person, who has seen the tables already.
    #[expect(clippy::print_stdout, reason = "the command's result")]
    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
        } else {
            println!(
                "kernel {}: {} series measured, {} I/O errors when the agent was killed, {} when a node lost power, {:.0} s",
                self.kernel,
                self.volumes.len(),
                self.agent_kill.io_errors,
                self.node_loss.io_errors,
                self.elapsed_s
            );
        }
        Ok(())
    }
}

fn micros(ns: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a latency")]
    let ns = ns as f64;
    ns / 1e3
}
