//! The server ends and is there again: its clients go on, and have missed nothing.

use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;
use tokio::time::timeout;
use weir_api::crd::Volume;

use crate::made::{unique, volume};
use crate::place::Place;

/// A watch that is under way when the server ends goes on after the last change it saw: it is told every change exactly
/// once, and does not have to begin anew.
///
/// Seen red with: in `Store::watch`, `from.next()` for `from`.
async fn a_watch_outlives_the_server(end: fn(&mut crate::process::Process)) {
    let mut place = Place::ours();
    let api = Api::<Volume>::all(place.plain_client().await);
    let config = watcher::Config::default();
    let mut stream = watcher(api.clone(), config).default_backoff().boxed();
    let name = unique("vol");
    api.create(&PostParams::default(), &volume(&name, "p"))
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut begun = 0;
    let mut written = Vec::new();
    for round in 0..3 {
        for step in 0..5 {
            let size = json!({"spec": {"capacityBytes": (2_u64 << 30) + 10 * round + step}});
            let patched = api
                .patch(&name, &PatchParams::default(), &Patch::Merge(size))
                .await;
            written.push(patched.unwrap().metadata.generation.unwrap());
        }
        while seen.last() != written.last() {
            let event = timeout(Duration::from_secs(60), stream.next())
                .await
                .expect("in time");
            match event.unwrap() {
                Ok(Event::Init) => begun += 1,
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    seen.push(object.metadata.generation.unwrap());
                }
                Ok(_) | Err(_) => {}
            }
        }
        end(place.process());
        place.process().start_again();
    }
    assert_eq!(begun, 1, "it began anew");
    let first = seen[0];
    written.retain(|generation| *generation > first);
    assert_eq!(seen[1..], written, "after generation {first}");
}

#[tokio::test]
async fn after_sigterm() {
    a_watch_outlives_the_server(crate::process::Process::stop).await;
}

#[tokio::test]
async fn after_sigkill() {
    a_watch_outlives_the_server(crate::process::Process::kill).await;
}
