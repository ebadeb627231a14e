//! What is acknowledged and shown is durable, and changes that wait share a flush.

use std::sync::Arc;
use std::time::Duration;

use weir_controller::standalone::store::{
    CommitError, Expected, Revision, StoreError, StoreLimits, WatchEnd,
};

use crate::medium::{Flushes, Medium};
use crate::objects::{all, create, key, open, open_within, parsed, put, remove, update, volumes};

/// Long enough for another thread to do what it must not do.
const A_WHILE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_shown_or_acknowledged_before_it_is_durable() {
    let medium = Medium::default();
    let store = open(&medium);
    let mut watcher = store
        .watch(volumes(), Revision::FIRST, all(), None)
        .unwrap();
    medium.flushes(Flushes::Wait);
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.commit(create("vol", "a")).await }
    });
    medium.until_held();
    tokio::time::sleep(A_WHILE).await;
    assert!(store.get(&key("vol")).is_none());
    assert!(store.list(&volumes(), None, 0, &|_| true).items.is_empty());
    assert_eq!(store.revision(), Revision::FIRST);
    assert!(watcher.try_next().unwrap().is_none());
    assert_eq!(watcher.position().unwrap(), Revision::FIRST);
    assert!(!writing.is_finished());

    medium.flushes(Flushes::Work);
    let stored = writing.await.unwrap().unwrap();
    assert_eq!(stored.revision, Revision(2));
    assert_eq!(parsed(&stored)["metadata"]["resourceVersion"], "2");
    assert_eq!(watcher.next().await.unwrap().revision, Revision(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_wait_share_one_flush() {
    let medium = Medium::default();
    let store = open(&medium);
    medium.flushes(Flushes::Wait);
    let writing: Vec<_> = (0..64)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(create(&format!("vol-{number}"), "a")).await })
        })
        .collect();
    medium.until_held();
    tokio::time::sleep(A_WHILE).await;
    let before = store.fsyncs();
    medium.flushes(Flushes::Work);
    let mut revisions = Vec::new();
    for each in writing {
        revisions.push(each.await.unwrap().unwrap().revision.0);
    }
    revisions.sort_unstable();
    assert!(revisions.into_iter().eq(2..66));
    let flushes = store.fsyncs() - before;
    assert!(flushes <= 4, "{flushes} flushes for 64 changes");
    assert!(flushes > 0);
}

/// Of changes that share a batch each sees what the ones before it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_conflicting_changes_in_one_batch_one_is_made() {
    let medium = Medium::default();
    let store = open(&medium);
    let base = store.commit(create("base", "a")).await.unwrap();
    medium.flushes(Flushes::Wait);
    let changes = [
        create("first", "a"),
        create("vol", "a"),
        create("vol", "b"),
        update(&base, "b"),
        update(&base, "c"),
        remove(&base),
    ];
    let mut writing = Vec::new();
    for change in changes {
        let store = store.clone();
        writing.push(tokio::spawn(async move { store.commit(change).await }));
        // In this order, all but the first behind the flush that is held.
        tokio::time::sleep(A_WHILE / 5).await;
    }
    assert!(writing.iter().all(|each| !each.is_finished()));
    medium.flushes(Flushes::Work);
    let mut answers = Vec::new();
    for each in writing {
        answers.push(each.await.unwrap());
    }
    let revisions = answers.iter().map(|answer| match answer {
        Ok(stored) => Ok(stored.revision.0),
        Err(CommitError::Mismatch { current }) => Err(current.as_ref().unwrap().revision.0),
        Err(error) => panic!("{error}"),
    });
    let expected = [Ok(3), Ok(4), Err(4), Ok(5), Err(5), Err(5)];
    assert_eq!(revisions.collect::<Vec<_>>(), expected);
}

/// An answer of "no" may tell of a change of the same batch: that must be durable, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_waits_for_what_it_shows() {
    let medium = Medium::default();
    let store = open(&medium);
    medium.flushes(Flushes::Wait);
    let mut writing = Vec::new();
    for change in [create("first", "a"), create("vol", "a"), create("vol", "b")] {
        let store = store.clone();
        writing.push(tokio::spawn(async move { store.commit(change).await }));
        tokio::time::sleep(A_WHILE / 5).await;
    }
    medium.until_held();
    medium.let_one_go();
    // The first is through; the flush that is held now is that of the two others.
    medium.until_held();
    tokio::time::sleep(A_WHILE).await;
    let finished: Vec<_> = writing.iter().map(|each| each.is_finished()).collect();
    medium.flushes(Flushes::Fail);
    assert_eq!(finished, [true, false, false]);
    let mut answers = Vec::new();
    for each in writing {
        answers.push(each.await.unwrap());
    }
    assert!(matches!(answers[0], Ok(_)));
    for answer in &answers[1..] {
        assert!(matches!(answer, Err(CommitError::Failed(_))), "{answer:?}");
    }
    assert!(store.get(&key("vol")).is_none());
}

/// After a flush that failed the kernel may report the next one as done without having written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
    if let weir_controller::standalone::store::Change::Put { object, .. } = &mut change {
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
