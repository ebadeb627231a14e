//! Lists in pages show what was there at their first page.

use weir_controller::standalone::store::{
    Expected, Indexed, Key, Page, Query, Revision, Scope, Store, StoreLimits, TooOld,
};

use crate::medium::Medium;
use crate::objects::{POOL, create, key, open, open_within, put, remove, update, volumes};

fn names(page: &Page) -> Vec<&str> {
    page.items
        .iter()
        .map(|item| item.key.name.as_str())
        .collect()
}

async fn with_volumes(names: &[&str]) -> Store {
    let store = open(&Medium::default());
    for name in names {
        store.commit(create(name, "a")).await.unwrap();
    }
    store
}

#[tokio::test]
async fn pages_tell_what_follows() {
    let store = with_volumes(&["d", "b", "a", "e", "c"]).await;
    let page = store.list(&volumes(), None, 2, &|_| true);
    assert_eq!((names(&page), page.remaining), (vec!["a", "b"], Some(3)));
    assert_eq!(page.revision, Revision(6));
    let page = store.list(&volumes(), page.next.as_ref(), 2, &|_| true);
    assert_eq!((names(&page), page.remaining), (vec!["c", "d"], Some(1)));
    let page = store.list(&volumes(), page.next.as_ref(), 2, &|_| true);
    assert_eq!((names(&page), page.remaining), (vec!["e"], None));
    assert_eq!(page.next, None);
    let page = store.list(&volumes(), None, 5, &|_| true);
    assert_eq!(
        (page.items.len(), page.next),
        (5, None),
        "no empty page follows"
    );
    let page = store.list(&volumes(), None, 1, &|indexed| indexed.name == "c");
    assert_eq!((names(&page), &page.next), (vec!["c"], &None));
}

/// Removed, changed and new objects: a later page shows none of it.
///
/// Seen red with: `page_at` answered with what is there now.
#[tokio::test]
async fn a_later_page_is_as_of_the_first() {
    let store = with_volumes(&["b", "d", "f", "h"]).await;
    let first = store.list(&volumes(), None, 1, &|_| true);
    for name in ["d", "f"] {
        let stored = store.get(&key(name)).unwrap();
        store.commit(update(&stored, "moved")).await.unwrap();
    }
    let stored = store.get(&key("f")).unwrap();
    store.commit(remove(&stored)).await.unwrap();
    for name in ["a", "c", "i", "f"] {
        store.commit(create(name, "new")).await.unwrap();
    }
    let at = |after: Option<&(String, String)>, limit| {
        store
            .list_at(first.revision, &volumes(), after, limit, &|_| true)
            .unwrap()
    };
    let second = at(first.next.as_ref(), 2);
    assert_eq!(
        (names(&second), second.remaining),
        (vec!["d", "f"], Some(1))
    );
    assert_eq!(second.revision, first.revision);
    assert!(
        second
            .items
            .iter()
            .all(|item| item.indexed.field(POOL) == "a")
    );
    let third = at(second.next.as_ref(), 2);
    assert_eq!((names(&third), &third.next), (vec!["h"], &None));
    assert_eq!(names(&at(None, 0)), ["b", "d", "f", "h"]);

    let kept = |pool: &'static str| {
        move |indexed: &weir_controller::standalone::store::Indexed| indexed.field(POOL) == pool
    };
    let then = store.list_at(first.revision, &volumes(), None, 0, &kept("moved"));
    assert_eq!(names(&then.unwrap()), [""; 0], "by what they were then");
    let now = store.list(&volumes(), None, 0, &kept("moved"));
    assert_eq!(names(&now), ["d"]);
}

