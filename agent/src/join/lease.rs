//! The Lease by which a node's agent says that it is alive.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::MissedTickBehavior;
use weir_api::names::{LEASE_NAMESPACE, NodeName};

use super::error::{JoinError, answered};
use super::shared::Shared;
use super::told::Told;

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// After how much silence the agent counts as silent.
const SECONDS: i32 = 40;

/// Renews it, from the first time on that the node was looked at, while its own cluster's API is there.
pub(super) async fn renew(shared: &Arc<Shared>, client: &Client) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASE_NAMESPACE);
    let mut ticks = tokio::time::interval(RENEWAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    let mut is_there = false;
    loop {
        ticks.tick().await;
        if !shared.lock().is_heeding() {
            continue;
        }
        match renew_once(&leases, &shared.node, &mut is_there).await {
            Ok(()) => told.forget(),
            Err(error) => {
                if let Some(error) = told.news(&error) {
                    tracing::warn!(error, "the Lease is not renewed");
                }
            }
        }
    }
}

async fn renew_once(
    leases: &Api<Lease>,
    node: &NodeName,
    is_there: &mut bool,
) -> Result<(), JoinError> {
    let name = node.agent_lease();
    let now = MicroTime(Timestamp::now());
    let spec = LeaseSpec {
        holder_identity: Some(node.to_string()),
        lease_duration_seconds: Some(SECONDS),
        renew_time: Some(now),
        ..LeaseSpec::default()
    };
    if *is_there {
        let patch = Patch::Merge(json!({"spec": spec}));
        let params = PatchParams::default();
        let renewed = answered("renew the Lease", leases.patch(name, &params, &patch)).await;
        match renewed {
            Err(error) if error.code() == Some(404) => *is_there = false,
            other => return other.map(drop),
        }
    }
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(LEASE_NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    };
    let params = PostParams::default();
    match answered("make the Lease", leases.create(&params, &lease)).await {
        Ok(_) => {
            *is_there = true;
            Ok(())
        }
        // Of an agent before this one: it is renewed now.
        Err(error) if error.code() == Some(409) => {
            *is_there = true;
            Box::pin(renew_once(leases, node, is_there)).await
        }
        Err(error) => Err(error),
    }
}
