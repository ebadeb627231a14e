//! Watches.

use std::time::Duration;

use serde_json::{Value, json};
use weir_controller::standalone::server::Limits;
use weir_controller::standalone::store::StoreLimits;

use crate::client::{Client, MERGE, TABLE, version};
use crate::server::{POOLS, Running, VOLUMES, pool, volume};

async fn make(admin: &Client, name: &str, pool: &str) -> String {
    version(&admin.post(VOLUMES, &volume(name, pool)).await.expect(201))
}

async fn label(admin: &Client, name: &str, value: Value) -> String {
    let patch = json!({"metadata": {"labels": {"q": value}}});
    let target = format!("{VOLUMES}/{name}");
    version(&admin.patch(&target, MERGE, &patch).await.expect(200))
}

#[tokio::test]
async fn a_watch_tells_what_changes_and_is_resumed_without_a_gap() {
    let server = Running::start().await;
    let admin = server.admin();
    let first = make(&admin, "a", "p").await;
    let mut watch = admin
        .watch(&format!("{VOLUMES}?&watch=true&resourceVersion={first}"))
        .await;
    let made = make(&admin, "b", "p").await;
    assert_eq!(watch.expect("ADDED", "b").await, made);
    let changed = label(&admin, "a", json!("1")).await;
    assert_eq!(watch.expect("MODIFIED", "a").await, changed);
    drop(watch);
    make(&admin, "c", "p").await;
    admin.delete(&format!("{VOLUMES}/b")).await.expect(200);
    let mut watch = admin
        .watch(&format!("{VOLUMES}?watch=1&resourceVersion={changed}"))
        .await;
    watch.expect("ADDED", "c").await;
    let gone = watch.expect("DELETED", "b").await;
    assert!(gone.parse::<u64>().unwrap() > changed.parse::<u64>().unwrap());
    server.stop().await;
}

