//! An agent on a simulated node, and the standalone API: what each does when the other is there, away, emptied,
//! or another's.
//!
//! These tests stand here because both sides meet in them: the agent's own code follows a server of this crate
//! over TLS, as it would any. The agent is a dependency of these tests alone; no program of either crate depends on
//! the other, and the same set-up is what tests of the controller's own work need.
#![expect(
    clippy::unwrap_used,
    reason = "test helpers panic like tests; clippy only excuses test functions"
)]

#[path = "join/agent.rs"]
mod agent;
#[path = "join/api.rs"]
mod api;
#[path = "join/lost.rs"]
mod lost;
#[path = "join/telemetry.rs"]
mod telemetry;
#[path = "join/together.rs"]
mod together;
#[path = "join/tombstones.rs"]
mod tombstones;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_agent::record::VolumeState;
use weir_agent::sim::node::SimNode;
use weir_api::condition::{self, Condition, Truth};
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{FINALIZER, LEASE_NAMESPACE, VolumeId};
use weir_api::volume::Phase;

use agent::{Agent, NODE};
use api::{StandaloneApi, until};

/// As [`NODE`]'s agent has it.
const LEASE: &str = NODE;

fn id(number: u128) -> VolumeId {
    VolumeId(Uuid::from_u128(number))
}

fn pool() -> StoragePool {
    object(json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": "fast"},
        "spec": {"nodeName": NODE, "engine": {"kernel": {"volumeGroup": "vg0", "devices": ["/dev/vdb"]}}},
    }))
}

/// As a controller leaves it that chose the pool.
fn volume(name: &str, number: u128, bytes: u64) -> Volume {
    object(json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume",
        "metadata": {"name": name, "finalizers": [FINALIZER]},
        "spec": {"id": id(number), "capacityBytes": bytes, "poolName": "fast"},
    }))
}

fn object<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

fn says(conditions: &[Condition], kind: &str, reason: Option<&str>) -> bool {
    let said = condition::get(conditions, kind);
    said.is_some_and(|said| {
        said.status == Truth::True && reason.is_none_or(|reason| said.reason == reason)
    })
}

/// A node with its agent, and an API that has its pool.
struct World {
    root: tempfile::TempDir,
    api: StandaloneApi,
    node: SimNode,
    agent: Agent,
}

impl World {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let api = StandaloneApi::start(&root.path().join("api"), None).await;
        let node = SimNode::default();
        let agent = Agent::start(&node, NODE, &api.kubeconfig(NODE));
        let pools: Api<StoragePool> = Api::all(api.client().await);
        pools.create(&PostParams::default(), &pool()).await.unwrap();
        World {
            root,
            api,
            node,
            agent,
        }
    }

    async fn volumes(&self) -> Api<Volume> {
        Api::all(self.api.client().await)
    }

    /// Asks for a volume and waits for it.
    async fn make(&self, name: &str, number: u128) -> Volume {
        let volumes = self.volumes().await;
        let asked = volume(name, number, 8 << 20);
        volumes
            .create(&PostParams::default(), &asked)
            .await
            .unwrap();
        self.in_phase(name, Phase::Ready).await
    }

    async fn in_phase(&self, name: &str, phase: Phase) -> Volume {
        let volumes = self.volumes().await;
        let look = async || {
            let found = volumes.get(name).await.ok()?;
            let is_there = found.status.as_ref()?.phase == phase;
            is_there.then_some(found)
        };
        until(&format!("{name} is {phase}"), look).await
    }

    /// Takes the finalizer away, as only a controller should.
    async fn free(&self, name: &str) {
        let volumes = self.volumes().await;
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let params = PatchParams::default();
        volumes.patch(name, &params, &patch).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        let volumes = self.volumes().await;
        let params = DeleteParams::default();
        volumes.delete(name, &params).await.unwrap();
    }

    /// Whether a status file says that a condition holds, and for that reason.
    fn file_says(&self, file: &str, kind: &str, reason: Option<&str>) -> bool {
        let Some(mut object) = self.node.published(file) else {
            return false;
        };
        let conditions = object["status"]["conditions"].take();
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap();
        says(&conditions, kind, reason)
    }

    fn holds(&self, number: u128) -> bool {
        self.node.lvs().contains(&id(number).lv_name())
    }

    /// Stops the API and starts one at the same address, with the same certificates.
    async fn replace_api(&mut self, directory: &str) {
        let address = self.api.address();
        self.api.stop().await;
        let (old, new) = (
            self.root.path().join("api"),
            self.root.path().join(directory),
        );
        api::copy_pki(&old, &new);
        self.api = StandaloneApi::start(&new, Some(address)).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.node.violations(), Vec::<String>::new());
        }
    }
}

