//! What is acknowledged and shown is durable, and changes that wait share a flush.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use weir_controller::standalone::store::{
    Change, CommitError, Expected, Revision, Store, StoreError, StoreLimits, Stored, WatchEnd,
};

use crate::medium::{Flushes, Medium};
use crate::objects::{all, create, key, open, open_within, parsed, put, remove, update, volumes};

/// Long enough for another thread to do what it must not do.
const A_WHILE: Duration = Duration::from_millis(50);

/// What comes of a change that was asked for.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<Stored, CommitError>> + 'a>>;

/// Asks for a change: it is in the queue when this returns.
fn ask(store: &Store, change: Change) -> Asked<'_> {
    let mut asked: Asked<'_> = Box::pin(store.commit(change));
    assert!(is_waiting(&mut asked));
    asked
}

fn is_waiting(asked: &mut Asked<'_>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    asked.as_mut().poll(&mut context).is_pending()
}

/// Asks for a change whose flush is then held.
fn hold<'a>(medium: &Medium, store: &'a Store, change: Change) -> Asked<'a> {
    medium.flushes(Flushes::Wait);
    let asked = ask(store, change);
    medium.until_held();
    asked
}

/// Seen red with: published before the transaction is committed.
#[tokio::test]
async fn nothing_is_shown_or_acknowledged_before_it_is_durable() {
    let medium = Medium::default();
    let store = open(&medium);
    let mut watcher = store
        .watch(volumes(), Revision::FIRST, all(), None)
        .unwrap();
    let mut asked = hold(&medium, &store, create("vol", "a"));
    thread::sleep(A_WHILE);
    assert!(store.get(&key("vol")).is_none());
    assert!(store.list(&volumes(), None, 0, &|_| true).items.is_empty());
    assert_eq!(store.revision(), Revision::FIRST);
    assert!(watcher.try_next().unwrap().is_none());
    assert_eq!(watcher.position().unwrap(), Revision::FIRST);
    assert!(is_waiting(&mut asked));

    medium.flushes(Flushes::Work);
    let stored = asked.await.unwrap();
    assert_eq!(stored.revision, Revision(2));
    assert_eq!(parsed(&stored)["metadata"]["resourceVersion"], "2");
    assert_eq!(watcher.next().await.unwrap().revision, Revision(2));
}

#[tokio::test]
async fn changes_that_wait_share_one_flush() {
    let medium = Medium::default();
    let store = open(&medium);
    let before = store.fsyncs();
    let first = hold(&medium, &store, create("first", "a"));
    // Each poll takes of what tokio lets a task do before it has to yield: 128 polls (tokio::task::coop).
    let asked: Vec<_> = (0..31)
        .map(|number| ask(&store, create(&format!("vol-{number}"), "a")))
        .collect();
    medium.flushes(Flushes::Work);
    assert_eq!(first.await.unwrap().revision, Revision(2));
    for (asked, revision) in asked.into_iter().zip(3..) {
        assert_eq!(asked.await.unwrap().revision, Revision(revision));
    }
    assert_eq!(store.fsyncs() - before, 2);
}

/// Of changes that share a batch each sees what the ones before it did.
///
/// Seen red with: `Expected` checked against memory alone.
#[tokio::test]
async fn of_conflicting_changes_in_one_batch_one_is_made() {
    let medium = Medium::default();
    let store = open(&medium);
    let base = store.commit(create("base", "a")).await.unwrap();
    let first = hold(&medium, &store, create("first", "a"));
    let changes = [
        create("vol", "a"),
        create("vol", "b"),
        update(&base, "b"),
        update(&base, "c"),
        remove(&base),
    ];
    let asked = changes.map(|change| ask(&store, change));
    medium.flushes(Flushes::Work);
    assert_eq!(first.await.unwrap().revision, Revision(3));
    let mut revisions = Vec::new();
    for each in asked {
        revisions.push(match each.await {
            Ok(stored) => Ok(stored.revision.0),
            Err(CommitError::Mismatch { current }) => Err(current.unwrap().revision.0),
            Err(error) => panic!("{error}"),
        });
    }
    assert_eq!(revisions, [Ok(4), Err(4), Ok(5), Err(5), Err(5)]);
}

