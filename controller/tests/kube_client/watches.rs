//! Watches, as the runtime's `watcher` makes them: both ways of listing first, selectors, ends.

use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::json;
use tokio::time::timeout;
use weir_api::crd::Volume;

use crate::made::{unique, volume};
use crate::place::Place;

/// What a watch says, in a word and the object's name.
type Told = (&'static str, String);

fn told(event: Event<Volume>) -> Told {
    let name = |object: Volume| object.metadata.name.unwrap();
    match event {
        Event::Init => ("init", String::new()),
        Event::InitApply(object) => ("there", name(object)),
        Event::InitDone => ("done", String::new()),
        Event::Apply(object) => ("applied", name(object)),
        Event::Delete(object) => ("deleted", name(object)),
    }
}

async fn next(
    stream: &mut (impl Stream<Item = Result<Event<Volume>, watcher::Error>> + Unpin),
) -> Told {
    let next = timeout(Duration::from_secs(20), stream.try_next()).await;
    told(next.expect("in time").unwrap().expect("the watch goes on"))
}

async fn a_watch_tells_what_is_there_and_what_becomes_of_it(strategy: watcher::Config) {
    let place = Place::open();
    let api = Api::<Volume>::all(place.client().await);
    let (pool, first, second) = (unique("pool"), unique("vol"), unique("vol"));
    let post = PostParams::default();
    api.create(&post, &volume(&first, &pool)).await.unwrap();
    let config = strategy
        .fields(&format!("spec.poolName={pool}"))
        .timeout(10);
    let mut stream = watcher(api.clone(), config).boxed();
    assert_eq!(next(&mut stream).await, ("init", String::new()));
    assert_eq!(next(&mut stream).await, ("there", first.clone()));
    assert_eq!(next(&mut stream).await, ("done", String::new()));

    api.create(&post, &volume(&unique("vol"), "elsewhere"))
        .await
        .unwrap();
    let mut unplaced = volume(&second, &pool);
    unplaced.spec.pool_name = None;
    api.create(&post, &unplaced).await.unwrap();
    let place_it = Patch::Merge(json!({"spec": {"poolName": pool}}));
    api.patch(&second, &PatchParams::default(), &place_it)
        .await
        .unwrap();
    assert_eq!(next(&mut stream).await, ("applied", second.clone()));
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    api.patch(&first, &PatchParams::default(), &label)
        .await
        .unwrap();
    assert_eq!(next(&mut stream).await, ("applied", first.clone()));
    api.delete(&first, &DeleteParams::default()).await.unwrap();
    assert_eq!(next(&mut stream).await, ("deleted", first));
    api.delete(&second, &DeleteParams::default()).await.unwrap();
    assert_eq!(next(&mut stream).await, ("deleted", second));
}

#[tokio::test]
async fn after_a_list() {
    a_watch_tells_what_is_there_and_what_becomes_of_it(watcher::Config::default()).await;
}

#[tokio::test]
async fn after_a_list_in_pages() {
    a_watch_tells_what_is_there_and_what_becomes_of_it(watcher::Config::default().page_size(1))
        .await;
}

#[tokio::test]
async fn after_a_list_of_any_age() {
    a_watch_tells_what_is_there_and_what_becomes_of_it(watcher::Config::default().any_semantic())
        .await;
}

#[tokio::test]
async fn with_a_streamed_list() {
    a_watch_tells_what_is_there_and_what_becomes_of_it(
        watcher::Config::default().streaming_lists(),
    )
    .await;
}

/// A watch ends when its time is over, and the next one goes on where it ended.
///
/// Seen red with: in `Store::watch`, `from.next()` for `from`.
#[tokio::test]
async fn watches_in_a_row_miss_nothing() {
    let place = Place::open();
    let api = Api::<Volume>::all(place.client().await);
    let pool = unique("pool");
    let config = watcher::Config::default()
        .fields(&format!("spec.poolName={pool}"))
        .timeout(1);
    let mut stream = watcher(api.clone(), config).boxed();
    assert_eq!(next(&mut stream).await.0, "init");
    assert_eq!(next(&mut stream).await.0, "done");
    let writes = tokio::spawn({
        let (api, pool) = (api.clone(), pool.clone());
        async move {
            let mut names = Vec::new();
            for _ in 0..60 {
                let name = unique("vol");
                let made = api
                    .create(&PostParams::default(), &volume(&name, &pool))
                    .await;
                made.unwrap();
                names.push(("applied", name));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            names
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 60 {
        seen.push(next(&mut stream).await);
    }
    assert_eq!(seen, writes.await.unwrap());
}
