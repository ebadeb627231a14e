//! Volumes that are deleted while their agent is not heard.

use std::time::Duration;

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use weir_api::condition::{self, NODE_AVAILABLE, Truth};
use weir_api::crd::{Tombstone, Volume};
use weir_api::names::FINALIZER;
use weir_api::volume::Phase;

use super::agent::Agent;
use super::cluster::{
    Cluster, Controller, GIB, conditions, gone, patiently, pool_of, scheduled, until,
};
use super::history::History;

/// Long against an agent's renewals, which come five times a second here.
const SILENCE: Duration = Duration::from_secs(3);

fn tombstones(cluster: &Cluster) -> Api<Tombstone> {
    Api::all(cluster.admin.clone())
}

async fn controller(cluster: &Cluster) -> Controller {
    let quick = |settings: &mut weir_controller::control::Settings| settings.silence = SILENCE;
    cluster.controller(quick).await
}

fn is_ready(volume: &Volume) -> bool {
    volume.status.clone().unwrap_or_default().phase == Phase::Ready
}

/// Volumes that its agent serves, by name.
async fn served(cluster: &Cluster, names: &[&str]) {
    for name in names {
        cluster.create_volume(name, json!({})).await;
        until(&cluster.volumes(), name, "Ready", is_ready).await;
    }
}

async fn delete(cluster: &Cluster, name: &str) {
    let volumes = cluster.volumes();
    volumes
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
}

async fn only(cluster: &Cluster) -> Tombstone {
    let all = tombstones(cluster);
    let mut all = all.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// As its pool's agent would say it.
async fn say_done(cluster: &Cluster, name: &str) {
    let (how, done) = (PatchParams::default(), json!({"status": {"phase": "Done"}}));
    let api = tombstones(cluster);
    api.patch_status(name, &how, &Patch::Merge(done))
        .await
        .unwrap();
}

async fn no_tombstone(cluster: &Cluster, name: &str) {
    let is_gone = await_condition(tombstones(cluster), name, |object: Option<&Tombstone>| {
        object.is_none()
    });
    patiently("the end of the tombstone", is_gone)
        .await
        .unwrap();
}

/// Seen red with: `bury` in `decide/volume.rs` releasing without a tombstone.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_nodes_volume_is_deleted_and_its_tombstone_waits_for_the_node() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let controller = controller(&cluster).await;
    served(&cluster, &["deleted", "kept"]).await;
    agent.fall_silent().await;
    let volumes = cluster.volumes();
    let told = until(&volumes, "kept", "that its agent is silent", |volume| {
        condition::get(conditions(volume), NODE_AVAILABLE).is_some()
    })
    .await;
    let told = condition::get(conditions(&told), NODE_AVAILABLE).unwrap();
    assert_eq!(
        (told.status, told.reason.as_str()),
        (Truth::Unknown, "AgentSilent")
    );
    assert!(cluster.event("kept", "AgentSilent").await.contains("`p`"));
    let id = volumes.get("deleted").await.unwrap().spec.id;
    delete(&cluster, "deleted").await;
    gone(&volumes, "deleted").await;
    let tombstone = only(&cluster).await;
    assert_eq!(tombstone.spec.id, id);
    assert_eq!(tombstone.spec.volume_name.as_str(), "deleted");
    assert_eq!(tombstone.spec.pool_name.as_str(), "p");
    assert!(cluster.event("deleted", "Tombstone").await.contains("`p`"));
    let kept = volumes.get("kept").await.unwrap();
    assert_eq!(kept.finalizers(), [FINALIZER]);
    assert_eq!(kept.metadata.deletion_timestamp, None);
    // It is back, and says so of what it serves; what it destroyed it says of the tombstone.
    agent.go_on().await;
    until(&volumes, "kept", "that its agent is heard", |volume| {
        let told = condition::get(conditions(volume), NODE_AVAILABLE);
        told.is_some_and(|told| told.status == Truth::True)
    })
    .await;
    let name = tombstone.name_any();
    say_done(&cluster, &name).await;
    no_tombstone(&cluster, &name).await;
    controller.stop().await;
    cluster.stop().await;
}

/// Whatever was seen of the volume's object without the finalizer, the tombstone was there before.
///
/// Seen red with: `bury` in `decide/volume.rs` releasing without a tombstone; the two writes in the other order, the finalizer
/// being taken away in `What::Create` in `write.rs` before the tombstone is created.
#[tokio::test(flavor = "multi_thread")]
async fn the_tombstone_is_there_before_the_object_is_gone() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 100 * GIB).await;
    let controller = controller(&cluster).await;
    let names: Vec<String> = (0..20).map(|number| format!("v{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    served(&cluster, &names).await;
    let history = History::begin(cluster.admin.clone()).await;
    agent.fall_silent().await;
    for name in &names {
        delete(&cluster, name).await;
    }
    for name in &names {
        gone(&cluster.volumes(), name).await;
    }
    let all = tombstones(&cluster)
        .list(&ListParams::default())
        .await
        .unwrap();
    let states = history.end();
    for name in &names {
        let last = states[*name].last().unwrap();
        let tombstone = all.items.iter().find(|one| one.spec.id == last.spec.id);
        let number = |version: Option<String>| version.unwrap().parse::<u64>().unwrap();
        // Both versions are of one counter: the object's end is the later one.
        let made = number(tombstone.expect(name).resource_version());
        assert!(made < number(last.resource_version()), "{name}");
    }
    controller.stop().await;
    cluster.stop().await;
}

/// A controller that is killed between the two writes, and its successor.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_dies_after_the_tombstone_is_followed_up() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let first = controller(&cluster).await;
    served(&cluster, &["v"]).await;
    first.kill().await;
    agent.fall_silent().await;
    delete(&cluster, "v").await;
    let volume = cluster.volumes().get("v").await.unwrap();
    write_tombstone(&cluster, &volume, "p").await;
    let second = controller(&cluster).await;
    gone(&cluster.volumes(), "v").await;
    only(&cluster).await;
    second.stop().await;
    cluster.stop().await;
}