/// An answer of "no" may tell of a change of the same batch: that must be durable, too.
///
/// Seen red with: refusals answered as soon as they are found.
#[tokio::test]
async fn a_refusal_waits_for_what_it_shows() {
    let medium = Medium::default();
    let store = open(&medium);
    let first = hold(&medium, &store, create("first", "a"));
    let mut asked = [create("vol", "a"), create("vol", "b")].map(|change| ask(&store, change));
    medium.let_one_go();
    // The first is through; the flush that is held now is that of the two others.
    medium.until_held();
    first.await.unwrap();
    thread::sleep(A_WHILE);
    assert!(asked.iter_mut().all(is_waiting));
    medium.flushes(Flushes::Fail);
    for each in asked {
        let answer = each.await;
        assert!(matches!(answer, Err(CommitError::Failed(_))), "{answer:?}");
    }
    assert!(store.get(&key("vol")).is_none());
}

/// After a flush that failed the kernel may report the next one as done without having written.
///
/// Seen red with: answered as if it had worked; the failure forgotten.
#[tokio::test]
async fn after_a_failed_flush_nothing_is_written_any_more() {
    let medium = Medium::default();
    let store = open(&medium);
    let stored = store.commit(create("vol", "a")).await.unwrap();
    let mut watcher = store
        .watch(volumes(), stored.revision, all(), None)
        .unwrap();
    medium.flushes(Flushes::Fail);
    let refused = store.commit(update(&stored, "b")).await;
    let Err(CommitError::Failed(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(*why, StoreError::Database { verb: "write", .. }),
        "{why:?}"
    );
    medium.flushes(Flushes::Work);
    let written = medium.position();
    let refused = store.commit(create("other", "a")).await;
    assert!(matches!(&refused, Err(CommitError::Failed(same)) if Arc::ptr_eq(same, &why)));
    assert_eq!(medium.position(), written, "nothing reaches the disk");
    assert!(store.failure().is_some());

    // What was acknowledged is still read, and nothing else.
    assert_eq!(store.get(&key("vol")).unwrap().revision, stored.revision);
    assert_eq!(store.revision(), stored.revision);
    assert!(watcher.try_next().unwrap().is_none());
    drop(store);
    assert_eq!(watcher.next().await.unwrap_err(), WatchEnd::Closed);

    let store = open(&medium);
    assert!(store.get(&key("other")).is_none());
    let newest = store.get(&key("vol")).unwrap().revision;
    assert!(newest == stored.revision || newest == stored.revision.next());
    let next = store.commit(create("other", "a")).await.unwrap();
    assert_eq!(next.revision, newest.next());
}

#[tokio::test]
async fn what_is_no_object_is_refused_and_harms_nobody() {
    let store = open(&Medium::default());
    let mut change = create("vol", "a");
    if let Change::Put { object, .. } = &mut change {
        *object = "text".into();
    }
    let refused = store.commit(change).await;
    assert!(
        matches!(&refused, Err(CommitError::Failed(why)) if matches!(**why, StoreError::NotAnObject { .. })),
        "{refused:?}"
    );
    assert!(store.failure().is_none());
    let stored = store.commit(create("vol", "a")).await.unwrap();
    assert_eq!(stored.revision, Revision(2));
}

/// Seen red with: the trimmed revision not written; old states left out of the log.
#[tokio::test]
async fn a_store_that_is_opened_again_is_the_same() {
    let medium = Medium::default();
    let limits = StoreLimits {
        history_changes: 5,
        ..StoreLimits::default()
    };
    let store = open_within(&medium, limits);
    for number in 0..9 {
        let change = create(&format!("vol-{number}"), "a");
        store.commit(change).await.unwrap();
    }
    let gone = store.get(&key("vol-3")).unwrap();
    store.commit(remove(&gone)).await.unwrap();
    let moved = store.get(&key("vol-8")).unwrap();
    store.commit(update(&moved, "b")).await.unwrap();
    let (before, list) = (
        store.statistics(),
        store.list(&volumes(), None, 0, &|_| true),
    );
    assert_eq!(before.history_changes, 5);
    drop(store);

    let store = open_within(&medium, limits);
    let after = store.statistics();
    assert_eq!(
        (
            after.objects,
            after.revision,
            after.oldest,
            after.history_changes,
            after.history_bytes
        ),
        (8, before.revision, before.oldest, 5, before.history_bytes),
    );
    let again = store.list(&volumes(), None, 0, &|_| true);
    assert_eq!(again.revision, list.revision);
    for (new, old) in again.items.iter().zip(&list.items) {
        assert_eq!((&new.key, &new.bytes), (&old.key, &old.bytes));
        assert_eq!((new.revision, &new.indexed), (old.revision, &old.indexed));
    }
    let stale = put(&key("vol-8"), "c", "", Expected::Revision(moved.revision));
    assert!(matches!(
        store.commit(stale).await,
        Err(CommitError::Mismatch { .. })
    ));
}
