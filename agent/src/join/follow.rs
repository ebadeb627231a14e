//! Following what an API has for this node: list, then watch, again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use tokio::task::JoinHandle;

use super::back_off::BackOff;
use super::cache::Place;
use super::error::{JoinError, answered};
use super::known::Known;
use super::shared::{Event, Shared};
use super::told::Told;
use crate::cluster::ClusterId;

/// How long a server is asked to keep a watch.
const WATCH_SECONDS: u32 = 240;
/// A watch of which nothing is heard for so long, not even its end, is lost.
const SILENCE: Duration = Duration::from_secs(250);
/// One that ends sooner was not ended because its time was over.
const FULL: Duration = Duration::from_secs(238);
/// Objects per page of a list.
const PAGE: u32 = 500;

/// Follows this node's pools, and the volumes and tombstones of each of them and of those that the node holds.
pub(super) async fn follow_all(shared: &Arc<Shared>, client: &Client) {
    let start = |place: Place| {
        let following = follow(Arc::clone(shared), client.clone(), place);
        Aborted(tokio::spawn(following))
    };
    let _pools = start(Place::Pools);
    let mut of_pools = BTreeMap::new();
    loop {
        let watched = shared.lock().cache.watched();
        of_pools.retain(|pool, _| watched.contains(pool));
        for pool in watched {
            let places = [
                Place::Volumes(pool.clone()),
                Place::Tombstones(pool.clone()),
            ];
            of_pools.entry(pool).or_insert_with(|| places.map(&start));
        }
        shared.to_follow.notified().await;
    }
}

/// A task that ends with this.
struct Aborted(JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(shared: Arc<Shared>, client: Client, place: Place) {
    let mut pause = BackOff::default();
    let mut told = Told::default();
    loop {
        let ended = follow_once(&shared, &client, &place, &mut pause).await;
        shared.is_watched(&place, false);
        if let Some(error) = ended.err().and_then(|error| told.news(&error)) {
            tracing::warn!(?place, error, "what is known of the API goes on");
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Lists and watches until something is in the way.
async fn follow_once(
    shared: &Shared,
    client: &Client,
    place: &Place,
    pause: &mut BackOff,
) -> Result<(), JoinError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &place.kind().resource());
    let selector = match place {
        Place::Pools => format!("spec.nodeName={}", shared.node),
        Place::Volumes(pool) | Place::Tombstones(pool) => format!("spec.poolName={pool}"),
    };
    let before = identity(client).await?;
    let (objects, mut version) = list(&api, &selector).await?;
    // Before and after: one API may have taken another's place meanwhile, and the list is of either.
    let cluster = identity(client).await?;
    if cluster != before {
        return Ok(());
    }
    let known = objects.into_iter();
    let known = known.filter_map(|object| Known::of(place.kind(), object));
    shared.listed(place, cluster, known.collect());
    loop {
        let began = Instant::now();
        let params = WatchParams::default()
            .fields(&selector)
            .timeout(WATCH_SECONDS);
        let watch = answered("watch", api.watch(&params, &version)).await?;
        let mut watch = std::pin::pin!(watch);
        if identity(client).await? != cluster {
            return Ok(());
        }
        shared.is_watched(place, true);
        tracing::info!(?place, "watching");
        loop {
            let next = tokio::time::timeout(SILENCE, watch.next()).await;
            let Some(event) = next.map_err(|_| JoinError::Late("watch"))? else {
                break;
            };
            let event = event.map_err(JoinError::api("watch"))?;
            if let Some(newer) = newer(&event) {
                version = newer;
            }
            if !shared.heard(place, cluster, heard(place, event)?) {
                return Ok(());
            }
            *pause = BackOff::default();
        }
        // A server that ends a watch sooner may have stopped, and what is there next may have gone back to an earlier
        // state, whose versions are soon as high: nothing would tell of the difference.
        if began.elapsed() < FULL {
            return Ok(());
        }
        if identity(client).await? != cluster {
            return Ok(());
        }
    }
}

/// Every object, and the version from which on a watch tells of changes.
async fn list(
    api: &Api<DynamicObject>,
    selector: &str,
) -> Result<(Vec<DynamicObject>, String), JoinError> {
    let mut params = ListParams::default().fields(selector).limit(PAGE);
    let mut objects = Vec::new();
    loop {
        let page = answered("list", api.list(&params)).await?;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params.continue_token = Some(next),
            None => {
                let version = page.metadata.resource_version.unwrap_or_default();
                return Ok((objects, version));
            }
        }
    }
}

/// Which cluster answers.
pub(super) async fn identity(client: &Client) -> Result<ClusterId, JoinError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = answered("tell whose API it is", namespaces.get("kube-system")).await?;
    let uid = namespace.uid().and_then(|uid| uid.parse().ok());
    uid.map(ClusterId).ok_or(JoinError::Nameless)
}

fn newer(event: &WatchEvent<DynamicObject>) -> Option<String> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
            object.resource_version()
        }
        WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version.clone()),
        WatchEvent::Error(_) => None,
    }
}

fn heard(place: &Place, event: WatchEvent<DynamicObject>) -> Result<Event, JoinError> {
    let known = |object| Known::of(place.kind(), object);
    Ok(match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            known(object).map_or(Event::Nothing, Event::Changed)
        }
        WatchEvent::Deleted(object) => known(object).map_or(Event::Nothing, Event::Gone),
        WatchEvent::Bookmark(_) => Event::Nothing,
        // 410 as a rule: what changed since is not known any more, and all of it is listed again.
        WatchEvent::Error(status) => return Err(JoinError::Watch(status.message)),
    })
}
