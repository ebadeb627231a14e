//! Agents that are played: they are heard, and do at once what volumes ask of them.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use weir_api::condition::{Condition, READY, Truth};
use weir_api::crd::Volume;
use weir_api::names::LEASE_NAMESPACE;

fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// A node's agent is heard, each second.
pub(crate) async fn renew(client: Client, node: &str) -> AbortHandle {
    let api: Api<Lease> = Api::namespaced(client, LEASE_NAMESPACE);
    let lease = json!({
        "metadata": {"name": node},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now()},
    });
    let lease: Lease = serde_json::from_value(lease).unwrap();
    api.create(&PostParams::default(), &lease).await.unwrap();
    let name = node.to_owned();
    let renewing = async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let body = json!({"spec": {"renewTime": now()}});
            drop(
                api.patch(&name, &PatchParams::default(), &Patch::Merge(&body))
                    .await,
            );
        }
    };
    tokio::spawn(renewing).abort_handle()
}

/// The agent of node `s` serves every volume in its pool.
pub(crate) fn serve(client: Client) -> AbortHandle {
    let api: Api<Volume> = Api::all(client);
    let serving = async move {
        loop {
            if let Ok(list) = api.list(&ListParams::default()).await {
                for volume in list.items {
                    look(&api, &volume).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::spawn(serving).abort_handle()
}

async fn look(api: &Api<Volume>, volume: &Volume) {
    if volume.spec.pool_name.is_none() {
        return;
    }
    let before = volume.status.clone().unwrap_or_default();
    let is_deleted = volume.metadata.deletion_timestamp.is_some();
    let granted = volume.spec.attachments.iter().map(|one| {
        let mut granted = json!({"nodeName": one.node_name, "generation": one.generation});
        if one.node_name.as_str() == "s" {
            granted["devicePath"] = json!("/dev/mapper/x");
        } else {
            granted["target"] = json!({
                "nqn": volume.spec.id.nqn(), "nsid": 1, "uuid": volume.spec.id,
                "hostNqn": weir_api::names::host_nqn(&one.node_name, one.generation),
                "portals": [{"transport": "tcp", "address": "10.0.0.1", "port": 4420}],
            });
        }
        granted
    });
    let granted: Vec<Value> = granted.collect();
    // The controller's own condition stays beside the agent's.
    let mut conditions = before.conditions.clone();
    conditions.retain(|one| one.kind != READY);
    conditions.push(Condition::new(READY, Truth::True, "AsAsked", "it is there"));
    let status = json!({
        "phase": if is_deleted { "Deleted" } else { "Ready" },
        "nodeName": "s",
        "capacityBytes": volume.spec.capacity_bytes,
        "attachments": granted,
        "conditions": conditions,
        "observedGeneration": volume.metadata.generation,
    });
    let there = serde_json::to_value(&before).unwrap();
    let is_told = status
        .as_object()
        .unwrap()
        .iter()
        .all(|(name, value)| there.get(name) == Some(value));
    if is_told {
        return;
    }
    let body = json!({
        "metadata": {"resourceVersion": volume.metadata.resource_version},
        "status": status,
    });
    let name = volume.metadata.name.as_deref().unwrap();
    // Who wrote meanwhile is seen with the next look.
    drop(
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&body))
            .await,
    );
}
