//! Requests that mean no good, or were never meant for this server: refused with the right code and
//! the field's name, and nothing is changed by them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir_controller::standalone::server::Limits;
use weir_controller::standalone::store::StoreLimits;

use crate::client::{Client, JSON_PATCH, MERGE};
use crate::server::{POOLS, Running, VOLUMES, pool, volume};

const JSON: &str = "application/json";

/// A request, the code that it has to be answered with, and the field that has to be named.
struct Row {
    method: &'static str,
    target: String,
    media: &'static str,
    body: String,
    code: u16,
    field: &'static str,
}

fn row(
    method: &'static str,
    target: impl Into<String>,
    media: &'static str,
    body: impl ToString,
    code: u16,
    field: &'static str,
) -> Row {
    Row {
        method,
        target: target.into(),
        media,
        body: body.to_string(),
        code,
        field,
    }
}

async fn filled(limits: Limits) -> (Running, Client) {
    let server = Running::start_with(limits, StoreLimits::default()).await;
    let admin = server.admin();
    admin.post(POOLS, &pool("fast", "n1")).await.expect(201);
    admin.post(VOLUMES, &volume("v", "fast")).await.expect(201);
    (server, admin)
}

/// Everything there is, and of which revision.
async fn everything(admin: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for path in [
        POOLS,
        VOLUMES,
        "/apis/weir.dev/v1alpha1/snapshots",
        "/apis/weir.dev/v1alpha1/volumesets",
        "/apis/weir.dev/v1alpha1/volumemigrations",
        "/api/v1/namespaces",
        "/api/v1/nodes",
        "/api/v1/events",
        "/apis/coordination.k8s.io/v1/leases",
    ] {
        all.push(admin.get(path).await.text);
    }
    all
}

/// An object with one field set to something.
fn with(object: Value, pointer: &str, value: Value) -> Value {
    let mut object = object;
    let mut at = &mut object;
    for key in pointer.split('/').skip(1) {
        at = &mut at[key];
    }
    *at = value;
    object
}

