//! Agents that are not heard any more, and nodes that are off.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use weir_api::condition::{self, READY, Truth};
use weir_api::crd::StoragePool;
use weir_api::volume::Phase;

use super::agent::Agent;
use super::cluster::{Cluster, GIB, pool_of, scheduled, until};

/// Long against an agent's renewals, which come five times a second here.
const SILENCE: Duration = Duration::from_secs(3);

fn is_ready(pool: &StoragePool, truth: Truth, reason: &str) -> bool {
    let status = pool.status.clone().unwrap_or_default();
    let ready = condition::get(&status.conditions, READY);
    ready.is_some_and(|ready| ready.status == truth && ready.reason == reason)
}

/// Seen red with: `Leader::judge` taking an agent for heard, always.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_agent_is_silent_gets_nothing_until_it_is_heard() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let controller = cluster
        .controller(|settings| settings.silence = SILENCE)
        .await;
    let (pools, volumes) = (cluster.pools(), cluster.volumes());
    cluster.create_volume("before", json!({})).await;
    until(&volumes, "before", "Ready", |volume| {
        volume.status.clone().unwrap_or_default().phase == Phase::Ready
    })
    .await;
    agent.fall_silent().await;
    until(&pools, "p", "AgentSilent", |pool| {
        is_ready(pool, Truth::Unknown, "AgentSilent")
    })
    .await;
    assert!(cluster.event("p", "AgentSilent").await.contains("node-p"));
    cluster.create_volume("after", json!({})).await;
    let told = until(&volumes, "after", "that no pool fits", |volume| {
        scheduled(volume).is_some()
    })
    .await;
    let told = scheduled(&told).unwrap();
    assert!(
        told.message.contains("1 not Ready (health: p)"),
        "{}",
        told.message
    );
    agent.go_on().await;
    let ready = until(&volumes, "after", "Ready", |volume| {
        volume.status.clone().unwrap_or_default().phase == Phase::Ready
    })
    .await;
    assert_eq!(pool_of(&ready), Some("p"));
    until(&pools, "p", "Ready", |pool| {
        is_ready(pool, Truth::True, "AsAsked")
    })
    .await;
    controller.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_off_is_believed_once_its_agent_is_silent() {
    let cluster = Cluster::start().await;
    let mut agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let controller = cluster
        .controller(|settings| {
            settings.dead = SILENCE;
        })
        .await;
    let nodes: Api<Node> = Api::all(cluster.admin.clone());
    let off: Node = serde_json::from_value(json!({
        "metadata": {"name": "node-p"},
        "spec": {"taints": [{
            "key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute",
        }]},
    }))
    .unwrap();
    nodes.create(&PostParams::default(), &off).await.unwrap();
    // Nothing is put there at once, though its agent is heard.
    let has_capacity = |pool: &StoragePool| pool.status.is_some();
    until(&cluster.pools(), "p", "its agent's word", has_capacity).await;
    cluster.create_volume("v", json!({})).await;
    agent.fall_silent().await;
    until(&cluster.pools(), "p", "NodeDead", |pool| {
        is_ready(pool, Truth::False, "NodeDead")
    })
    .await;
    controller.stop().await;
    cluster.stop().await;
}
