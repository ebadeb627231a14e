//! Watches: in order, without a gap, and free for whom a change does not concern.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use weir_controller::standalone::store::{
    Expected, Filter, Indexed, Key, Revision, Scope, Store, StoreLimits, TooOld, WatchEnd, Watcher,
};

use crate::medium::Medium;
use crate::objects::{
    POOL, all, create, hint, in_pool, key, open, open_within, put, remove, update, volumes,
};

/// What there is to be told now, as revision, name, and whether it is gone.
fn told(watcher: &mut Watcher) -> Vec<(u64, String, bool)> {
    let mut told = Vec::new();
    while let Some(event) = watcher.try_next().unwrap() {
        told.push((
            event.revision.0,
            event.object.key.name.clone(),
            event.removed,
        ));
    }
    told
}

fn numbers(watcher: &mut Watcher) -> Vec<u64> {
    told(watcher)
        .into_iter()
        .map(|(revision, ..)| revision)
        .collect()
}

/// Why a watcher that is told nothing more is not.
fn end(watcher: &mut Watcher) -> WatchEnd {
    watcher.try_next().unwrap_err()
}

async fn move_to(store: &Store, name: &str, pool: &str) {
    let stored = store.get(&key(name)).unwrap();
    store.commit(update(&stored, pool)).await.unwrap();
}

/// Seen red with: the past not read.
#[tokio::test]
async fn a_watch_from_the_past_goes_over_into_the_present() {
    let store = open(&Medium::default());
    store.commit(create("a", "x")).await.unwrap();
    store.commit(create("b", "x")).await.unwrap();
    let mut watcher = store.watch(volumes(), Revision(2), all(), None).unwrap();
    let stored = store.get(&key("a")).unwrap();
    store.commit(remove(&stored)).await.unwrap();
    let event = watcher.next().await.unwrap();
    assert_eq!((event.revision.0, event.before.is_none()), (3, true));
    let event = watcher.next().await.unwrap();
    assert_eq!((event.revision.0, event.removed), (4, true));
    assert_eq!(event.object.revision, Revision(4));
    assert_eq!(event.before.unwrap().revision, Revision(2));
    assert_eq!(told(&mut watcher), []);
}

/// An object that moves from one value to another concerns those who watch either; nobody else is
/// even asked.
///
/// Seen red with: only the new value told.
#[tokio::test]
async fn a_hint_tells_both_the_old_and_the_new_values_watchers() {
    let store = open(&Medium::default());
    store.commit(create("vol", "a")).await.unwrap();
    let watch = |pool| {
        store
            .watch(volumes(), Revision(2), in_pool(pool), hint(pool))
            .unwrap()
    };
    let (mut a, mut b) = (watch("a"), watch("b"));
    let asked = Arc::new(AtomicUsize::new(0));
    let counting: Filter = Arc::new({
        let asked = Arc::clone(&asked);
        move |indexed: &Indexed| {
            asked.fetch_add(1, Ordering::Relaxed);
            indexed.field(POOL) == "c"
        }
    });
    let mut c = store
        .watch(volumes(), Revision(2), counting, hint("c"))
        .unwrap();
    move_to(&store, "vol", "b").await;
    move_to(&store, "vol", "b").await;
    assert_eq!((numbers(&mut a), numbers(&mut b)), (vec![3], vec![3, 4]));
    move_to(&store, "vol", "a").await;
    let gone = store.get(&key("vol")).unwrap();
    store.commit(remove(&gone)).await.unwrap();
    assert_eq!((numbers(&mut a), numbers(&mut b)), (vec![5, 6], vec![5]));
    assert_eq!(told(&mut c), []);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(c.position().unwrap(), Revision(6), "a bookmark moves on");
}

#[tokio::test]
async fn a_field_that_is_not_set_is_empty_to_a_hint() {
    let store = open(&Medium::default());
    let hinted = |field: &str, value: &str| Some((field.to_owned(), value.to_owned()));
    let unset = |indexed: &Indexed| indexed.field("spec.other").is_empty();
    let mut unset = store
        .watch(
            volumes(),
            Revision::FIRST,
            Arc::new(unset),
            hinted("spec.other", ""),
        )
        .unwrap();
    let named = |indexed: &Indexed| indexed.name == "b";
    let mut named = store
        .watch(
            volumes(),
            Revision::FIRST,
            Arc::new(named),
            hinted("metadata.name", "b"),
        )
        .unwrap();
    store.commit(create("a", "x")).await.unwrap();
    store.commit(create("b", "x")).await.unwrap();
    assert_eq!(
        (numbers(&mut unset), numbers(&mut named)),
        (vec![2, 3], vec![3])
    );
}