fn bodies() -> Vec<Row> {
    let post = |body: Value, code, field| row("POST", VOLUMES, JSON, body, code, field);
    let text = |body: &str, code| row("POST", VOLUMES, JSON, body, code, "");
    let spec = |pointer: &str, value: Value| with(volume("x", "fast"), pointer, value);
    let pool_with = |pointer: &str, value: Value, field| {
        row(
            "POST",
            POOLS,
            JSON,
            with(pool("x", "n1"), pointer, value),
            422,
            field,
        )
    };
    let deep = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    vec![
        text("", 400),
        text("{", 400),
        text("null", 400),
        text("[]", 400),
        text("\"x\"", 400),
        text("1", 400),
        text("{}", 400),
        text("{\"kind\":", 400),
        text("\u{0}", 400),
        text("{\"apiVersion\":1,\"kind\":2}", 400),
        text(&deep("[", "]", 100_000), 400),
        text(&deep("{\"a\":", "}", 100_000), 400),
        text(&format!("{{\"a\":{}}}", deep("[", "]", 200)), 400),
        text(&format!("{{\"a\":1e{}}}", "9".repeat(400)), 400),
        post(
            with(volume("x", "fast"), "/kind", json!("StoragePool")),
            422,
            "kind",
        ),
        post(
            with(volume("x", "fast"), "/kind", json!(["Volume"])),
            400,
            "",
        ),
        post(
            with(volume("x", "fast"), "/apiVersion", json!("weir.dev/v1")),
            400,
            "",
        ),
        post(
            with(volume("x", "fast"), "/apiVersion", json!("v1")),
            400,
            "",
        ),
        post(with(volume("x", "fast"), "/metadata", json!("x")), 400, ""),
        post(with(volume("x", "fast"), "/metadata", json!([])), 400, ""),
        post(
            with(volume("x", "fast"), "/metadata", json!({})),
            422,
            "metadata.name",
        ),
        post(volume("", "fast"), 422, "metadata.name"),
        post(volume("X", "fast"), 422, "metadata.name"),
        post(volume("a/b", "fast"), 422, "metadata.name"),
        post(volume("..", "fast"), 422, "metadata.name"),
        post(volume("a_b", "fast"), 422, "metadata.name"),
        post(volume("-a", "fast"), 422, "metadata.name"),
        post(volume("a\u{0}b", "fast"), 422, "metadata.name"),
        post(volume("é", "fast"), 422, "metadata.name"),
        post(volume(&"a".repeat(64), "fast"), 422, ""),
        post(volume(&"a".repeat(300), "fast"), 422, "metadata.name"),
        post(spec("/metadata/name", json!(1)), 400, ""),
        post(
            spec("/metadata/labels", json!({"a b": "c"})),
            422,
            "metadata.labels",
        ),
        post(
            spec("/metadata/labels", json!({"a": "c d"})),
            422,
            "metadata.labels",
        ),
        post(spec("/metadata/labels", json!({"a": 1})), 400, ""),
        post(spec("/metadata/labels", json!(["a"])), 400, ""),
        post(
            spec("/metadata/annotations", json!({"a": "x".repeat(300_000)})),
            422,
            "metadata.annotations",
        ),
        post(
            spec("/metadata/annotations", json!({"/": "x"})),
            422,
            "metadata.annotations",
        ),
        post(spec("/metadata/finalizers", json!("x")), 400, ""),
        post(spec("/metadata/finalizers", json!([1])), 400, ""),
        post(
            spec("/metadata/ownerReferences", json!([{}])),
            422,
            "metadata.ownerReferences[0].apiVersion",
        ),
        post(spec("/metadata/resourceVersion", json!("5")), 400, ""),
        post(spec("/metadata/generateName", json!("A_")), 201, ""),
        post(spec("/spec", json!(null)), 422, "spec"),
        post(spec("/spec", json!("x")), 422, "spec"),
        post(spec("/spec", json!([])), 422, "spec"),
        post(spec("/spec", json!({})), 422, "spec.capacityBytes"),
        post(spec("/spec/id", json!("x")), 422, "spec.id"),
        post(
            spec("/spec/id", json!("00000000-0000-0000-0000-000000000000")),
            422,
            "spec.id",
        ),
        post(spec("/spec/id", json!(1)), 422, "spec.id"),
        post(
            spec("/spec/capacityBytes", json!("1")),
            422,
            "spec.capacityBytes",
        ),
        post(
            spec("/spec/capacityBytes", json!(0)),
            422,
            "spec.capacityBytes",
        ),
        post(
            spec("/spec/capacityBytes", json!(-1)),
            422,
            "spec.capacityBytes",
        ),
        post(
            spec("/spec/capacityBytes", json!(1.5)),
            422,
            "spec.capacityBytes",
        ),
        post(
            spec("/spec/capacityBytes", json!(u64::MAX)),
            422,
            "spec.capacityBytes",
        ),
        post(
            spec("/spec/capacityBytes", json!(true)),
            422,
            "spec.capacityBytes",
        ),
        post(spec("/spec/engine", json!("zfs")), 422, "spec.engine"),
        post(spec("/spec/engine", json!({})), 422, "spec.engine"),
        post(spec("/spec/layout", json!("raid6")), 422, "spec.layout"),
        post(spec("/spec/wipe", json!("")), 422, "spec.wipe"),
        post(
            spec("/spec/poolName", json!("../../etc")),
            422,
            "spec.poolName",
        ),
        post(
            spec("/spec/poolName", json!("x".repeat(100_000))),
            422,
            "spec.poolName",
        ),
        post(
            spec("/spec/attachments", json!("x")),
            422,
            "spec.attachments",
        ),
        post(
            spec("/spec/attachments", json!([{}])),
            422,
            "spec.attachments[0].nodeName",
        ),
        post(
            spec(
                "/spec/attachments",
                json!([{"nodeName": "a", "generation": 1}, {"nodeName": "b", "generation": 1}]),
            ),
            422,
            "spec.attachments",
        ),
        post(
            spec("/spec/qos", json!({"readIops": 0})),
            422,
            "spec.qos.readIops",
        ),
        post(
            spec("/spec/latency", json!({"readP99": "soon"})),
            422,
            "spec.latency.readP99",
        ),
        post(
            spec("/spec/placement", json!({"locality": "Near"})),
            422,
            "spec.placement.locality",
        ),
        post(spec("/spec/source", json!({})), 422, "spec.source"),
        pool_with("/spec/nodeName", json!("A B"), "spec.nodeName"),
        pool_with("/spec/engine", json!({}), "spec.engine"),
        pool_with(
            "/spec/engine/kernel/volumeGroup",
            json!("a/b"),
            "spec.engine.kernel.volumeGroup",
        ),
        pool_with(
            "/spec/engine/kernel/devices",
            json!(["../sda"]),
            "spec.engine.kernel.devices[0]",
        ),
        pool_with(
            "/spec/engine/kernel/stripes",
            json!(1),
            "spec.engine.kernel.stripes",
        ),
        pool_with("/spec/reservedBytes", json!(-1), "spec.reservedBytes"),
        pool_with("/spec/unschedulable", json!("yes"), "spec.unschedulable"),
        pool_with(
            "/spec/portals",
            json!([{"address": "nowhere"}]),
            "spec.portals[0].address",
        ),
        row("POST", VOLUMES, "text/plain", volume("x", "p"), 415, ""),
        row(
            "POST",
            VOLUMES,
            "application/x-www-form-urlencoded",
            "a=b",
            415,
            "",
        ),
        row("POST", VOLUMES, "application/yaml", "a: &a [*a]", 400, ""),
        row(
            "POST",
            VOLUMES,
            "application/yaml",
            "a: !!python/object:os.system x",
            400,
            "",
        ),
        row("POST", VOLUMES, "application/yaml", "- 1", 400, ""),
        row(
            "POST",
            VOLUMES,
            "application/yaml",
            "a: 1\n---\nb: 2",
            400,
            "",
        ),
        row(
            "POST",
            VOLUMES,
            JSON,
            "x".repeat(3 * 1024 * 1024 + 1),
            413,
            "",
        ),
        row(
            "POST",
            "/api/v1/namespaces",
            "application/vnd.kubernetes.protobuf",
            "k8s",
            400,
            "",
        ),
        row(
            "POST",
            "/api/v1/namespaces",
            "application/vnd.kubernetes.protobuf",
            "k8s\u{0}\u{7f}",
            400,
            "",
        ),
    ]
}