#[tokio::test]
async fn a_watch_from_nowhere_begins_with_what_there_is() {
    let server = Running::start().await;
    let admin = server.admin();
    for name in ["b", "a"] {
        make(&admin, name, "p").await;
    }
    for query in ["watch=1", "watch=1&resourceVersion=0"] {
        let mut watch = admin.watch(&format!("{VOLUMES}?{query}")).await;
        watch.expect("ADDED", "a").await;
        watch.expect("ADDED", "b").await;
        label(&admin, "a", json!(query.len().to_string())).await;
        watch.expect("MODIFIED", "a").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_streaming_list_says_where_it_ends() {
    let server = Running::start().await;
    let admin = server.admin();
    for name in ["a", "b"] {
        make(&admin, name, "p").await;
    }
    let query =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for more in ["", "&resourceVersion=0"] {
        let mut watch = admin.watch(&format!("{VOLUMES}?{query}{more}")).await;
        watch.expect("ADDED", "a").await;
        let newest = watch.expect("ADDED", "b").await;
        let end = watch.next().await.unwrap();
        assert_eq!(end["type"], "BOOKMARK");
        assert_eq!(end["object"]["kind"], "Volume");
        let annotations = &end["object"]["metadata"]["annotations"];
        assert_eq!(annotations["k8s.io/initial-events-end"], "true");
        let listed: u64 = version(&end["object"]).parse().unwrap();
        assert!(listed >= newest.parse::<u64>().unwrap());
        label(&admin, "b", json!(more.len().to_string())).await;
        watch.expect("MODIFIED", "b").await;
    }
    let empty = format!("{POOLS}?{query}");
    let end = admin.watch(&empty).await.next().await.unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    server.stop().await;
}

#[tokio::test]
async fn a_selector_sees_objects_come_and_go() {
    let server = Running::start().await;
    let admin = server.admin();
    make(&admin, "a", "p").await;
    let mut by_label = admin
        .watch(&format!("{VOLUMES}?watch=1&labelSelector=q%3D1"))
        .await;
    let mut by_name = admin
        .watch(&format!(
            "{VOLUMES}?watch=1&resourceVersion=0&fieldSelector=metadata.name%3Da"
        ))
        .await;
    by_name.expect("ADDED", "a").await;
    make(&admin, "z", "p").await;
    label(&admin, "a", json!("1")).await;
    by_label.expect("ADDED", "a").await;
    let left = label(&admin, "a", json!("2")).await;
    let event = by_label.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"]["q"], "1");
    assert_eq!(version(&event["object"]), left);
    by_name.expect("MODIFIED", "a").await;
    by_name.expect("MODIFIED", "a").await;
    admin.delete(&format!("{VOLUMES}/a")).await.expect(200);
    by_name.expect("DELETED", "a").await;
    server.stop().await;
}

#[tokio::test]
async fn a_pools_agent_is_told_of_its_volumes_only() {
    let server = Running::start().await;
    let admin = server.admin();
    admin.post(POOLS, &pool("p1", "n1")).await.expect(201);
    let agent = server.client("agent:n1");
    let selector = "fieldSelector=spec.poolName%3Dp1";
    let mut watch = agent.watch(&format!("{VOLUMES}?watch=1&{selector}")).await;
    make(&admin, "other", "p2").await;
    make(&admin, "own", "p1").await;
    watch.expect("ADDED", "own").await;
    server.stop().await;
}

#[tokio::test]
async fn a_watch_from_before_the_history_is_expired() {
    let limits = StoreLimits {
        history_changes: 8,
        ..StoreLimits::default()
    };
    let server = Running::start_with(Limits::default(), limits).await;
    let admin = server.admin();
    make(&admin, "a", "p").await;
    for n in 0..20 {
        label(&admin, "a", json!(n.to_string())).await;
    }
    for accept in ["application/json", TABLE] {
        let target = format!("{VOLUMES}?watch=1&resourceVersion=2");
        let mut watch = admin.watch_as(&target, accept).await;
        let error = watch.next().await.unwrap();
        assert_eq!(error["type"], "ERROR");
        assert_eq!(error["object"]["code"], 410);
        assert_eq!(error["object"]["reason"], "Expired");
        assert_eq!(watch.next().await, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn bookmarks_come_now_and_then_and_before_the_end() {
    let limits = Limits {
        bookmark: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = Running::start_with(limits, StoreLimits::default()).await;
    let admin = server.admin();
    let newest = make(&admin, "a", "p").await;
    let target = format!(
        "{POOLS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={newest}"
    );
    let mut watch = admin.watch(&target).await;
    let mut bookmarks = Vec::new();
    while let Some(event) = watch.next().await {
        assert_eq!(event["type"], "BOOKMARK");
        assert_eq!(event["object"]["kind"], "StoragePool");
        bookmarks.push(version(&event["object"]));
        if bookmarks.len() == 1 {
            // Of another kind: the watch is told nothing but how far it is.
            make(&admin, "b", "p").await;
        }
    }
    assert!(bookmarks.len() >= 3, "{bookmarks:?}");
    let numbers: Vec<u64> = bookmarks.iter().map(|v| v.parse().unwrap()).collect();
    assert!(numbers.is_sorted());
    assert!(
        numbers.last() > Some(&newest.parse().unwrap()),
        "{numbers:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_watch_without_bookmarks_has_none() {
    let server = Running::start().await;
    let admin = server.admin();
    let target = format!("{POOLS}?watch=1&timeoutSeconds=1&resourceVersion=2");
    assert_eq!(admin.watch(&target).await.next().await, None);
    server.stop().await;
}

#[tokio::test]
async fn tables_are_watched_row_by_row() {
    let server = Running::start().await;
    let admin = server.admin();
    make(&admin, "a", "p").await;
    let mut watch = admin.watch_as(&format!("{VOLUMES}?watch=1"), TABLE).await;
    let first = watch.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    let changed = label(&admin, "a", json!("1")).await;
    let second = watch.next().await.unwrap();
    assert_eq!(second["type"], "MODIFIED");
    assert_eq!(second["object"]["columnDefinitions"], json!(null));
    assert_eq!(version(&second["object"]), changed);
    assert_eq!(
        second["object"]["rows"][0]["object"]["kind"],
        "PartialObjectMetadata"
    );
    server.stop().await;
}

#[tokio::test]
async fn watches_end_in_good_order_when_the_server_stops() {
    let server = Running::start().await;
    let admin = server.admin();
    let target = format!("{VOLUMES}?watch=1&allowWatchBookmarks=true&resourceVersion=2");
    let mut watch = admin.watch(&target).await;
    server.is_stopping();
    assert_eq!(watch.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(watch.next().await, None);
    let begun = std::time::Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_identity_has_so_many_watches_and_no_more() {
    let limits = Limits {
        watches_each: 2,
        watches: 3,
        ..Limits::default()
    };
    let server = Running::start_with(limits, StoreLimits::default()).await;
    let (admin, agent) = (server.admin(), server.client("agent:n1"));
    let target = format!("{VOLUMES}?watch=1&resourceVersion=2");
    let first = admin.watch(&target).await;
    let _second = admin.watch(&target).await;
    let refused = admin.get(&target).await;
    assert_eq!(
        (refused.code, refused.headers["retry-after"].as_bytes()),
        (429, &b"1"[..])
    );
    let _third = agent.watch(&target).await;
    assert_eq!(agent.get(&target).await.code, 429);
    drop(first);
    let begun = std::time::Instant::now();
    loop {
        // The server learns of the end when the connection's does.
        let target = format!("{target}&timeoutSeconds=1");
        let code = admin.get(&target).await.code;
        if code == 200 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}
