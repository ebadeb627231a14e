//! One object's life.

use serde_json::{Value, json};

use crate::client::{Client, JSON_PATCH, MERGE, version};
use crate::server::{POOLS, Running, VOLUMES, pool, volume};

fn at(path: &str, name: &str) -> String {
    format!("{path}/{name}")
}

async fn finalized(admin: &Client) -> String {
    let mut object = volume("fin", "p");
    object["metadata"]["finalizers"] = json!(["weir.dev/x"]);
    admin.post(VOLUMES, &object).await.expect(201);
    at(VOLUMES, "fin")
}

#[tokio::test]
async fn an_object_is_made_changed_and_deleted() {
    let server = Running::start().await;
    let admin = server.admin();
    let made = admin.post(POOLS, &pool("fast", "n1")).await.expect(201);
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["spec"]["unschedulable"], false);
    assert!(made["metadata"]["uid"].is_string());
    let target = at(POOLS, "fast");
    assert_eq!(admin.get(&target).await.expect(200), made);

    let mut other = made.clone();
    other["spec"]["unschedulable"] = json!(true);
    let put = admin.put(&target, &other).await.expect(200);
    assert_eq!(put["metadata"]["generation"], 2);
    let stale = admin.put(&target, &other).await.expect(409);
    assert_eq!(stale["reason"], "Conflict");
    other["metadata"]["resourceVersion"] = json!(null);
    admin.put(&target, &other).await.expect(422);

    let same = admin.put(&target, &put).await.expect(200);
    assert_eq!(version(&same), version(&put));

    let again = admin.post(POOLS, &pool("fast", "n1")).await.expect(409);
    assert_eq!(again["reason"], "AlreadyExists");
    let gone = admin.delete(&target).await.expect(200);
    assert_eq!(gone["status"], "Success");
    assert_eq!(gone["details"]["kind"], "storagepools");
    admin.get(&target).await.expect(404);
    admin.delete(&target).await.expect(404);
    server.stop().await;
}

#[tokio::test]
async fn patches_are_applied_to_what_there_is() {
    let server = Running::start().await;
    let admin = server.admin();
    admin.post(POOLS, &pool("fast", "n1")).await.expect(201);
    let target = at(POOLS, "fast");
    let merged = admin
        .patch(&target, MERGE, &json!({"spec": {"reservedBytes": 7}}))
        .await
        .expect(200);
    assert_eq!(merged["spec"]["reservedBytes"], 7);
    let replace = json!([{"op": "replace", "path": "/spec/reservedBytes", "value": 8}]);
    let patched = admin.patch(&target, JSON_PATCH, &replace).await.expect(200);
    assert_eq!(patched["spec"]["reservedBytes"], 8);
    // As kube-rs' finalizer() does when there are none.
    let begin = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["weir.dev/x"]},
    ]);
    let patched = admin.patch(&target, JSON_PATCH, &begin).await.expect(200);
    assert_eq!(patched["metadata"]["finalizers"], json!(["weir.dev/x"]));
    admin.patch(&target, JSON_PATCH, &begin).await.expect(422);
    let none = admin.patch(&target, MERGE, &json!({})).await.expect(200);
    assert_eq!(version(&none), version(&patched));
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"reservedBytes": 9}});
    admin.patch(&target, MERGE, &stale).await.expect(409);
    server.stop().await;
}

#[tokio::test]
async fn patches_at_once_all_come_through() {
    let server = Running::start().await;
    let admin = server.admin();
    admin.post(POOLS, &pool("fast", "n1")).await.expect(201);
    let target = at(POOLS, "fast");
    let mut running = tokio::task::JoinSet::new();
    for n in 0..24 {
        let (admin, target) = (admin.clone(), target.clone());
        running.spawn(async move {
            let patch = json!({"metadata": {"labels": {format!("l{n}"): "x"}}});
            admin.patch(&target, MERGE, &patch).await.expect(200);
        });
    }
    while let Some(joined) = running.join_next().await {
        joined.unwrap();
    }
    let found = admin.get(&target).await.expect(200);
    assert_eq!(found["metadata"]["labels"].as_object().unwrap().len(), 24);
    server.stop().await;
}