fn changes() -> Vec<Row> {
    let own = format!("{VOLUMES}/v");
    let own_pool = format!("{POOLS}/fast");
    let merge = |patch: Value, code, field| row("PATCH", &own, MERGE, patch, code, field);
    let pool_merge = |patch: Value, field| row("PATCH", &own_pool, MERGE, patch, 422, field);
    let operations = |patch: Value, code| row("PATCH", &own, JSON_PATCH, patch, code, "");
    let one = |op: Value, code| operations(json!([op]), code);
    let put = |body: Value, code, field| row("PUT", &own, JSON, body, code, field);
    vec![
        merge(json!([]), 400, ""),
        merge(json!("x"), 400, ""),
        merge(json!(null), 400, ""),
        merge(json!({"metadata": {"name": "w"}}), 400, ""),
        merge(json!({"metadata": {"uid": "x"}}), 422, "metadata.uid"),
        merge(json!({"metadata": {"resourceVersion": "1"}}), 409, ""),
        merge(json!({"metadata": null}), 400, ""),
        merge(json!({"kind": "StoragePool"}), 422, "kind"),
        merge(json!({"apiVersion": "v1"}), 400, ""),
        merge(json!({"spec": null}), 422, "spec"),
        merge(
            json!({"spec": {"id": uuid::Uuid::new_v4()}}),
            422,
            "spec.id",
        ),
        merge(
            json!({"spec": {"capacityBytes": 1}}),
            422,
            "spec.capacityBytes",
        ),
        merge(
            json!({"spec": {"capacityBytes": null}}),
            422,
            "spec.capacityBytes",
        ),
        merge(json!({"spec": {"poolName": "other"}}), 422, "spec.poolName"),
        merge(
            json!({"spec": {"provisioning": "thin"}}),
            422,
            "spec.provisioning",
        ),
        merge(json!({"spec": {"layout": "striped"}}), 422, "spec.layout"),
        pool_merge(json!({"spec": {"nodeName": "n2"}}), "spec.nodeName"),
        pool_merge(
            json!({"spec": {"engine": {"kernel": {"volumeGroup": "other"}}}}),
            "spec.engine.kernel.volumeGroup",
        ),
        pool_merge(json!({"spec": {"engine": {"kernel": null}}}), "spec.engine"),
        operations(json!({}), 400),
        operations(json!([{}]), 422),
        operations(json!([1]), 400),
        one(json!({"op": "boom", "path": "/spec"}), 422),
        one(
            json!({"op": "test", "path": "/spec/engine", "value": "zfs"}),
            422,
        ),
        one(json!({"op": "remove", "path": "/spec/nope"}), 422),
        one(json!({"op": "replace", "path": "spec", "value": 1}), 422),
        one(
            json!({"op": "replace", "path": "/metadata/name", "value": "w"}),
            400,
        ),
        one(json!({"op": "remove", "path": ""}), 422),
        one(
            json!({"op": "copy", "from": "/spec", "path": "/spec/spec/spec"}),
            422,
        ),
        one(
            json!({"op": "add", "path": "/metadata/finalizers/99", "value": "x"}),
            422,
        ),
        operations(
            json!(vec![
                json!({"op": "copy", "from": "/spec", "path": "/spec/a"});
                20_000
            ]),
            413,
        ),
        row("PATCH", &own, "application/json", "{}", 415, ""),
        row("PATCH", &own, "application/apply-patch+yaml", "{}", 415, ""),
        row("PATCH", &own, "application/apply-patch+cbor", "{}", 415, ""),
        row("PATCH", &own, "", "{}", 415, ""),
        row(
            "PATCH",
            format!("{own}?force=true"),
            MERGE,
            "{}",
            422,
            "force",
        ),
        put(volume("w", "fast"), 400, ""),
        put(volume("v", "fast"), 422, "metadata.resourceVersion"),
        put(json!({}), 400, ""),
        row(
            "PUT",
            format!("{VOLUMES}/absent"),
            JSON,
            volume("absent", "fast"),
            404,
            "",
        ),
        row("PUT", VOLUMES, JSON, volume("v", "fast"), 400, ""),
        row("PATCH", VOLUMES, MERGE, "{}", 400, ""),
        row("POST", &own, JSON, volume("w", "fast"), 400, ""),
        row("POST", &own, JSON, volume("v", "fast"), 409, ""),
        row(
            "PATCH",
            format!("{own}/status"),
            MERGE,
            json!({"status": "x"}),
            422,
            "status",
        ),
        row(
            "PATCH",
            format!("{own}/status"),
            MERGE,
            json!({"status": {"phase": "Nope"}}),
            422,
            "status.phase",
        ),
        row(
            "PATCH",
            format!("{own}/status"),
            MERGE,
            json!({"status": {"conditions": [1]}}),
            422,
            "status.conditions[0]",
        ),
        row(
            "DELETE",
            &own,
            JSON,
            json!({"propagationPolicy": "Foo"}),
            422,
            "propagationPolicy",
        ),
        row(
            "DELETE",
            &own,
            JSON,
            json!({"dryRun": ["Some"]}),
            422,
            "dryRun",
        ),
        row(
            "DELETE",
            &own,
            JSON,
            json!({"preconditions": {"uid": "x"}}),
            409,
            "",
        ),
        row("DELETE", &own, JSON, json!({"preconditions": "x"}), 400, ""),
        row("DELETE", &own, JSON, "[", 400, ""),
        row(
            "DELETE",
            format!("{own}?propagationPolicy=Foo"),
            JSON,
            "",
            422,
            "propagationPolicy",
        ),
        row(
            "DELETE",
            format!("{own}?dryRun=Some"),
            JSON,
            "",
            422,
            "dryRun",
        ),
        row(
            "POST",
            format!("{VOLUMES}?dryRun=Some"),
            JSON,
            volume("x", "p"),
            422,
            "dryRun",
        ),
        row(
            "POST",
            format!("{VOLUMES}?fieldValidation=Loose"),
            JSON,
            volume("x", "p"),
            422,
            "fieldValidation",
        ),
        row(
            "POST",
            format!("{VOLUMES}?fieldManager=a%00b"),
            JSON,
            volume("x", "p"),
            422,
            "fieldManager",
        ),
    ]
}

