//! Watches: what the API shows, as one stream of sights.

use std::fmt::Debug;
use std::pin::pin;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_api::crd::{Snapshot, StoragePool, Tombstone, Volume, VolumeMigration, VolumeSet};
use weir_api::names::LEASE_NAMESPACE;

/// How many objects one page of a list has.
const PAGE: u32 = 1000;
/// How many sights wait to be looked at; a watch reads no further meanwhile.
const MOST_WAITING: usize = 4096;

/// Something was seen.
#[expect(
    clippy::large_enum_variant,
    reason = "it is moved into a queue and out of it; a box would be an allocation for each event"
)]
#[derive(Debug)]
pub(super) enum Sight {
    Pool(watcher::Event<StoragePool>),
    Volume(watcher::Event<Volume>),
    Tombstone(watcher::Event<Tombstone>),
    Node(watcher::Event<Node>),
    Lease(watcher::Event<Lease>),
    /// Of a kind that is not served yet.
    Unserved(Unserved, watcher::Event<DynamicObject>),
}

/// The kinds that are not served yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unserved {
    Snapshot,
    VolumeSet,
    VolumeMigration,
}

impl Unserved {
    pub(super) fn resource(self) -> ApiResource {
        match self {
            Self::Snapshot => ApiResource::erase::<Snapshot>(&()),
            Self::VolumeSet => ApiResource::erase::<VolumeSet>(&()),
            Self::VolumeMigration => ApiResource::erase::<VolumeMigration>(&()),
        }
    }
}

/// Begins to watch everything; the watches are tasks of `tasks`, and end with them.
pub(super) fn begin(client: &Client, tasks: &mut JoinSet<()>) -> mpsc::Receiver<Sight> {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let all = || client.clone();
    tasks.spawn(watch(Api::all(all()), sender.clone(), Sight::Pool));
    tasks.spawn(watch(Api::all(all()), sender.clone(), Sight::Volume));
    tasks.spawn(watch(Api::all(all()), sender.clone(), Sight::Tombstone));
    tasks.spawn(watch(Api::all(all()), sender.clone(), Sight::Node));
    let leases = Api::namespaced(all(), LEASE_NAMESPACE);
    tasks.spawn(watch(leases, sender.clone(), Sight::Lease));
    let unserved = [
        Unserved::Snapshot,
        Unserved::VolumeSet,
        Unserved::VolumeMigration,
    ];
    for kind in unserved {
        let api: Api<DynamicObject> = Api::all_with(all(), &kind.resource());
        let sight = move |event| Sight::Unserved(kind, event);
        tasks.spawn(watch(api, sender.clone(), sight));
    }
    receiver
}

async fn watch<K>(
    api: Api<K>,
    sights: mpsc::Sender<Sight>,
    sight: impl Fn(watcher::Event<K>) -> Sight + Send,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().page_size(PAGE);
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if sights.send(sight(event)).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "a watch failed and is begun again"),
        }
    }
}