#[tokio::test]
async fn server_side_apply_is_refused_as_a_type_that_is_not_known() {
    let server = Running::start().await;
    let admin = server.admin();
    admin.post(POOLS, &pool("fast", "n1")).await.expect(201);
    let apply = "application/apply-patch+yaml";
    let target = format!("{}?fieldManager=x&force=true", at(POOLS, "fast"));
    let refused = admin
        .patch(&target, apply, &pool("fast", "n1"))
        .await
        .expect(415);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("application/merge-patch+json"),
        "{message}"
    );
    let strategic = "application/strategic-merge-patch+json";
    admin
        .patch(&at(POOLS, "fast"), strategic, &json!({}))
        .await
        .expect(415);
    server.stop().await;
}

#[tokio::test]
async fn the_status_is_written_by_itself() {
    let server = Running::start().await;
    let admin = server.admin();
    let mut object = volume("v", "p");
    object["status"] = json!({"phase": "Ready"});
    let made = admin.post(VOLUMES, &object).await.expect(201);
    assert!(made["status"]["phase"].is_null());
    let status = at(VOLUMES, "v/status");
    let patch = json!({
        "metadata": {"labels": {"a": "b"}},
        "spec": {"capacityBytes": 2_147_483_648_u64},
        "status": {"capacityBytes": 1_073_741_824},
    });
    let patched = admin.patch(&status, MERGE, &patch).await.expect(200);
    assert_eq!(patched["status"]["capacityBytes"], 1_073_741_824);
    assert_eq!(patched["spec"]["capacityBytes"], 1_073_741_824);
    assert!(patched["metadata"]["labels"].is_null());
    assert_eq!(patched["metadata"]["generation"], 1);
    assert_eq!(admin.get(&status).await.expect(200), patched);
    let mut main = patched.clone();
    main["status"]["capacityBytes"] = json!(5);
    main["metadata"]["labels"] = json!({"a": "b"});
    let put = admin.put(&at(VOLUMES, "v"), &main).await.expect(200);
    assert_eq!(put["status"]["capacityBytes"], 1_073_741_824);
    admin.delete(&status).await.expect(405);
    admin.post(&status, &object).await.expect(405);
    admin.get(&at(VOLUMES, "v/scale")).await.expect(404);
    server.stop().await;
}

#[tokio::test]
async fn finalizers_hold_an_object_back() {
    let server = Running::start().await;
    let admin = server.admin();
    let target = finalized(&admin).await;
    let marked = admin.delete(&target).await.expect(200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["generation"], 2);
    let again = admin.delete(&target).await.expect(200);
    assert_eq!(again, marked);
    let more = json!({"metadata": {"finalizers": ["weir.dev/x", "weir.dev/y"]}});
    let refused = admin.patch(&target, MERGE, &more).await;
    assert_eq!(
        (refused.code, refused.fields()),
        (422, vec!["metadata.finalizers".to_owned()])
    );
    let exists = admin.post(VOLUMES, &volume("fin", "p")).await.expect(409);
    let message = exists["message"].as_str().unwrap();
    assert!(message.starts_with("object is being deleted"), "{message}");
    let remove = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    let last = admin.patch(&target, JSON_PATCH, &remove).await.expect(200);
    assert_eq!(version(&last), version(&marked));
    admin.get(&target).await.expect(404);
    server.stop().await;
}