#[tokio::test]
async fn a_page_of_a_time_that_is_forgotten_is_too_old() {
    let limits = StoreLimits {
        history_changes: 3,
        ..StoreLimits::default()
    };
    let store = open_within(&Medium::default(), limits);
    for name in ["a", "b", "c", "d", "e"] {
        store.commit(create(name, "a")).await.unwrap();
    }
    let at = |revision| store.list_at(Revision(revision), &volumes(), None, 0, &|_| true);
    assert_eq!(
        at(2).unwrap_err(),
        TooOld {
            oldest: Revision(3)
        }
    );
    assert_eq!(names(&at(3).unwrap()), ["a", "b"]);
    assert_eq!(names(&at(99).unwrap()), ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn the_history_is_bounded_by_bytes() {
    let limits = StoreLimits {
        history_bytes: 100_000,
        ..StoreLimits::default()
    };
    let store = open_within(&Medium::default(), limits);
    let mut expected = Expected::Absent;
    for _ in 0..50 {
        let change = put(&key("vol"), "a", &"x".repeat(10_000), expected);
        expected = Expected::Revision(store.commit(change).await.unwrap().revision);
    }
    let statistics = store.statistics();
    assert!(statistics.history_bytes <= 100_000, "{statistics:?}");
    assert!(
        (3..=5).contains(&statistics.history_changes),
        "{statistics:?}"
    );
}

#[tokio::test]
async fn a_scope_is_one_kind_in_one_namespace() {
    let store = open(&Medium::default());
    for (storage, namespace, name) in [
        ("leases", "a", "z"),
        ("leases", "b", "a"),
        ("leases", "b", "b"),
        ("leases", "ba", "a"),
        ("leasesx", "b", "a"),
        ("events", "b", "a"),
    ] {
        let key = Key {
            storage: storage.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        store
            .commit(put(&key, "", "", Expected::Absent))
            .await
            .unwrap();
    }
    let scope = |namespace: Option<&str>| Scope {
        storage: "leases".to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    let after = |namespace: &str, name: &str| Some((namespace.to_owned(), name.to_owned()));
    let list = |scope: &Scope, after: Option<&(String, String)>| {
        let page = store.list(scope, after, 0, &|_| true);
        let key = |key: &Key| format!("{}/{}", key.namespace, key.name);
        page.items
            .iter()
            .map(|item| key(&item.key))
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&scope(Some("b")), None), ["b/a", "b/b"]);
    assert_eq!(list(&scope(None), None), ["a/z", "b/a", "b/b", "ba/a"]);
    assert_eq!(
        list(&scope(None), after("a", "zz").as_ref()),
        ["b/a", "b/b", "ba/a"]
    );
    // A token that was made elsewhere leads nowhere else.
    assert_eq!(
        list(&scope(Some("b")), after("a", "").as_ref()),
        ["b/a", "b/b"]
    );
    assert_eq!(list(&scope(Some("b")), after("c", "").as_ref()), [""; 0]);
}

/// By the index of a field: what is listed is what a look at every object would find, also while
/// objects come, move and go, and also in the past.
///
/// Seen red with: the old value's key left in the index; what is gone left out of the past.
#[tokio::test]
async fn a_hint_finds_the_same_and_follows_changes() {
    let store = with_volumes(&["a", "b", "c"]).await;
    let of = volumes();
    let in_pool = |pool: &'static str, at: Option<u64>| {
        let keep = |indexed: &Indexed| {
            assert_eq!(
                indexed.field(POOL),
                pool,
                "the others are not even looked at"
            );
            true
        };
        let query = Query {
            of: &of,
            hint: Some((POOL, pool)),
            after: None,
            limit: 0,
            keep: &keep,
        };
        let page = store.page(&query, at.map(Revision)).unwrap();
        names(&page).join(" ")
    };
    assert_eq!(in_pool("a", None), "a b c");
    let stored = store.get(&key("b")).unwrap();
    let moved = store.commit(update(&stored, "x")).await.unwrap();
    store.commit(create("d", "x")).await.unwrap();
    store
        .commit(remove(&store.get(&key("c")).unwrap()))
        .await
        .unwrap();
    assert_eq!(
        (in_pool("a", None), in_pool("x", None)),
        ("a".into(), "b d".into())
    );
    assert_eq!(
        (in_pool("a", Some(4)), in_pool("x", Some(4))),
        ("a b c".into(), String::new())
    );
    assert_eq!(
        (in_pool("a", Some(6)), in_pool("x", Some(6))),
        ("a c".into(), "b d".into())
    );
    store.commit(remove(&moved)).await.unwrap();
    assert_eq!(
        (in_pool("x", None), in_pool("", None)),
        ("d".into(), String::new())
    );
}
