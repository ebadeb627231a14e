//! A storage node loses power under load, and comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::load;
use super::volume::{Path, Volume, local};
use crate::progress::{Progress, say};

/// What an operator saw.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeLoss {
    node: &'static str,
    pool: &'static str,
    /// From the cut until its pool was not Ready.
    not_ready_after_s: f64,
    /// Where a volume went that was asked for after that.
    placed_meanwhile: String,
    /// How long an order to delete one of its volumes took meanwhile.
    delete_completed_s: f64,
    /// From the node's start until its pool was Ready.
    ready_again_after_s: f64,
    /// From the node's start until the deleted volume's data was gone from it.
    cleaned_up_after_s: f64,
    /// What a consumer saw whose I/O was held up.
    pub(super) io_errors: u64,
}

/// Asked for and deleted while its node is away.
const DOOMED: Extra = Extra {
    name: "unwanted",
    id: "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0005",
};
/// Asked for while a node is away.
const LATE: Extra = Extra {
    name: "late",
    id: "1b0e6bd2-6a4f-4a52-8d0e-6f2f3c5e0006",
};

/// How long fio runs, if nothing holds it up.
const SECONDS: u32 = 10;

/// A volume that nobody uses.
struct Extra {
    name: &'static str,
    id: &'static str,
}

impl Extra {
    fn object(&self, placement: &Value) -> Value {
        json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": self.name},
            "spec": {"id": self.id, "capacityBytes": 64_u64 << 20, "placement": placement},
        })
    }

    fn wait_ready(&self, cluster: &Cluster<'_>) -> Result<String> {
        let object = format!("wvol {}", self.name);
        let ready = cluster.plane().wait(&object, "\"phase\":\"Ready\"")?;
        let pool = ready["spec"]["poolName"].as_str();
        Ok(pool.context("no poolName")?.to_owned())
    }
}

/// Cuts the power of the node whose volume the consumer uses.
pub(super) fn lose_node(cluster: &mut Cluster<'_>, volumes: &[Volume]) -> Result<NodeLoss> {
    let used = volumes.iter().find(|volume| volume.path == Path::NvmeTcp);
    let used = used.context("nothing is used over NVMe/TCP")?;
    let (node, pool) = (Cluster::name(used.node), Cluster::pool(used.node));
    cluster.plane().apply(&DOOMED.object(&local(node)))?;
    DOOMED.wait_ready(cluster)?;

    let load = load::Background::start(used, cluster.consumer(), SECONDS)?;
    std::thread::sleep(Duration::from_secs(2));
    cluster.lose(used.node)?;
    let cut = Instant::now();
    say(format!(
        "the power of {node} is cut while fio uses {}",
        used.name
    ));
    let progress = Progress::spinner("until the controller says that its agent is silent");
    let pool_object = format!("wpool {pool}");
    let plane = cluster.plane();
    plane.wait(&pool_object, "\"reason\":\"AgentSilent\"")?;
    let not_ready_after_s = cut.elapsed().as_secs_f64();
    progress.done();
    eprint!("\n$ weir status\n{}\n", plane.weir("status")?);

    plane.apply(&LATE.object(&json!({})))?;
    let placed_meanwhile = LATE.wait_ready(cluster)?;
    say(format!("a new volume goes to {placed_meanwhile}"));
    let ordered = Instant::now();
    plane.kubectl(&format!("delete wvol {} --wait=false", DOOMED.name))?;
    plane.wait_gone(&format!("wvol {}", DOOMED.name))?;
    let delete_completed_s = ordered.elapsed().as_secs_f64();
    say(format!(
        "a volume of {node} is deleted after {delete_completed_s:.1} s; its data goes when the node is back"
    ));

    let progress = Progress::spinner(format!("{node} gets its power back"));
    let begun = Instant::now();
    cluster.boot_again(used.node)?;
    let plane = cluster.plane();
    plane.wait(&pool_object, r#""status":"True","type":"Ready""#)?;
    let ready_again_after_s = begun.elapsed().as_secs_f64();
    let lv = format!("w_{}", DOOMED.id.replace('-', ""));
    let gone = format!("! lvs weir-{pool}/{lv} 2>/dev/null");
    let guest = cluster.storage_guest(used.node);
    guest
        .wait_for(&gone, load::PATIENCE)
        .context("the deleted volume's data stayed")?;
    let cleaned_up_after_s = begun.elapsed().as_secs_f64();
    let io_errors = load.wait(cluster.consumer())?.errors;
    progress.done();
    Ok(NodeLoss {
        node,
        pool,
        not_ready_after_s,
        placed_meanwhile,
        delete_completed_s,
        ready_again_after_s,
        cleaned_up_after_s,
        io_errors,
    })
}