/// As the controller does.
async fn write_tombstone(cluster: &Cluster, volume: &Volume, pool: &str) -> String {
    let name = volume.spec.id.tombstone(&pool.parse().unwrap());
    let object: Tombstone = serde_json::from_value(json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "Tombstone",
        "metadata": {"name": name},
        "spec": {"id": volume.spec.id, "volumeName": volume.name_any(), "poolName": pool},
    }))
    .unwrap();
    let api = tombstones(cluster);
    api.create(&PostParams::default(), &object).await.unwrap();
    name
}

/// Seen red with: `decide::volume` without the arm about graves.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_the_same_id_waits_for_the_tombstones_end() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let _other = Agent::start(&cluster, "q", 10 * GIB).await;
    let controller = controller(&cluster).await;
    cluster.create_volume("v", json!({"poolName": "p"})).await;
    let volumes = cluster.volumes();
    let volume = until(&volumes, "v", "Ready, and held", |volume| {
        is_ready(volume) && !volume.finalizers().is_empty()
    })
    .await;
    agent.fall_silent().await;
    delete(&cluster, "v").await;
    gone(&volumes, "v").await;
    cluster
        .create_volume("again", json!({"id": volume.spec.id}))
        .await;
    let told = until(&volumes, "again", "why it waits", |volume| {
        scheduled(volume).is_some()
    })
    .await;
    assert_eq!(scheduled(&told).unwrap().reason, "Tombstone");
    assert_eq!(pool_of(&told), None);
    let name = only(&cluster).await.name_any();
    say_done(&cluster, &name).await;
    let ready = until(&volumes, "again", "Ready", is_ready).await;
    assert_eq!(pool_of(&ready), Some("q"));
    controller.stop().await;
    cluster.stop().await;
}

/// It names its pool, as one that is restored does: what is there is its data. The order is taken back, so that it can't be
/// followed when that object vanishes one day.
///
/// Seen red with: `look_at_tombstone` doing nothing where it is to take one back.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_claims_its_data_takes_the_order_back() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let controller = controller(&cluster).await;
    served(&cluster, &["v"]).await;
    let volumes = cluster.volumes();
    let id = volumes.get("v").await.unwrap().spec.id;
    agent.fall_silent().await;
    delete(&cluster, "v").await;
    gone(&volumes, "v").await;
    let name = only(&cluster).await.name_any();
    let claim = json!({"id": id, "poolName": "p"});
    cluster.create_volume("v", claim).await;
    no_tombstone(&cluster, &name).await;
    until(&volumes, "v", "held", |volume| {
        !volume.finalizers().is_empty()
    })
    .await;
    // Deleted once more, it has a new one: that the last one was seen is not enough.
    delete(&cluster, "v").await;
    gone(&volumes, "v").await;
    assert_eq!(only(&cluster).await.name_any(), name);
    controller.stop().await;
    cluster.stop().await;
}

/// The person deleted the volume; that the pool's object is gone too is no reason to wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_a_pool_without_an_object_is_deleted_too() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let controller = controller(&cluster).await;
    served(&cluster, &["v", "kept"]).await;
    agent.fall_silent().await;
    let pools = cluster.pools();
    pools.delete("p", &DeleteParams::default()).await.unwrap();
    let volumes = cluster.volumes();
    until(&volumes, "kept", "that its pool is gone", |volume| {
        let told = condition::get(conditions(volume), NODE_AVAILABLE);
        told.is_some_and(|told| told.reason == "NotFound")
    })
    .await;
    delete(&cluster, "v").await;
    gone(&volumes, "v").await;
    assert_eq!(only(&cluster).await.spec.pool_name.as_str(), "p");
    assert_eq!(volumes.get("kept").await.unwrap().finalizers(), [FINALIZER]);
    controller.stop().await;
    cluster.stop().await;
}

/// An agent writes the status of its own pools' tombstones, and nothing else of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_speaks_for_its_own_tombstones_only() {
    let cluster = Cluster::start().await;
    for pool in ["p", "q"] {
        cluster
            .create_pool(pool, &format!("node-{pool}"), json!({}))
            .await;
    }
    let volume = cluster.create_volume("v", json!({})).await;
    let own = write_tombstone(&cluster, &volume, "p").await;
    let others = write_tombstone(&cluster, &volume, "q").await;
    let agent: Api<Tombstone> = Api::all(cluster.client_of("node-p").await);
    let (how, done) = (PatchParams::default(), json!({"status": {"phase": "Done"}}));
    let done = Patch::Merge(&done);
    assert!(agent.patch_status(&own, &how, &done).await.is_ok());
    let refused = |result: Result<(), kube::Error>| match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("{other:?}"),
    };
    let result = agent.patch_status(&others, &how, &done).await;
    assert_eq!(refused(result.map(drop)), 403);
    let result = agent.delete(&own, &DeleteParams::default()).await;
    assert_eq!(refused(result.map(drop)), 403);
    let changed: Value = json!({"spec": {"poolName": "q"}});
    let result = tombstones(&cluster)
        .patch(&own, &how, &Patch::Merge(&changed))
        .await;
    assert_eq!(refused(result.map(drop)), 422);
    let selected = ListParams::default().fields("spec.poolName=q");
    let selected = agent.list(&selected).await.unwrap().items;
    assert_eq!(selected.len(), 1);
    assert_eq!(selected[0].name_any(), others);
    cluster.stop().await;
}
