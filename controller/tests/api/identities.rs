//! Who may do what, as the server answers it.

use serde_json::{Value, json};

use crate::client::{Client, MERGE, roots};
use crate::server::{POOLS, Running, VOLUMES, kubeconfig, pool, volume};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

async fn filled() -> Running {
    let server = Running::start().await;
    let admin = server.admin();
    for (name, node) in [("p1", "n1"), ("p2", "n2")] {
        admin.post(POOLS, &pool(name, node)).await.expect(201);
        admin
            .post(VOLUMES, &volume(&format!("in-{name}"), name))
            .await
            .expect(201);
    }
    admin
        .post(VOLUMES, &volume("nowhere", "p9"))
        .await
        .expect(201);
    server
}

fn authority(server: &Running) -> Vec<u8> {
    std::fs::read(server.directory.path().join("pki/ca.crt")).unwrap()
}

fn status() -> Value {
    json!({"status": {"conditions": []}})
}

fn event(instance: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "action": "Look",
        "eventTime": "2026-11-22T09:00:00.000000Z",
        "metadata": {"generateName": "e-"},
        "reason": "Seen",
        "regarding": {"kind": "Volume", "name": "v"},
        "reportingController": "weir-agent",
        "reportingInstance": instance,
        "type": "Normal",
    })
}

#[tokio::test]
async fn an_agent_writes_what_is_its_nodes() {
    let server = filled().await;
    let agent = server.client("agent:n1");
    agent.get(VOLUMES).await.expect(200);
    agent.get(&format!("{POOLS}/p2")).await.expect(200);
    agent.get("/api/v1/nodes").await.expect(200);
    agent.post(POOLS, &pool("new", "n1")).await.expect(201);
    let patched = agent
        .patch(&format!("{POOLS}/p1/status"), MERGE, &status())
        .await;
    patched.expect(200);
    let patched = agent
        .patch(&format!("{VOLUMES}/in-p1/status"), MERGE, &status())
        .await;
    patched.expect(200);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n1"},
        "spec": {"holderIdentity": "n1", "leaseDurationSeconds": 40},
    });
    let leases = "/apis/coordination.k8s.io/v1/namespaces/weir-agents/leases";
    let made = agent.post(leases, &lease).await.expect(201);
    agent.put(&format!("{leases}/n1"), &made).await.expect(200);
    let made = agent.post(EVENTS, &event("n1")).await.expect(201);
    let name = made["metadata"]["name"].as_str().unwrap();
    let again = json!({"series": {"count": 2, "lastObservedTime": "2026-11-22T09:00:01.000000Z"}});
    agent
        .patch(&format!("{EVENTS}/{name}"), MERGE, &again)
        .await
        .expect(200);
    server.stop().await;
}

#[tokio::test]
async fn an_agent_writes_nothing_else() {
    let server = filled().await;
    let admin = server.admin();
    let agent = server.client("agent:n1");
    let moved = json!({"spec": {"nodeName": "n1"}});
    let foreign = admin.post(EVENTS, &event("n2")).await.expect(201);
    let foreign = format!("{EVENTS}/{}", foreign["metadata"]["name"].as_str().unwrap());
    let before = admin.get(VOLUMES).await.text;
    let leases = "/apis/coordination.k8s.io/v1/namespaces";
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n2"}, "spec": {},
    });
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    let merge = |target: &str, patch: Value| ("PATCH", target.to_owned(), patch);
    let post = |target: &str, object: Value| ("POST", target.to_owned(), object);
    let delete = |target: &str| ("DELETE", target.to_owned(), Value::Null);
    let get = |target: &str| ("GET", target.to_owned(), Value::Null);
    let rows = [
        post(POOLS, pool("new", "n2")),
        post(&format!("{POOLS}?dryRun=All"), pool("new", "n2")),
        post(VOLUMES, volume("v", "p1")),
        merge(
            &format!("{POOLS}/p1"),
            json!({"spec": {"unschedulable": true}}),
        ),
        merge(&format!("{POOLS}/p2"), moved.clone()),
        merge(&format!("{POOLS}/p2/status"), status()),
        merge(&format!("{POOLS}/p2/status?dryRun=All"), status()),
        merge(
            &format!("{VOLUMES}/in-p1"),
            json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        merge(&format!("{VOLUMES}/in-p2/status"), status()),
        merge(&format!("{VOLUMES}/nowhere/status"), status()),
        merge(
            &format!("{VOLUMES}/in-p2/status"),
            json!({"spec": {"poolName": "p1"}, "status": {"conditions": []}}),
        ),
        delete(&format!("{POOLS}/p1")),
        delete(&format!("{VOLUMES}/in-p1")),
        delete(VOLUMES),
        post(&format!("{leases}/weir-agents/leases"), lease.clone()),
        post(&format!("{leases}/default/leases"), lease),
        get(&format!("{leases}/weir-agents/leases/n2")),
        get(&format!("{leases}/kube-node-lease/leases/n1")),
        get(&format!("{leases}/weir-agents/leases")),
        post(EVENTS, event("n2")),
        post(
            "/api/v1/namespaces/default/events",
            json!({
                "kind": "Event", "metadata": {"name": "e"}, "reportingInstance": "n2",
                "involvedObject": {"kind": "Volume", "name": "v"}, "reason": "R", "type": "Normal",
            }),
        ),
        merge(&foreign, json!({"note": "mine"})),
        merge(&foreign, json!({"reportingInstance": "n1"})),
        delete(&foreign),
        post("/api/v1/nodes", node),
        post("/api/v1/namespaces", json!({"metadata": {"name": "x"}})),
        get("/api/v1/namespaces"),
        get("/api/v1/events"),
        get("/apis/weir.dev/v1alpha1/snapshots"),
        get("/metrics"),
    ];
    for (method, target, body) in rows {
        let media = if method == "PATCH" {
            MERGE
        } else {
            "application/json"
        };
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = agent
            .call(method, &target, &[("content-type", media)], body)
            .await;
        let status = reply.expect(403);
        assert_eq!(status["reason"], "Forbidden", "{method} {target}");
        assert!(reply.text.contains("weir:agent:n1"), "{method} {target}");
    }
    assert_eq!(admin.get(VOLUMES).await.text, before);
    server.stop().await;
}

