//! Tombstones, as the agent's own code heeds them; and the whole story of a node that was dead and is back.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_agent::record::VolumeState;
use weir_api::condition::{self, REMOVED, Truth, reason};
use weir_api::crd::{StoragePool, Tombstone, TombstonePhase, Volume};
use weir_api::volume::Phase;
use weir_controller::control::{self, Settings};

use super::agent::{Agent, NODE};
use super::api::until;
use super::{World, id, object, pool, says};

impl World {
    async fn tombstones(&self) -> Api<Tombstone> {
        Api::all(self.api.client().await)
    }

    /// As a controller writes it.
    async fn bury(&self, number: u128) -> String {
        let name = id(number).tombstone(&"fast".parse().unwrap());
        let tombstone: Tombstone = object(json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Tombstone", "metadata": {"name": name},
            "spec": {"id": id(number), "volumeName": "a", "poolName": "fast"},
        }));
        let api = self.tombstones().await;
        api.create(&PostParams::default(), &tombstone)
            .await
            .unwrap();
        name
    }

    /// Waits until the agent says something of a tombstone.
    async fn said(&self, name: &str, phase: TombstonePhase, why: &str) {
        let api = self.tombstones().await;
        let look = async || {
            let status = api.get(name).await.ok()?.status?;
            let said = condition::get(&status.conditions, REMOVED)?;
            (status.phase == phase && said.reason == why).then_some(())
        };
        until(&format!("{phase:?}, {why}"), look).await;
    }

    /// Takes a volume's object away, without an order.
    async fn lose(&self, name: &str) {
        self.free(name).await;
        self.delete(name).await;
    }

    /// A controller that believes soon that a node is dead, where the Node object says so.
    async fn controller(&self) -> Controller {
        let kubeconfig = self.api.controller_kubeconfig();
        let client = control::client(&kubeconfig).await.unwrap();
        let settings = Settings {
            dead: Duration::from_secs(1),
            tick: Duration::from_millis(100),
            ..Settings::new("test")
        };
        let (stop, stopping) = watch::channel(false);
        Controller {
            task: tokio::spawn(control::run(client, settings, stopping)),
            stop,
        }
    }

    async fn gone(&self, name: &str) {
        let volumes = self.volumes().await;
        let gone = async || volumes.get_opt(name).await.ok()?.is_none().then_some(());
        until(&format!("{name} is gone"), gone).await;
    }

    async fn tombstone_is_gone(&self, name: &str) {
        let api = self.tombstones().await;
        let gone = async || api.get_opt(name).await.ok()?.is_none().then_some(());
        until("the tombstone is gone", gone).await;
    }

    /// The node's agent is killed, and a person says that the node is off.
    async fn die(&mut self) {
        self.agent.stop();
        let nodes: Api<Node> = Api::all(self.api.client().await);
        let off: Node = object(json!({
            "metadata": {"name": NODE},
            "spec": {"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]},
        }));
        nodes.create(&PostParams::default(), &off).await.unwrap();
    }

    /// It is back.
    async fn return_to_life(&mut self) {
        let nodes: Api<Node> = Api::all(self.api.client().await);
        nodes.delete(NODE, &DeleteParams::default()).await.unwrap();
        self.agent = Agent::start(&self.node, NODE, &self.api.kubeconfig(NODE));
    }
}

