//! Where the controller that leads takes telemetry: as its Lease says.
//!
//! The Lease is read while no stream is up, and seldom otherwise. It is renewed every few seconds, and to watch it would bring each
//! renewal to each agent.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::{Client, ResourceExt};
use weir_api::names::{CONTROLLER_LEASE, CONTROLLER_NAMESPACE};
use weir_telemetry::Place;

use super::error::{JoinError, answered};
use super::shared::Shared;
use super::told::Told;

/// How far apart looks are while no stream is up to the place that is known; the first ones are closer.
const LOOK: Duration = Duration::from_secs(3);
/// The same while nobody takes telemetry, who may begin to.
const NOBODY: Duration = Duration::from_secs(30);
/// The same while a stream is up. A leader that leads no longer ends its streams; this is for one that does not.
const STREAMING: Duration = Duration::from_secs(120);

/// Finds it again and again.
pub(super) async fn find(shared: &Shared, client: &Client) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), CONTROLLER_NAMESPACE);
    let mut told = Told::default();
    let mut stream = shared.stream.subscribe();
    let mut pause = Duration::ZERO;
    loop {
        let is_heeding = shared.lock().is_heeding();
        // Another cluster's leader is told nothing of this node.
        let found = if is_heeding {
            find_once(&leases).await
        } else {
            Ok(None)
        };
        match found {
            Ok(place) => {
                told.forget();
                shared.leader.send_if_modified(|known| {
                    let is_other = *known != place;
                    *known = place;
                    is_other
                });
            }
            // What is known goes on: the leader may be there though the API is not.
            Err(error) => {
                if let Some(error) = told.news(&error) {
                    tracing::warn!(error, "who leads is not known");
                }
            }
        }
        let is_known = shared.leader.borrow().is_some();
        if stream.borrow_and_update().is_connected {
            let over = stream.wait_for(|stream| !stream.is_connected);
            let ended = tokio::time::timeout(STREAMING, over).await;
            drop(ended);
            pause = Duration::ZERO;
        } else {
            let longest = if is_known || !is_heeding {
                LOOK
            } else {
                NOBODY
            };
            pause = (pause * 2).clamp(LOOK / 4, longest);
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }
}

/// Where its Lease says; `None`: nobody leads, or takes telemetry.
async fn find_once(leases: &Api<Lease>) -> Result<Option<Place>, JoinError> {
    let lease = answered("find the leader", leases.get_opt(CONTROLLER_LEASE)).await?;
    let Some(lease) = lease else { return Ok(None) };
    let annotations = lease.annotations();
    let place = Place::of_annotations(|name| annotations.get(name).map(String::as_str));
    place.map_err(JoinError::Leader)
}
