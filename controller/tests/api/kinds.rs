//! Kinds that are a real server's own, and what is served beside objects.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_controller::standalone::server::Limits;
use weir_controller::standalone::store::StoreLimits;

use crate::client::{Client, MERGE, TABLE};
use crate::server::{Running, volume};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces";

/// The namespace that ends.
const TEST: &str = "/api/v1/namespaces/test";

fn lease(name: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "renewTime": "2026-11-22T09:00:00.000000Z",
        },
    })
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Makes the namespace `test` and a lease in it that has a finalizer; returns the path of its leases.
async fn namespace_with_a_held_lease(admin: &Client) -> String {
    admin
        .post("/api/v1/namespaces", &namespace("test"))
        .await
        .expect(201);
    let leases = format!("{LEASES}/test/leases");
    let mut held = lease("held");
    held["metadata"]["finalizers"] = json!(["weir.dev/x"]);
    admin.post(&leases, &held).await.expect(201);
    leases
}

/// Takes the finalizer away, and waits for the end of the namespace.
async fn let_go(admin: &Client, leases: &str) {
    let none = json!({"metadata": {"finalizers": null}});
    let held = format!("{leases}/held");
    admin.patch(&held, MERGE, &none).await.expect(200);
    let begun = Instant::now();
    while admin.get(TEST).await.code != 404 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn namespaces_are_there_from_the_start() {
    let server = Running::start().await;
    let admin = server.admin();
    let list = admin.get("/api/v1/namespaces").await.expect(200);
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["metadata"]["name"])
        .collect();
    assert_eq!(
        names,
        ["default", "kube-node-lease", "kube-system", "weir-agents"]
    );
    for name in ["default", "kube-system", "kube-node-lease", "weir-agents"] {
        admin
            .delete(&format!("/api/v1/namespaces/{name}"))
            .await
            .expect(403);
    }
    admin.delete("/api/v1/namespaces").await.expect(405);
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_ends_with_what_is_in_it() {
    let server = Running::start().await;
    let admin = server.admin();
    let leases = namespace_with_a_held_lease(&admin).await;
    admin.post(&leases, &lease("free")).await.expect(201);
    let marked = admin.delete(TEST).await.expect(200);
    assert_eq!(marked["status"]["phase"], "Terminating");
    let refused = admin.post(&leases, &lease("late")).await.expect(403);
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.get(&format!("{leases}/free")).await.expect(404);
    let held = admin.get(&format!("{leases}/held")).await.expect(200);
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    admin.get(TEST).await.expect(200);
    let_go(&admin, &leases).await;
    server.stop().await;
}

#[tokio::test]
async fn a_namespace_that_was_ending_ends_after_a_restart() {
    let server = Running::start().await;
    let admin = server.admin();
    let leases = namespace_with_a_held_lease(&admin).await;
    admin.delete(TEST).await.expect(200);
    let directory = server.stop().await;
    let server = Running::start_in(directory, Default::default(), Default::default()).await;
    let admin = server.admin();
    let_go(&admin, &leases).await;
    server.stop().await;
}

#[tokio::test]
async fn a_lease_is_won_by_one() {
    let server = Running::start().await;
    let admin = server.admin();
    let leases = format!("{LEASES}/default/leases");
    admin.get(&format!("{leases}/l")).await.expect(404);
    let made = admin.post(&leases, &lease("l")).await.expect(201);
    assert_eq!(made["metadata"]["namespace"], "default");
    admin.post(&leases, &lease("l")).await.expect(409);
    admin
        .post(&format!("{LEASES}/nope/leases"), &lease("l"))
        .await
        .expect(404);
    let mut one = made.clone();
    one["spec"]["holderIdentity"] = json!("b");
    let target = format!("{leases}/l");
    let won = admin.put(&target, &one).await.expect(200);
    admin.put(&target, &one).await.expect(409);
    let strategic = "application/strategic-merge-patch+json";
    let renew = json!({"spec": {"leaseTransitions": 1}});
    let renewed = admin.patch(&target, strategic, &renew).await.expect(200);
    assert_eq!(
        renewed["spec"]["holderIdentity"],
        won["spec"]["holderIdentity"]
    );
    let everywhere = admin
        .get("/apis/coordination.k8s.io/v1/leases")
        .await
        .expect(200);
    assert_eq!(everywhere["items"].as_array().unwrap().len(), 1);
    assert_eq!(everywhere["kind"], "LeaseList");
    server.stop().await;
}

/// Seen red with: in `Server::run`, nobody who forgets.
#[tokio::test]
async fn an_event_that_nobody_writes_to_is_forgotten() {
    let limits = Limits {
        event_life: Duration::from_millis(1_500),
        ..Limits::default()
    };
    let server = Running::start_with(limits, StoreLimits::default()).await;
    let admin = server.admin();
    let events = "/api/v1/namespaces/default/events";
    for name in ["once", "often"] {
        let about = json!({"apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "name": "v"});
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "finalizers": ["weir.dev/x"]},
            "involvedObject": about,
            "reason": "Placed",
        });
        admin.post(events, &event).await.expect(201);
    }
    let selected = "watch=1&fieldSelector=metadata.name%3Donce";
    let mut watch = admin.watch(&format!("{events}?{selected}")).await;
    watch.expect("ADDED", "once").await;
    let (once, often) = (format!("{events}/once"), format!("{events}/often"));
    let begun = Instant::now();
    for count in 2.. {
        if admin.get(&once).await.code == 404 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it is kept");
        let again = json!({"count": count});
        admin.patch(&often, MERGE, &again).await.expect(200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() >= limits.event_life);
    watch.expect("DELETED", "once").await;
    admin.get(&often).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn events_have_two_shapes() {
    let server = Running::start().await;
    let admin = server.admin();
    let event = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "action": "Place",
        "eventTime": "2026-11-22T09:00:00.000000Z",
        "metadata": {"name": "v.1"},
        "note": "placed",
        "reason": "Placed",
        "regarding": {"apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "name": "v", "uid": "u"},
        "reportingController": "weir-controller",
        "reportingInstance": "c",
        "type": "Normal",
    });
    let new = "/apis/events.k8s.io/v1/namespaces/default/events";
    let old = "/api/v1/namespaces/default/events";
    let made = admin.post(new, &event).await.expect(201);
    assert_eq!(
        (&made["note"], &made["apiVersion"]),
        (&event["note"], &event["apiVersion"])
    );
    let core = admin.get(&format!("{old}/v.1")).await.expect(200);
    assert_eq!(
        (&core["message"], &core["apiVersion"]),
        (&event["note"], &json!("v1"))
    );
    let mut again = event.clone();
    again["series"] = json!({"count": 2, "lastObservedTime": "2026-11-22T09:00:01.000000Z"});
    let patched = admin
        .patch(&format!("{new}/v.1"), MERGE, &again)
        .await
        .expect(200);
    assert_eq!(patched["series"]["count"], 2);
    assert_eq!(patched["regarding"]["name"], "v");
    let query = "fieldSelector=involvedObject.name%3Dv,involvedObject.namespace%3D,involvedObject.kind%3DVolume,\
                 involvedObject.uid%3Du&limit=500";
    let found = admin
        .get(&format!("/api/v1/events?{query}"))
        .await
        .expect(200);
    assert_eq!(found["items"][0]["involvedObject"]["name"], "v");
    let found = admin
        .get(&format!("{new}?fieldSelector=regarding.name%3Dv"))
        .await
        .expect(200);
    assert_eq!(found["items"][0]["regarding"]["name"], "v");
    assert_eq!(
        (&found["kind"], &found["apiVersion"]),
        (&json!("EventList"), &event["apiVersion"])
    );
    let table = admin.get_as(old, TABLE).await.expect(200);
    assert_eq!(table["columnDefinitions"][0]["name"], "Last Seen");
    let mut watch = admin.watch(&format!("{new}?watch=1")).await;
    let told = watch.next().await.unwrap();
    assert_eq!(told["object"]["note"], "placed");
    admin.delete(&format!("{old}/v.1")).await.expect(200);
    let told = watch.next().await.unwrap();
    assert_eq!(
        (&told["type"], &told["object"]["note"]),
        (&json!("DELETED"), &json!("placed"))
    );
    server.stop().await;
}

#[tokio::test]
async fn some_kinds_are_always_empty() {
    let server = Running::start().await;
    let admin = server.admin();
    for path in ["/api/v1/pods", "/api/v1/namespaces/kube-system/services"] {
        let list = admin.get(&format!("{path}?limit=500")).await.expect(200);
        assert_eq!(list["items"], json!([]));
        admin.post(path, &json!({})).await.expect(405);
        admin.get(&format!("{path}?watch=1")).await.expect(405);
    }
    admin
        .get("/api/v1/namespaces/default/pods/x")
        .await
        .expect(404);
    server.stop().await;
}

#[tokio::test]
async fn what_is_served_can_be_discovered() {
    let server = Running::start().await;
    let admin = server.admin();
    let groups = admin.get("/apis").await.expect(200);
    let found: Vec<_> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["name"].as_str().unwrap())
        .collect();
    for group in [
        "weir.dev",
        "coordination.k8s.io",
        "events.k8s.io",
        "authorization.k8s.io",
    ] {
        assert!(found.contains(&group), "{found:?}");
    }
    assert_eq!(
        admin.get("/api").await.expect(200)["versions"],
        json!(["v1"])
    );
    assert_eq!(
        admin.get("/apis/weir.dev").await.expect(200)["kind"],
        "APIGroup"
    );
    let list = admin.get("/apis/weir.dev/v1alpha1").await.expect(200);
    let resources = list["resources"].as_array().unwrap();
    let volumes = resources.iter().find(|r| r["name"] == "volumes").unwrap();
    assert_eq!(
        (&volumes["kind"], &volumes["shortNames"]),
        (&json!("Volume"), &json!(["wvol"]))
    );
    assert!(resources.iter().any(|r| r["name"] == "volumes/status"));
    let aggregated =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    for path in ["/api", "/apis"] {
        let all = admin.get_as(path, aggregated).await;
        let media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert_eq!(all.headers["content-type"], media);
        let tag = all.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(all.expect(200)["kind"], "APIGroupDiscoveryList");
        let headers = [("accept", aggregated), ("if-none-match", tag.as_str())];
        assert_eq!(admin.call("GET", path, &headers, "").await.code, 304);
    }
    for path in [
        "/apis/nope",
        "/apis/weir.dev/v9",
        "/api/v9",
        "/nope",
        "/apis/weir.dev/v1alpha1/nopes",
    ] {
        let unknown = admin.get(path).await;
        assert_eq!(
            (unknown.code, unknown.text.as_str()),
            (404, "404 page not found\n"),
            "{path}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn documents_prove_that_fields_are_validated() {
    let server = Running::start().await;
    let admin = server.admin();
    let index = admin.get("/openapi/v3").await.expect(200);
    for (key, plural) in [
        ("apis/weir.dev/v1alpha1", "volumes"),
        (
            "apis/coordination.k8s.io/v1",
            "namespaces/{namespace}/leases",
        ),
        ("api/v1", "nodes"),
    ] {
        let url = index["paths"][key]["serverRelativeURL"].as_str().unwrap();
        let document = admin.get(&format!("{url}&timeout=32s")).await.expect(200);
        let operation = &document["paths"][format!("/{key}/{plural}/{{name}}")]["patch"];
        let parameters = operation["parameters"].as_array().unwrap();
        for name in ["fieldValidation", "dryRun", "force"] {
            assert!(parameters.iter().any(|p| p["name"] == name), "{key} {name}");
        }
        assert!(operation["x-kubernetes-group-version-kind"]["kind"].is_string());
    }
    let asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let v2 = admin.get_as("/openapi/v2", asked).await;
    assert_eq!(
        v2.headers["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    assert!(v2.text.starts_with("\n\u{3}2.0"));
    assert_eq!(admin.get("/openapi/v2").await.expect(200)["swagger"], "2.0");
    server.stop().await;
}

#[tokio::test]
async fn the_server_says_that_it_is_well_and_what_it_is() {
    let server = Running::start().await;
    let admin = server.admin();
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(admin.get(path).await.text, "ok");
    }
    assert!(
        admin
            .get("/readyz?verbose")
            .await
            .text
            .ends_with("readyz check passed\n")
    );
    let version = admin.get("/version").await.expect(200);
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&json!("1"), &json!("36"))
    );
    assert!(admin.get("/").await.expect(200)["paths"].is_array());
    admin.post("/version", &json!({})).await.expect(405);
    server.stop().await;
}

#[tokio::test]
async fn kubectl_makes_a_namespace_with_protobuf() {
    let server = Running::start().await;
    let admin = server.admin();
    let body = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x21\x0a\x19\x0a\x09weir-test\x12\0\x1a\0\"\0\
        *\0\x32\0\x38\0B\0\x12\0\x1a\x02\x0a\0\x1a\0\"\0";
    let media = "application/vnd.kubernetes.protobuf";
    let accept = "application/vnd.kubernetes.protobuf,application/json";
    let headers = [("content-type", media), ("accept", accept)];
    let target = "/api/v1/namespaces?fieldValidation=Strict";
    let made = admin.call("POST", target, &headers, body.to_vec()).await;
    assert_eq!(made.expect(201)["metadata"]["name"], "weir-test");
    let volumes = crate::server::VOLUMES;
    admin
        .call("POST", volumes, &headers, body.to_vec())
        .await
        .expect(415);
    let only = [("accept", media)];
    admin
        .call("GET", "/api/v1/namespaces", &only, "")
        .await
        .expect(406);
    admin.post(volumes, &volume("v", "p")).await.expect(201);
    server.stop().await;
}