struct Controller {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Controller {
    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

/// Seen red with: `Place::Tombstones` not followed.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_dead_cleans_up_when_it_is_back() {
    let mut world = World::new().await;
    let controller = world.controller().await;
    for (name, number) in [("a", 1), ("b", 2)] {
        world.make(name, number).await;
    }
    world.die().await;
    world.node.order(id(1));
    world.delete("a").await;
    world.gone("a").await;
    let name = id(1).tombstone(&"fast".parse().unwrap());
    let there = world.tombstones().await.get(&name).await.unwrap();
    assert_eq!(there.spec.id, id(1));
    assert!(
        world.holds(1) && world.holds(2),
        "nobody is there to destroy it"
    );
    // Somebody has it open when the node is back.
    world.node.set_open(id(1), true);
    world.return_to_life().await;
    world
        .said(&name, TombstonePhase::Pending, reason::IN_USE)
        .await;
    assert!(world.holds(1));
    world.node.set_open(id(1), false);
    // Something happens, so that it looks: in life a resync does.
    world.make("c", 3).await;
    world.tombstone_is_gone(&name).await;
    assert!(!world.holds(1) && world.holds(2) && world.holds(3));
    assert!(!world.node.records().volumes.contains_key(&id(1)));
    let kept = world.in_phase("b", Phase::Ready).await;
    assert_eq!(kept.metadata.deletion_timestamp, None);
    let heard = async || {
        let status = world.volumes().await.get("b").await.ok()?.status?;
        let said = condition::get(&status.conditions, condition::NODE_AVAILABLE)?;
        (said.status == Truth::True).then_some(())
    };
    until("b's agent is heard", heard).await;
    controller.stop().await;
}

/// Its object may have another name than the tombstone knows.
///
/// It is kept twice over: it stays green with the search for `live` in the agent's `plan/tombstones.rs` left out, where `claim`
/// in `join/cache.rs` is another. Each alone is seen red by the agent's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_asked_for_wins_over_its_tombstone() {
    let world = World::new().await;
    world.make("a", 1).await;
    let name = world.bury(1).await;
    world
        .said(&name, TombstonePhase::Pending, reason::LIVE_VOLUME)
        .await;
    assert!(world.holds(1));
    world.node.order(id(1));
    world.delete("a").await;
    world
        .said(&name, TombstonePhase::Done, reason::DELETED)
        .await;
    assert!(!world.holds(1));
}

/// Seen red with: `is_buried` in the agent's `plan/tombstones.rs` not comparing ids, and with the look at `phase` in
/// `join/cache.rs` left out.
#[tokio::test(flavor = "multi_thread")]
async fn the_tombstone_of_what_never_was_is_done_and_touches_nothing() {
    let world = World::new().await;
    world.make("a", 1).await;
    let name = world.bury(7).await;
    world
        .said(&name, TombstonePhase::Done, reason::DELETED)
        .await;
    assert!(world.holds(1));
    // Done is done: it is no order about what was made since.
    world.make("b", 7).await;
    world.lose("b").await;
    let is_orphan = async || {
        let said = world.file_says("volume-b.json", condition::ORPHANED, None);
        said.then_some(())
    };
    until("b is an orphan", is_orphan).await;
    assert!(world.holds(7));
}

/// Seen red with: `Deleting` in the agent's `recorded_with` waiting where `unreadable` says something.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_goes_on_without_the_api() {
    let mut world = World::new().await;
    world.make("a", 1).await;
    world.node.order(id(1));
    world.node.set_open(id(1), true);
    world.lose("a").await;
    let name = world.bury(1).await;
    world
        .said(&name, TombstonePhase::Pending, reason::IN_USE)
        .await;
    let record = &world.node.records().volumes[&id(1)];
    assert_eq!(record.state, VolumeState::Deleting);
    let address = world.api.address();
    world.api.stop().await;
    world.agent.stop();
    world.node.set_open(id(1), false);
    world.agent = Agent::start(&world.node, NODE, &world.api.kubeconfig(NODE));
    let removed = async || (!world.holds(1)).then_some(());
    until("the LV is gone", removed).await;
    let directory = world.root.path().join("api");
    world.api = super::StandaloneApi::start(&directory, Some(address)).await;
    world
        .said(&name, TombstonePhase::Done, reason::DELETED)
        .await;
}

/// Seen red with: `heeded` in the agent's `cluster.rs` made to return what it is given.
#[tokio::test(flavor = "multi_thread")]
async fn another_clusters_tombstones_are_not_heeded() {
    let mut world = World::new().await;
    world.make("a", 1).await;
    world.replace_api("emptied").await;
    let name = world.bury(1).await;
    let pools: Api<StoragePool> = Api::all(world.api.client().await);
    pools.create(&PostParams::default(), &pool()).await.unwrap();
    let foreign = Some(reason::FOREIGN_CLUSTER);
    let told = async || {
        let status = pools.get("fast").await.ok()?.status?;
        let ready = condition::get(&status.conditions, condition::READY)?;
        (Some(ready.reason.as_str()) == foreign).then_some(())
    };
    until("the pool's object says why", told).await;
    let tombstone = world.tombstones().await.get(&name).await.unwrap();
    assert_eq!(tombstone.status, None);
    assert!(world.holds(1));
    world.replace_api("api").await;
    let volume: Volume = world.make("b", 2).await;
    assert!(says(
        &volume.status.unwrap().conditions,
        condition::READY,
        None
    ));
    assert!(world.holds(1));
}