#[tokio::test]
async fn deletions_have_preconditions() {
    let server = Running::start().await;
    let admin = server.admin();
    let made = admin.post(VOLUMES, &volume("v", "p")).await.expect(201);
    let target = at(VOLUMES, "v");
    let delete = |options: Value| {
        let (admin, target) = (admin.clone(), target.clone());
        async move {
            admin
                .call("DELETE", &target, &[], options.to_string())
                .await
        }
    };
    delete(json!({"preconditions": {"uid": "other"}}))
        .await
        .expect(409);
    delete(json!({"preconditions": {"resourceVersion": "1"}}))
        .await
        .expect(409);
    let uid = &made["metadata"]["uid"];
    let version = version(&made);
    delete(json!({"preconditions": {"uid": uid, "resourceVersion": version}}))
        .await
        .expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = Running::start().await;
    let admin = server.admin();
    let dry = |target: &str| format!("{target}?dryRun=All");
    let made = admin
        .post(&dry(VOLUMES), &volume("v", "p"))
        .await
        .expect(201);
    assert!(made["metadata"]["uid"].is_string());
    assert_eq!(version(&made), "");
    admin.get(&at(VOLUMES, "v")).await.expect(404);
    let real = admin.post(VOLUMES, &volume("v", "p")).await.expect(201);
    admin
        .post(&dry(VOLUMES), &volume("v", "p"))
        .await
        .expect(409);
    let target = at(VOLUMES, "v");
    let grow = json!({"spec": {"capacityBytes": 2_147_483_648_u64}});
    let grown = admin.patch(&dry(&target), MERGE, &grow).await.expect(200);
    assert_eq!(grown["metadata"]["generation"], 2);
    assert_eq!(version(&grown), version(&real));
    let gone = admin.delete(&dry(&target)).await.expect(200);
    assert_eq!(gone["status"], "Success");
    let options = json!({"dryRun": ["All"]}).to_string();
    let gone = admin
        .call("DELETE", &target, &[], options)
        .await
        .expect(200);
    assert_eq!(gone["status"], "Success");
    assert_eq!(admin.get(&target).await.expect(200), real);
    server.stop().await;
}

#[tokio::test]
async fn unknown_fields_are_told_or_refused() {
    let server = Running::start().await;
    let admin = server.admin();
    let mut object = volume("v", "p");
    object["spec"]["bogus"] = json!(1);
    let strict = format!("{VOLUMES}?fieldValidation=Strict");
    let refused = admin.post(&strict, &object).await.expect(400);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("unknown field \"spec.bogus\""),
        "{message}"
    );
    let warned = admin.post(VOLUMES, &object).await;
    let warning = warned.headers.get("warning").unwrap();
    assert_eq!(warning, "299 - \"unknown field \\\"spec.bogus\\\"\"");
    assert!(warned.expect(201)["spec"]["bogus"].is_null());
    let ignore = format!("{VOLUMES}?fieldValidation=Ignore");
    object["metadata"]["name"] = json!("w");
    let ignored = admin.post(&ignore, &object).await;
    assert!(ignored.headers.get("warning").is_none());
    ignored.expect(201);
    server.stop().await;
}

#[tokio::test]
async fn names_are_made_when_asked_for() {
    let server = Running::start().await;
    let admin = server.admin();
    let mut object = volume("", "p");
    object["metadata"] = json!({"generateName": "gen-"});
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..5 {
        object["spec"]["id"] = json!(uuid::Uuid::new_v4());
        let made = admin.post(VOLUMES, &object).await.expect(201);
        let name = made["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(name.len() == 9 && name.starts_with("gen-"), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 5);
    server.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let server = Running::start().await;
    let admin = server.admin();
    let made = admin.post(POOLS, &pool("fast", "n1")).await.expect(201);
    let directory = server.stop().await;
    let server = Running::start_in(directory, Default::default(), Default::default()).await;
    let admin = server.admin();
    assert_eq!(admin.get(&at(POOLS, "fast")).await.expect(200), made);
    let next = admin.post(POOLS, &pool("slow", "n1")).await.expect(201);
    let number = |object: &Value| version(object).parse::<u64>().unwrap();
    assert!(number(&next) > number(&made));
    server.stop().await;
}
