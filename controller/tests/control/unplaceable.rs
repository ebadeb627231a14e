//! What can't be placed, or not yet, and what is not served at all.

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use weir_api::condition::{self, READY, Truth};
use weir_api::crd::{Snapshot, VolumeMigration, VolumeSet};
use weir_api::volume::Phase;

use super::agent::Agent;
use super::cluster::{Cluster, GIB, edit, pool_of, scheduled, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_fits_nowhere_says_why_and_is_placed_once_it_does() {
    let cluster = Cluster::start().await;
    cluster
        .create_pool("closed", "node-closed", json!({"unschedulable": true}))
        .await;
    let _closed = Agent::start(&cluster, "closed", 100 * GIB).await;
    let _small = Agent::start(&cluster, "small", GIB / 2).await;
    cluster.create_pool("quiet", "node-quiet", json!({})).await;
    let controller_of_all = cluster.controller(|_| {}).await;
    cluster.create_volume("early", json!({})).await;
    until(
        &cluster.volumes(),
        "early",
        "a pool that told nothing",
        |volume| {
            scheduled(volume).is_some_and(|told| {
                let names_it =
                    told.message.contains("`quiet`") && !told.message.contains("`small`");
                told.reason == "OrphansUnknown" && names_it
            })
        },
    )
    .await;
    cluster
        .volumes()
        .delete("early", &DeleteParams::default())
        .await
        .unwrap();
    controller_of_all.stop().await;
    let holds_nothing = Patch::Merge(json!({"status": {"orphans": 0}}));
    let pools = cluster.pools();
    pools
        .patch_status("quiet", &PatchParams::default(), &holds_nothing)
        .await
        .unwrap();
    let controller = cluster.controller(|_| {}).await;
    cluster.create_volume("v", json!({})).await;
    let wanted = [
        "none of 3 pools fits",
        "1 cordoned (schedulable: closed)",
        "1 not Ready (health: quiet)",
        "1 with too little space (capacity: small)",
    ];
    let told = until(&cluster.volumes(), "v", "each filter", |volume| {
        scheduled(volume).is_some_and(|told| wanted.iter().all(|part| told.message.contains(part)))
    })
    .await;
    let condition = scheduled(&told).unwrap();
    assert_eq!(
        (condition.status, condition.reason.as_str()),
        (Truth::False, "NoPoolFits")
    );
    let record = told.status.clone().unwrap().placement.unwrap();
    assert_eq!(record.filtered.len(), 3);
    let note = cluster.event("v", "NoPoolFits").await;
    assert!(note.starts_with("none of "), "{note}");
    edit(
        &cluster.pools(),
        "closed",
        json!({"spec": {"unschedulable": false}}),
    )
    .await;
    let ready = until(&cluster.volumes(), "v", "Ready", |volume| {
        volume.status.clone().unwrap_or_default().phase == Phase::Ready
    })
    .await;
    assert_eq!(pool_of(&ready), Some("closed"));
    controller.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_are_not_served_say_so() {
    let cluster = Cluster::start().await;
    let controller = cluster.controller(|_| {}).await;
    let post = PostParams::default();
    let id = || uuid::Uuid::new_v4();
    let whole = |kind: &str, spec: serde_json::Value| {
        json!({
            "apiVersion": "weir.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": "o"},
            "spec": spec,
        })
    };
    let is_told = |conditions: &[condition::Condition]| {
        let told = condition::get(conditions, READY);
        told.is_some_and(|told| told.reason == "NotImplemented" && told.status == Truth::False)
    };
    let api: Api<Snapshot> = Api::all(cluster.admin.clone());
    let object = whole("Snapshot", json!({"id": id(), "volumeName": "v"}));
    api.create(&post, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    until(&api, "o", "NotImplemented", |o| {
        is_told(&o.status.clone().unwrap_or_default().conditions)
    })
    .await;
    let api: Api<VolumeSet> = Api::all(cluster.admin.clone());
    let object = whole(
        "VolumeSet",
        json!({"id": id(), "capacityBytes": GIB, "volumes": 2}),
    );
    api.create(&post, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    until(&api, "o", "NotImplemented", |o| {
        is_told(&o.status.clone().unwrap_or_default().conditions)
    })
    .await;
    let api: Api<VolumeMigration> = Api::all(cluster.admin.clone());
    let object = whole("VolumeMigration", json!({"volumeName": "v"}));
    api.create(&post, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    until(&api, "o", "NotImplemented", |o| {
        is_told(&o.status.clone().unwrap_or_default().conditions)
    })
    .await;
    controller.stop().await;
    cluster.stop().await;
}