fn paths() -> Vec<Row> {
    let get = |target: &str, code| row("GET", target, "", "", code, "");
    let list =
        |query: &str, code, field| row("GET", format!("{VOLUMES}?{query}"), "", "", code, field);
    let lease = json!({"metadata": {"name": "l"}, "spec": {}});
    let leases = "/apis/coordination.k8s.io/v1";
    vec![
        get("//", 400),
        get("/api//v1", 400),
        get("/apis/weir.dev/v1alpha1/volumes/", 400),
        get("/apis/weir.dev/v1alpha1/volumes/..", 400),
        get("/apis/weir.dev/v1alpha1/volumes/%2e%2e/storagepools", 400),
        get("/apis/weir.dev/v1alpha1/volumes/%2fv", 400),
        get("/apis/weir.dev/v1alpha1/volumes%2fv", 400),
        get("/apis/weir.dev/v1alpha1/volumes/v%00", 400),
        get("/apis/weir.dev/v1alpha1/volumes/v%0d%0aX:%20y", 400),
        get("/apis/weir.dev/v1alpha1/volumes/%zz", 400),
        get("/apis/weir.dev/v1alpha1/volumes/%ff", 400),
        get("/apis/weir.dev/v1alpha1/volumes/v/status/more", 404),
        get("/apis/weir.dev/v1alpha1/volumes/v/scale", 404),
        get("/apis/weir.dev/v1alpha1/namespaces/default/volumes", 404),
        get("/apis/weir.dev/v1alpha1/watch/volumes", 404),
        get("/api/v1/events/e", 404),
        get("/api/v1/secrets", 404),
        get("/a/b/c/d/e/f/g/h/i/j/k", 400),
        get("/metrics", 404),
        get("/debug/pprof", 404),
        get(&format!("/{}", "a".repeat(8_000)), 404),
        get(&format!("{VOLUMES}?{}", "a=b&".repeat(100)), 400),
        row("DELETE", format!("{VOLUMES}/v/status"), "", "", 405, ""),
        row("OPTIONS", VOLUMES, "", "", 405, ""),
        row("TRACE", VOLUMES, "", "", 405, ""),
        row("FOO", VOLUMES, "", "", 405, ""),
        row("POST", "/apis", JSON, "{}", 405, ""),
        row("DELETE", "/api/v1", JSON, "", 405, ""),
        list("limit=abc", 400, ""),
        list("limit=99999999999999999999999", 400, ""),
        list("timeoutSeconds=x&watch=1", 400, ""),
        list("continue=!!", 400, ""),
        list("continue=e30", 400, ""),
        list("labelSelector=a+b+c", 400, ""),
        list("labelSelector=(", 400, ""),
        list("labelSelector=a+in+(", 400, ""),
        list("fieldSelector=spec.capacityBytes%3D1", 400, ""),
        list("fieldSelector=abc", 400, ""),
        list("resourceVersion=abc", 400, ""),
        list("resourceVersion=-1", 400, ""),
        list("resourceVersion=abc&watch=1", 400, ""),
        list("resourceVersion=99999", 504, ""),
        list("resourceVersionMatch=Exact", 422, "resourceVersionMatch"),
        list(
            "resourceVersion=1&resourceVersionMatch=Foo",
            422,
            "resourceVersionMatch",
        ),
        list(
            "sendInitialEvents=true&watch=1",
            422,
            "resourceVersionMatch",
        ),
        list("sendInitialEvents=true", 422, "sendInitialEvents"),
        row(
            "POST",
            format!("{leases}/namespaces/nope/leases"),
            JSON,
            &lease,
            404,
            "",
        ),
        row("POST", format!("{leases}/leases"), JSON, &lease, 400, ""),
        row(
            "POST",
            format!("{leases}/namespaces/default/leases"),
            JSON,
            with(lease.clone(), "/metadata/namespace", json!("kube-system")),
            400,
            "",
        ),
        row(
            "POST",
            format!("{leases}/namespaces/default/leases"),
            JSON,
            with(lease.clone(), "/spec/renewTime", json!("yesterday")),
            400,
            "",
        ),
        row(
            "POST",
            format!("{leases}/namespaces/default/leases"),
            JSON,
            with(lease, "/spec/leaseDurationSeconds", json!(-1)),
            422,
            "spec.leaseDurationSeconds",
        ),
    ]
}

