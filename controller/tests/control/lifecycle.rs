//! A volume's life: bound, served, refused, deleted.

use std::sync::atomic::Ordering;

use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use weir_api::condition::{self, Truth};
use weir_api::names::FINALIZER;
use weir_api::volume::Phase;

use super::agent::Agent;
use super::cluster::{Cluster, GIB, conditions, gone, pool_of, scheduled, until};
use super::history::{History, moves};

/// Seen red with: `decide::volume` releasing a volume whatever its phase.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_bound_served_and_gone_only_after_its_data() {
    let cluster = Cluster::start().await;
    let history = History::begin(cluster.admin.clone()).await;
    let _agent = Agent::start(&cluster, "p", 10 * GIB).await;
    let controller = cluster.controller(|_| {}).await;
    cluster.create_volume("v", json!({})).await;
    let volumes = cluster.volumes();
    let ready = until(&volumes, "v", "Ready and told where", |volume| {
        let status = volume.status.clone().unwrap_or_default();
        status.phase == Phase::Ready && status.placement.is_some()
    })
    .await;
    assert_eq!(pool_of(&ready), Some("p"));
    assert_eq!(ready.finalizers(), [FINALIZER]);
    assert_eq!(scheduled(&ready).unwrap().status, Truth::True);
    let record = ready.status.unwrap().placement.unwrap();
    assert_eq!(record.pool_name.unwrap().as_str(), "p");
    assert!(cluster.event("v", "Bound").await.contains("`p`"));
    volumes.delete("v", &DeleteParams::default()).await.unwrap();
    gone(&volumes, "v").await;
    controller.stop().await;
    let states = history.end();
    for state in &states["v"] {
        let phase = state.status.clone().unwrap_or_default().phase;
        let has_data = pool_of(state).is_some() && phase != Phase::Deleted;
        assert!(!has_data || !state.finalizers().is_empty(), "{state:?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_never_bound_is_gone_at_once() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller(|_| {}).await;
    cluster.create_volume("v", json!({})).await;
    let volumes = cluster.volumes();
    until(&volumes, "v", "told that there is no pool", |volume| {
        scheduled(volume).is_some()
    })
    .await;
    volumes.delete("v", &DeleteParams::default()).await.unwrap();
    gone(&volumes, "v").await;
    controller.stop().await;
    cluster.stop().await;
}

/// Seen red with: `Leader::leave_out` doing nothing (it comes back to the same pool for ever).
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_its_pool_refuses_goes_to_another() {
    let cluster = Cluster::start().await;
    let history = History::begin(cluster.admin.clone()).await;
    let first = Agent::start(&cluster, "large", 100 * GIB).await;
    first.manner.refuses.store(true, Ordering::Relaxed);
    let _second = Agent::start(&cluster, "small", 10 * GIB).await;
    for pool in ["large", "small"] {
        until(&cluster.pools(), pool, "Ready", |pool| {
            !pool
                .status
                .clone()
                .unwrap_or_default()
                .conditions
                .is_empty()
        })
        .await;
    }
    let controller = cluster.controller(|_| {}).await;
    cluster.create_volume("v", json!({})).await;
    let ready = until(&cluster.volumes(), "v", "Ready", |volume| {
        let status = volume.status.clone().unwrap_or_default();
        status.phase == Phase::Ready
            && status
                .placement
                .is_some_and(|record| record.pool_name.is_some())
    })
    .await;
    let rejected = condition::get(conditions(&ready), condition::REJECTED).unwrap();
    assert_eq!(rejected.status, Truth::False);
    assert!(cluster.event("v", "Rejected").await.contains("`large`"));
    controller.stop().await;
    let name = |pool: &str| Some(pool.to_owned());
    let seen = moves(&history.end()["v"]);
    assert_eq!(seen, [None, name("large"), None, name("small")]);
    cluster.stop().await;
}

/// A volume that was refused and is deleted before it was placed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_volume_can_be_deleted() {
    let cluster = Cluster::start().await;
    let agent = Agent::start(&cluster, "p", 100 * GIB).await;
    agent.manner.refuses.store(true, Ordering::Relaxed);
    let controller = cluster.controller(|_| {}).await;
    cluster.create_volume("v", json!({})).await;
    cluster.event("v", "Rejected").await;
    let volumes = cluster.volumes();
    volumes.delete("v", &DeleteParams::default()).await.unwrap();
    gone(&volumes, "v").await;
    controller.stop().await;
    cluster.stop().await;
}