/// That a status is told once is kept twice over: it stays green with `patch` in the agent's `join/merge.rs` made to write
/// every field (the API finds nothing new), and with `same` in `said` made `None` (`is_vain` in `join/tell.rs` holds).
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_made_told_once_and_deleted_in_order() {
    let world = World::new().await;
    let made = world.make("a", 1).await;
    assert!(world.holds(1));
    let status = made.status.as_ref().unwrap();
    assert!(says(&status.conditions, condition::READY, None));
    assert_eq!(status.node_name.as_ref().unwrap().as_str(), NODE);
    assert_eq!(status.observed_generation, made.metadata.generation);
    let ready = condition::get(&status.conditions, condition::READY).unwrap();
    assert!(ready.last_transition_time.is_some());

    world.make("b", 2).await;
    let now = world.volumes().await.get("a").await.unwrap();
    assert_eq!(now.resource_version(), made.resource_version());
    let leases: Api<Lease> = Api::namespaced(world.api.client().await, LEASE_NAMESPACE);
    let renewed = async || leases.get(LEASE).await.ok()?.spec?.renew_time;
    until("the Lease is there", renewed).await;

    world.node.order(id(1));
    world.delete("a").await;
    world.in_phase("a", Phase::Deleted).await;
    assert!(!world.holds(1) && world.holds(2));
    assert!(!world.node.records().volumes.contains_key(&id(1)));
    world.free("a").await;
    let file_is_gone = async || {
        world
            .node
            .published("volume-a.json")
            .is_none()
            .then_some(())
    };
    until("nothing is left of a", file_is_gone).await;
}

/// Seen red with: `recorded` in the agent's `plan/volumes.rs` made to delete a volume without a request.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_vanishes_orders_nothing() {
    let world = World::new().await;
    world.make("a", 1).await;
    world.free("a").await;
    world.delete("a").await;
    let is_orphan = async || {
        let said = world.file_says("volume-a.json", condition::ORPHANED, None);
        said.then_some(())
    };
    until("a is an orphan", is_orphan).await;
    assert!(world.holds(1));
    // Restored, it claims its data again.
    world.make("a", 1).await;
    assert!(!world.file_says("volume-a.json", condition::ORPHANED, None));
}

/// Seen red with: `unknown` in the agent's `join/cache.rs` made to say that all is known.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_api_a_node_serves_what_it_records_and_calls_nothing_an_orphan() {
    let mut world = World::new().await;
    world.make("a", 1).await;
    let address = world.api.address();
    world.api.stop().await;
    world.agent.stop();
    world.agent = Agent::start(&world.node, NODE, &world.api.kubeconfig(NODE));
    let looked = async || (world.agent.rounds() > 0).then_some(());
    until("the new agent looked", looked).await;
    for file in ["volume-a.json", "storagepool-fast.json"] {
        assert!(world.file_says(file, condition::READY, None), "{file}");
        assert!(!world.file_says(file, condition::ORPHANED, None), "{file}");
    }
    let directory = world.root.path().join("api");
    world.api = StandaloneApi::start(&directory, Some(address)).await;
    world.make("b", 2).await;
    assert!(!world.file_says("volume-a.json", condition::ORPHANED, None));
    assert!(world.holds(1));
}