async fn try_all(admin: &Client, rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        let headers: &[(&str, &str)] = match row.media {
            "" => &[],
            media => &[("content-type", media)],
        };
        let reply = admin
            .call(row.method, &row.target, headers, row.body.clone())
            .await;
        let shown: String = row.body.chars().take(120).collect();
        let what = format!(
            "{} {} {shown}",
            row.method,
            row.target.get(..120).unwrap_or(&row.target)
        );
        let text: String = reply.text.chars().take(400).collect();
        if reply.code != row.code {
            wrong.push(format!(
                "{what}\n    is {} and not {}: {text}",
                reply.code, row.code
            ));
            continue;
        }
        let is_named =
            row.field.is_empty() || reply.fields().iter().any(|field| field == row.field);
        if !is_named {
            wrong.push(format!("{what}\n    does not name {}: {text}", row.field));
        }
        if row.code != 404 && reply.code < 500 && reply.code >= 400 {
            let status = reply.json();
            if status["code"] != row.code || status["status"] != "Failure" {
                wrong.push(format!("{what}\n    is no Status: {text}"));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn hostile_requests_are_refused_and_change_nothing() {
    let (server, admin) = filled(Limits::default()).await;
    let before = everything(&admin).await;
    let mut rows = bodies();
    rows.extend(changes());
    rows.extend(paths());
    rows.retain(|row| row.code >= 400);
    assert!(rows.len() >= 100, "{}", rows.len());
    let wrong = try_all(&admin, &rows).await;
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    assert_eq!(everything(&admin).await, before);
    server.stop().await;
}

#[tokio::test]
async fn nobody_gets_at_what_is_refused_by_asking_in_another_form() {
    let (server, admin) = filled(Limits::default()).await;
    for accept in [
        "text/html",
        "application/vnd.kubernetes.protobuf",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
    ] {
        admin.get_as(VOLUMES, accept).await.expect(406);
    }
    let target = format!("{VOLUMES}?includeObject=Bogus");
    admin
        .get_as(&target, crate::client::TABLE)
        .await
        .expect(400);
    let yaml = format!("{VOLUMES}?watch=1");
    admin.get_as(&yaml, "application/yaml").await.expect(406);
    server.stop().await;
}

/// Bodies made from a valid one by a seeded generator: bytes changed, cut, doubled, and values put in
/// others' places. Whatever comes of it, the server answers, and what it stores is valid.
#[tokio::test]
async fn fuzzed_bodies_are_answered_and_change_nothing() {
    let (server, admin) = filled(Limits::default()).await;
    let before = everything(&admin).await;
    let mut random = fastrand::Rng::with_seed(5);
    let valid = volume("x", "fast").to_string().into_bytes();
    let pieces = [
        "{", "}", "[", "]", "\"", "null", "1e999", "-", ":", ",", "\\u0000", "\u{ff}", "\n", "true",
    ];
    let mut answered = std::collections::BTreeMap::<u16, u32>::new();
    for n in 0..600 {
        let mut body = valid.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..body.len());
            match random.u8(..4) {
                0 => body[at] = random.u8(..),
                1 => body.truncate(at.max(1)),
                2 => {
                    let piece = random.choice(pieces).unwrap();
                    body.splice(at..at, piece.bytes());
                }
                _ => {
                    let end = random.usize(at..body.len());
                    let part = body[at..end].to_vec();
                    body.splice(at..at, part);
                }
            }
        }
        let media = *random.choice(&[JSON, JSON, "application/yaml"]).unwrap();
        let headers = [("content-type", media)];
        let (method, target) = match n % 3 {
            0 => ("POST", format!("{VOLUMES}?dryRun=All")),
            1 => ("PUT", format!("{VOLUMES}/v?dryRun=All")),
            _ => ("DELETE", format!("{VOLUMES}/v?dryRun=All")),
        };
        let reply = admin.call(method, &target, &headers, body.clone()).await;
        let body = String::from_utf8_lossy(&body);
        assert!(reply.code < 500, "{method} {body}: {}", reply.text);
        *answered.entry(reply.code).or_default() += 1;
    }
    assert!(answered.len() > 2, "{answered:?}");
    assert_eq!(everything(&admin).await, before);
    server.stop().await;
}

/// What is no HTTP, or no TLS.
#[tokio::test]
async fn bytes_that_are_no_request_end_the_connection() {
    let (server, admin) = filled(Limits::default()).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    let wide = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(100_000));
    let rows = [
        "\r\n\r\n\u{0}\u{0}",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        &long,
        &many,
        &wide,
    ];
    for row in rows {
        let mut stream = admin.connect().await;
        // The server may hang up before all of it was sent.
        let _ = stream.write_all(row.as_bytes()).await;
        let mut answer = Vec::new();
        if row.len() > 64 * 1024 {
            // More than is ever read: hyper answers, and then waits for the other side to hang up.
            let _ = stream.shutdown().await;
        }
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        assert!(read.is_ok(), "{}", &row[..row.len().min(60)]);
        let answer = String::from_utf8_lossy(&answer);
        let is_refusal = answer.is_empty()
            || answer.starts_with("HTTP/1.1 4")
            || answer.starts_with("HTTP/1.0 4");
        assert!(is_refusal, "{}: {answer}", &row[..row.len().min(60)]);
    }
    let mut plain = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    admin.get("/readyz").await;
    server.stop().await;
}