#[tokio::test]
async fn who_waits_is_woken_and_who_gives_up_loses_nothing() {
    let store = open(&Medium::default());
    let mut watcher = store
        .watch(volumes(), Revision::FIRST, in_pool("a"), hint("a"))
        .unwrap();
    assert!(
        timeout(Duration::from_millis(20), watcher.next())
            .await
            .is_err()
    );
    let waiting = tokio::spawn(async move { watcher.next().await.unwrap().revision });
    tokio::time::sleep(Duration::from_millis(20)).await;
    store.commit(create("other", "b")).await.unwrap();
    store.commit(create("vol", "a")).await.unwrap();
    let woken = timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(woken.unwrap().unwrap(), Revision(3));
}

#[tokio::test]
async fn a_watch_may_begin_in_the_future() {
    let store = open(&Medium::default());
    let mut watcher = store.watch(volumes(), Revision(3), all(), None).unwrap();
    for name in ["a", "b", "c", "d"] {
        store.commit(create(name, "x")).await.unwrap();
    }
    assert_eq!(numbers(&mut watcher), [4, 5]);
}

fn small(history: usize, backlog: usize) -> StoreLimits {
    StoreLimits {
        history_changes: history,
        watcher_backlog: backlog,
        ..StoreLimits::default()
    }
}

/// Seen red with: forgotten changes passed over.
#[tokio::test]
async fn a_watcher_that_is_overtaken_by_the_history_is_told_so() {
    let store = open_within(&Medium::default(), small(8, 1_000));
    let mut slow = store
        .watch(volumes(), Revision::FIRST, all(), None)
        .unwrap();
    let mut hinted = store
        .watch(volumes(), Revision::FIRST, in_pool("a"), hint("a"))
        .unwrap();
    let mut quiet = store
        .watch(volumes(), Revision::FIRST, in_pool("q"), hint("q"))
        .unwrap();
    for number in 0..30 {
        store
            .commit(create(&format!("vol-{number}"), "a"))
            .await
            .unwrap();
    }
    assert_eq!(end(&mut slow), WatchEnd::Lagged);
    assert_eq!(end(&mut hinted), WatchEnd::Lagged);
    // Nothing that concerned this one was lost: it goes on.
    store.commit(create("vol", "q")).await.unwrap();
    assert_eq!(numbers(&mut quiet), [32]);
    let too_old = store
        .watch(volumes(), Revision(23), all(), None)
        .unwrap_err();
    assert_eq!(
        too_old,
        TooOld {
            oldest: Revision(24)
        }
    );
    let mut resumed = store.watch(volumes(), Revision(24), all(), None).unwrap();
    assert_eq!(numbers(&mut resumed), (25..=32).collect::<Vec<_>>());
}

/// Seen red with: dropped revisions not looked at.
#[tokio::test]
async fn a_watcher_with_too_much_ahead_of_it_is_told_so() {
    let store = open_within(&Medium::default(), small(1_000, 8));
    let mut slow = store
        .watch(volumes(), Revision::FIRST, all(), None)
        .unwrap();
    let mut quick = store
        .watch(volumes(), Revision::FIRST, all(), None)
        .unwrap();
    for number in 0..9 {
        store
            .commit(create(&format!("vol-{number}"), "a"))
            .await
            .unwrap();
        assert_eq!(numbers(&mut quick), [number + 2]);
    }
    assert_eq!(end(&mut slow), WatchEnd::Lagged);
}

#[tokio::test]
async fn a_closed_store_tells_the_rest_and_that_it_is_closed() {
    let store = open(&Medium::default());
    let mut watcher = store
        .watch(volumes(), Revision::FIRST, all(), None)
        .unwrap();
    let mut waiting = store.watch(volumes(), Revision(2), all(), None).unwrap();
    store.commit(create("vol", "a")).await.unwrap();
    let waiting = tokio::spawn(async move { waiting.next().await.unwrap_err() });
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(store);
    assert_eq!(watcher.next().await.unwrap().revision, Revision(2));
    assert_eq!(watcher.next().await.unwrap_err(), WatchEnd::Closed);
    let ended = timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(ended.unwrap().unwrap(), WatchEnd::Closed);
}

#[tokio::test]
async fn watchers_are_counted_and_see_only_their_scope() {
    let store = open(&Medium::default());
    let scope = |namespace: Option<&str>| Scope {
        storage: "leases".to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    let mut one = store
        .watch(scope(Some("a")), Revision::FIRST, all(), None)
        .unwrap();
    let mut every = store
        .watch(scope(None), Revision::FIRST, all(), None)
        .unwrap();
    let other = store
        .watch(volumes(), Revision::FIRST, in_pool("a"), hint("a"))
        .unwrap();
    assert_eq!(store.statistics().watchers, 3);
    drop(other);
    assert_eq!(store.statistics().watchers, 2);
    for (storage, namespace) in [("leases", "a"), ("leases", "b"), ("events", "a")] {
        let key = Key {
            storage: storage.to_owned(),
            namespace: namespace.to_owned(),
            name: "x".to_owned(),
        };
        store
            .commit(put(&key, "", "", Expected::Absent))
            .await
            .unwrap();
    }
    assert_eq!(
        (numbers(&mut one), numbers(&mut every)),
        (vec![2], vec![2, 3])
    );
}
