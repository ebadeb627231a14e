//! The store is another cluster's, behind the same address and certificates.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{EXPORTED, KEPT, Scene, Volume, agent, expect, granted};
use crate::scene::consumer;
use crate::scene::control_plane::Parts;
use crate::scene::fio::{Load, Mix, Outcome, Until};
use crate::scene::storage::{self, POOL};
use crate::vm::guest::Guest;
use crate::vm::machine::address;

/// The other cluster's volume of a name that is ours.
const THEIRS: Volume = Volume {
    name: EXPORTED.name,
    id: "5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d0096",
};
/// The other cluster's order to destroy what is ours.
const TOMBSTONE: &str = "of-another-cluster";

/// The agent runs on, and finds an API that asks for another volume under a name that it knows and orders that what it holds be
/// destroyed. It does neither and says so. Once a person said that this cluster takes the lost one's place, all objects
/// come back; until then and after that the consumer reads on.
///
/// Seen red with: `heeded` in the agent's `cluster.rs` made to return what it is given (nobody says that the API is another
/// cluster's).
pub(super) fn changes_nothing(scene: &Scene) -> Result<()> {
    let (plane, agent, guest) = (scene.plane(), agent(&scene.storage), &scene.storage.guest);
    let before = scene.sum()?;
    let lvs = || guest.sh("lvs --noheadings -o lv_name,lv_uuid | sort");
    let (held, ours) = (lvs()?, plane.cluster()?);
    let reading = Reading::start(&scene.consumer.guest, &scene.device)?;
    plane.kill()?;
    plane.replace()?;
    plane.start(Parts::Both)?;
    let theirs = plane.cluster()?;
    ensure!(theirs != ours, "it is the same cluster: {theirs}");
    let mut volume = THEIRS.object();
    volume["spec"]["poolName"] = POOL.into();
    plane.apply(&tombstone())?;
    plane.apply(&volume)?;
    plane.apply(&storage::pool_object(POOL, storage::NODE, &address(1)))?;

    agent.wait_status(&format!("storagepool-{POOL}"), "ForeignCluster")?;
    plane.wait(&format!("wpool {POOL}"), "\"reason\":\"ForeignCluster\"")?;
    ensure!(
        agent.scrape()?.sum("weir_api_foreign", &[]) > 0.0,
        "the metric does not say that the API is another cluster's"
    );
    let told = guest.sh("weir cluster show")?;
    ensure!(
        told.contains(&ours) && told.contains(&theirs),
        "both clusters are to be named: {told}"
    );
    // It looks twice, whatever it is asked for.
    agent.wait_resync()?;
    expect("the node's LVs", &lvs()?, &held)?;
    guest.sh(&format!("ls {} {}", EXPORTED.subsystem(), KEPT.subsystem()))?;
    // It told the other cluster's controller nothing of what it holds.
    let pool = seen(scene, &format!("wpool {POOL}"))?;
    for field in ["capacityBytes", "freeBytes", "orphans"] {
        let said = &pool["status"][field];
        ensure!(
            said.is_null() || *said == 0,
            "the pool's {field} is told: {said}"
        );
    }
    let volume = seen(scene, &format!("wvol {}", THEIRS.name))?;
    let status = &volume["status"];
    ensure!(
        status["nodeName"].is_null() && status["target"].is_null(),
        "it says of the other's volume: {status}"
    );
    expect("the consumer's data", &scene.sum()?, &before)?;

    // What is ordered there is an order once it is ours: a person looks first.
    plane.kubectl(&format!("delete wtomb {TOMBSTONE}"))?;
    plane.kubectl(&format!("delete wvol {} --wait=false", THEIRS.name))?;
    agent.wait_resync()?;
    guest.sh(&format!("weir cluster accept {theirs}"))?;
    plane.wait_gone(&format!("wvol {}", THEIRS.name))?;
    plane.wait(&format!("wpool {POOL}"), "\"orphans\":2")?;
    plane.weir("orphans adopt --all --api")?;
    for volume in [&EXPORTED, &KEPT] {
        granted(&plane, volume)?;
    }
    expect("the node's LVs", &lvs()?, &held)?;
    expect("the consumer's data", &scene.sum()?, &before)?;
    reading.end()?;
    plane.check_log()
}

fn tombstone() -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Tombstone", "metadata": {"name": TOMBSTONE},
        "spec": {"id": EXPORTED.id, "volumeName": EXPORTED.name, "poolName": POOL},
    })
}

fn seen(scene: &Scene, object: &str) -> Result<Value> {
    let text = scene.plane().kubectl(&format!("get {object} -o json"))?;
    Ok(serde_json::from_str(&text)?)
}

/// The consumer reads all along.
struct Reading<'a> {
    guest: &'a Guest,
    pid: i64,
}

impl<'a> Reading<'a> {
    const OUTPUT: &'static str = "/tmp/reading.json";

    fn start(guest: &'a Guest, device: &str) -> Result<Self> {
        let load = Load {
            device: device.to_owned(),
            jobs: 1,
            mix: Mix::Reads,
            // It is ended before.
            until: Until::Seconds(3600),
        };
        guest.sh(&format!("rm -f {}", Self::OUTPUT))?;
        let pid = guest.spawn(&load.command(), Self::OUTPUT)?;
        Ok(Reading { guest, pid })
    }

    /// Ends it. It must run still, and have read without an error.
    fn end(self) -> Result<()> {
        let pid = self.pid;
        self.guest.sh(&format!("kill -INT {pid}"))?;
        let ended = format!("! kill -0 {pid} 2>/dev/null && cat {}", Self::OUTPUT);
        let output = self.guest.wait_for(&ended, storage::PATIENCE)?;
        let outcome = Outcome::parse(&output)?;
        ensure!(outcome.read.ios > 0, "{} read nothing", consumer::NODE);
        expect("fio's errors", &outcome.errors, &0)
    }
}