#[tokio::test]
async fn a_smuggled_second_request_is_not_carried_out() {
    let (server, admin) = filled(Limits::default()).await;
    let mut stream = admin.connect().await;
    let inner = format!("DELETE {VOLUMES}/v HTTP/1.1\r\nhost: x\r\n\r\n");
    let outer = format!(
        "POST {VOLUMES} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        inner.len() + 5
    );
    let _ = stream.write_all(outer.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    admin.get(&format!("{VOLUMES}/v")).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn who_sends_slowly_is_hung_up_on() {
    let limits = Limits {
        handshake: Duration::from_millis(300),
        head: Duration::from_millis(300),
        body_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let (server, admin) = filled(limits).await;
    let begun = Instant::now();
    let mut silent = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let mut head = admin.connect().await;
    head.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let mut body = admin.connect().await;
    let request = format!("POST {VOLUMES} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{");
    body.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = silent.read_to_end(&mut read).await;
    let _ = head.read_to_end(&mut read).await;
    let mut answer = vec![0; 12];
    body.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 400");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_certificate_has_few_connections() {
    let limits = Limits {
        strangers: 2,
        ..Limits::default()
    };
    let (server, admin) = filled(limits).await;
    let authority = std::fs::read(server.directory.path().join("pki/ca.crt")).unwrap();
    let stranger = Client::anonymous(server.address, &authority);
    let _held = [stranger.connect().await, stranger.connect().await];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = stranger.connect().await;
    let mut read = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), third.read_to_end(&mut read))
        .await
        .unwrap();
    assert!(read.is_empty());
    admin.get(VOLUMES).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn more_requests_than_are_served_are_told_to_come_again() {
    let limits = Limits {
        requests: 1,
        body_time: Duration::from_secs(2),
        ..Limits::default()
    };
    let (server, admin) = filled(limits).await;
    let mut slow = admin.connect().await;
    let request = format!("POST {VOLUMES} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{");
    slow.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let refused = admin.get(VOLUMES).await;
    assert_eq!(
        (refused.code, refused.headers["retry-after"].as_bytes()),
        (429, &b"1"[..])
    );
    drop(slow);
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.get(VOLUMES).await.expect(200);
    server.stop().await;
}

/// Who reads nothing of a long watch holds no more than the server gives: it is ended.
#[tokio::test]
async fn who_does_not_read_a_watch_is_let_go() {
    let limits = Limits {
        stall: Duration::from_millis(500),
        watches: 1,
        ..Limits::default()
    };
    let (server, admin) = filled(limits).await;
    let target = format!("{VOLUMES}?watch=1");
    let mut stream = admin.connect().await;
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(admin.get(&target).await.code, 429);
    let begun = Instant::now();
    let mut n = 0;
    // Until what the kernel keeps for the one that does not read is full.
    loop {
        n += 1;
        let note =
            json!({"metadata": {"annotations": {"note": format!("{n}{}", "x".repeat(200_000))}}});
        admin
            .patch(&format!("{VOLUMES}/v"), MERGE, &note)
            .await
            .expect(200);
        if admin.get(&format!("{target}&timeoutSeconds=1")).await.code == 200 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it is still there"
        );
    }
    drop(stream);
    server.stop().await;
}