/// Seen red with: `heeded` in the agent's `cluster.rs` made to return what it is given.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_api_is_another_clusters_and_changes_nothing() {
    let mut world = World::new().await;
    world.make("a", 1).await;
    world.replace_api("emptied").await;
    let foreign = Some(condition::reason::FOREIGN_CLUSTER);
    let is_foreign =
        |world: &World| world.file_says("storagepool-fast.json", condition::REFUSED, foreign);
    until("it is another's", async || is_foreign(&world).then_some(())).await;
    assert!(world.file_says("volume-a.json", condition::READY, None));
    assert!(!world.file_says("volume-a.json", condition::ORPHANED, None));

    // Not even its orders are heeded.
    let client = world.api.client().await;
    let pools: Api<StoragePool> = Api::all(client.clone());
    let volumes = world.volumes().await;
    let params = PostParams::default();
    volumes
        .create(&params, &volume("a", 1, 8 << 20))
        .await
        .unwrap();
    world.delete("a").await;
    pools.create(&params, &pool()).await.unwrap();
    let is_told = async || {
        let status = pools.get("fast").await.ok()?.status?;
        let ready = condition::get(&status.conditions, condition::READY)?;
        let is_told = ready.status == Truth::False && Some(ready.reason.as_str()) == foreign;
        is_told.then_some(())
    };
    until("the pool's object says why", is_told).await;
    assert_eq!(volumes.get("a").await.unwrap().status, None);
    let leases: Api<Lease> = Api::namespaced(client, LEASE_NAMESPACE);
    assert!(leases.get_opt(LEASE).await.unwrap().is_none());
    assert!(world.holds(1));

    world.replace_api("api").await;
    until("it is ours", async || (!is_foreign(&world)).then_some(())).await;
    world.make("b", 2).await;
    assert!(world.holds(1));
    assert!(!world.file_says("volume-a.json", condition::ORPHANED, None));
}

/// A controller that did not hear the agent says so of its pools; it is for the agent to say that they are
/// Ready again, each time.
///
/// Seen red with: `is_vain` in the agent's `join/tell.rs` not looking at what is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_was_called_silent_is_ready_again_each_time() {
    let world = World::new().await;
    world.make("a", 1).await;
    let pools: Api<StoragePool> = Api::all(world.api.client().await);
    let ready = async || {
        let status = pools.get("fast").await.ok()?.status?;
        let reason = Some(condition::reason::AS_ASKED);
        says(&status.conditions, condition::READY, reason).then_some(())
    };
    for _ in 0..3 {
        until("the pool is Ready", ready).await;
        let conditions = json!([{
            "type": "Ready", "status": "Unknown", "reason": "AgentSilent", "message": "not heard",
        }]);
        let silent = Patch::Merge(json!({"status": {"conditions": conditions}}));
        let params = PatchParams::default();
        pools.patch_status("fast", &params, &silent).await.unwrap();
    }
    until("the pool is Ready", ready).await;
    assert!(world.holds(1));
}

/// Seen red with: `cannot_make` in the agent's `plan/reject.rs` made to return the problem.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_rejected_until_it_is_unbound() {
    let world = World::new().await;
    world.make("a", 1).await;
    let volumes = world.volumes().await;
    let large = volume("b", 2, 1 << 40);
    volumes
        .create(&PostParams::default(), &large)
        .await
        .unwrap();
    let rejected = async || {
        let status = volumes.get("b").await.ok()?.status?;
        let reason = Some(condition::reason::NO_SPACE);
        says(&status.conditions, condition::REJECTED, reason).then_some(())
    };
    until("b is rejected", rejected).await;
    assert_eq!(
        world.node.records().volumes[&id(2)].state,
        VolumeState::Rejected
    );
    let unbound = Patch::Merge(json!({"spec": {"poolName": null}}));
    let params = PatchParams::default();
    volumes.patch("b", &params, &unbound).await.unwrap();
    let forgotten = async || {
        let records = world.node.records();
        (!records.volumes.contains_key(&id(2))).then_some(())
    };
    until("the rejection is forgotten", forgotten).await;
    assert!(world.holds(1));
}
