//! A client that watches all volumes and, cut off, resumes after the last version it was told.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use tokio::time::sleep;
use weir_api::crd::Volume;

use crate::journal::{Journal, Told};

/// Watches for ever.
pub(crate) async fn watch(api: Api<Volume>, begin: String, journal: Arc<Journal>) {
    let mut last = begin;
    let params = WatchParams::default().timeout(60);
    loop {
        let Ok(stream) = api.watch(&params, &last).await else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        let mut stream = stream.boxed();
        // An error is the connection's end, in the middle of an event or not.
        while let Ok(Some(event)) = stream.try_next().await {
            let (object, is_there) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, true),
                WatchEvent::Deleted(object) => (object, false),
                WatchEvent::Bookmark(bookmark) => {
                    last = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(error) => panic!("after version {last}: {error:?}"),
            };
            last = object.metadata.resource_version.clone().unwrap();
            journal.tell(Told {
                version: last.parse().unwrap(),
                name: object.metadata.name.clone().unwrap(),
                state: is_there.then_some(object.spec.capacity_bytes.0),
            });
        }
    }
}