/// Seen red with: `VolumeAtNode` holding for every Volume; `admits` always true.
#[tokio::test]
async fn csi_asks_for_volumes_and_its_nodes_say_what_they_made_of_them() {
    let server = filled().await;
    let csi = server.client("csi-controller");
    csi.get("/apis").await.expect(200);
    csi.get(POOLS).await.expect(200);
    csi.post(VOLUMES, &volume("v", "p1")).await.expect(201);
    let granted = json!({"spec": {"attachments": [{"nodeName": "n1", "generation": 1}]}});
    for name in ["v", "in-p1"] {
        let target = format!("{VOLUMES}/{name}");
        csi.patch(&target, MERGE, &granted).await.expect(200);
    }
    for target in [format!("{VOLUMES}/v/status"), format!("{POOLS}/p1")] {
        csi.patch(&target, MERGE, &status()).await.expect(403);
    }
    csi.delete(&format!("{POOLS}/p1")).await.expect(403);

    let noted =
        |text: &str| json!({"metadata": {"annotations": {"csi.weir.dev/filesystem": text}}});
    let other = json!({"metadata": {"annotations": {"csi.weir.dev/generation": "1"}}});
    let taken = json!({"spec": {"attachments": [{"nodeName": "n2", "generation": 2}]}});
    let v = format!("{VOLUMES}/v");
    let (its, others) = (server.client("csi-node:n1"), server.client("csi-node:n2"));
    its.get(VOLUMES).await.expect(403);
    its.get(&v).await.expect(200);
    its.patch(&v, MERGE, &noted("formatting")).await.expect(200);
    its.patch(&v, MERGE, &noted("formatted")).await.expect(200);
    for (client, patch) in [
        (&its, &other),
        (&its, &taken),
        (&its, &json!({"spec": {"attachments": []}})),
        (&its, &json!({"spec": {"poolName": null}})),
        (&others, &noted("formatting")),
        (&others, &taken),
    ] {
        client.patch(&v, MERGE, patch).await.expect(403);
        let dry = format!("{v}?dryRun=All");
        client.patch(&dry, MERGE, patch).await.expect(403);
    }
    let at_none = format!("{VOLUMES}/in-p2");
    its.patch(&at_none, MERGE, &noted("formatting"))
        .await
        .expect(403);
    its.patch(&format!("{v}/status"), MERGE, &status())
        .await
        .expect(403);
    its.post(VOLUMES, &volume("w", "p1")).await.expect(403);
    its.delete(&v).await.expect(403);
    csi.delete(&v).await.expect(200);
    let controller = server.client("controller");
    controller
        .post(VOLUMES, &volume("v", "p1"))
        .await
        .expect(201);
    controller.delete(&format!("{VOLUMES}/v")).await.expect(200);
    controller
        .delete("/api/v1/namespaces/default")
        .await
        .expect(403);
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_certificate_is_told_little() {
    let server = filled().await;
    let client = Client::anonymous(server.address, &authority(&server));
    for path in ["/version", "/healthz", "/readyz", "/livez"] {
        assert_eq!(client.get(path).await.code, 200, "{path}");
    }
    for path in [
        "/",
        "/api",
        "/apis",
        "/openapi/v2",
        "/openapi/v3",
        VOLUMES,
        "/metrics",
        "/nope",
    ] {
        let status = client.get(path).await.expect(403);
        let message = status["message"].as_str().unwrap();
        assert!(
            message.contains("User \"system:anonymous\" cannot"),
            "{message}"
        );
    }
    let status = client.post(VOLUMES, &volume("v", "p1")).await.expect(403);
    assert_eq!(
        status["message"],
        "volumes.weir.dev is forbidden: User \"system:anonymous\" cannot create resource \"volumes\" in API group \
         \"weir.dev\" at the cluster scope"
    );
    client.post("/version", &json!({})).await.expect(403);
    let bearer = [("authorization", "Bearer x")];
    let status = client.call("GET", VOLUMES, &bearer, "").await.expect(401);
    assert_eq!(
        (&status["reason"], &status["message"]),
        (&json!("Unauthorized"), &json!("Unauthorized"))
    );
    let basic = [("authorization", "Basic eDp4")];
    client.call("GET", VOLUMES, &basic, "").await.expect(403);
    server.stop().await;
}

#[tokio::test]
async fn certificates_that_are_not_ours_are_not_believed() {
    let server = filled().await;
    let other = Running::start().await;
    let theirs = kubeconfig(other.directory.path(), "admin", jiff::Timestamp::now());
    let long_ago = jiff::Timestamp::now() - std::time::Duration::from_secs(5 * 24 * 60 * 60);
    let ended = kubeconfig(server.directory.path(), "admin", long_ago);
    let own = std::fs::read(server.directory.path().join("pki/server.crt")).unwrap();
    let own_key = std::fs::read(server.directory.path().join("pki/server.key")).unwrap();
    let trust = || roots(&authority(&server));
    let with = |kubeconfig: &str| {
        let config: Value = serde_yaml_ng::from_str(kubeconfig).unwrap();
        let data = |key: &str| {
            use base64::Engine;
            let text = config["users"][0]["user"][key].as_str().unwrap();
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap()
        };
        let (certificate, key) = (data("client-certificate-data"), data("client-key-data"));
        Client::with_certificate(server.address, trust(), &certificate, &key)
    };
    let clients = [
        with(&theirs),
        with(&ended),
        Client::with_certificate(server.address, trust(), &own, &own_key),
    ];
    for client in clients {
        client.get(VOLUMES).await.expect(401);
        client.get("/version").await.expect(401);
        client.post(VOLUMES, &volume("v", "p1")).await.expect(401);
    }
    other.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_taken_for_somebody_else() {
    let server = filled().await;
    let agent = server.client("agent:n1");
    let rows: [&[(&str, &str)]; 5] = [
        &[("impersonate-user", "weir:admin")],
        &[("impersonate-group", "weir:admins")],
        &[("Impersonate-Uid", "1")],
        &[
            ("x-remote-user", "weir:admin"),
            ("x-remote-group", "system:masters"),
        ],
        &[("authorization", "Bearer admin")],
    ];
    for headers in rows {
        let reply = agent
            .call("DELETE", &format!("{VOLUMES}/in-p1"), headers, "")
            .await;
        reply.expect(403);
    }
    server
        .admin()
        .get(&format!("{VOLUMES}/in-p1"))
        .await
        .expect(200);
    server.stop().await;
}

#[tokio::test]
async fn everybody_may_ask_what_it_may_do() {
    let server = filled().await;
    let agent = server.client("agent:n1");
    let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let ask = |verb: &str, sub: &str| {
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": verb, "group": "weir.dev", "resource": "volumes", "subresource": sub,
            }},
        })
    };
    let answer = agent.post(review, &ask("list", "")).await.expect(201);
    assert_eq!(answer["status"], json!({"allowed": true}));
    let answer = agent.post(review, &ask("delete", "")).await.expect(201);
    assert_eq!(answer["status"], json!({"allowed": false}));
    let answer = agent
        .post(review, &ask("patch", "status"))
        .await
        .expect(201);
    assert_eq!(answer["status"]["allowed"], true);
    let rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let answer = agent.post(rules, &json!({})).await.expect(201);
    assert_eq!(answer["status"]["incomplete"], false);
    let who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = agent.post(who, &json!({})).await.expect(201);
    assert_eq!(answer["status"]["userInfo"]["username"], "weir:agent:n1");
    agent.get(who).await.expect(403);
    server.admin().get(who).await.expect(405);
    server.stop().await;
}
