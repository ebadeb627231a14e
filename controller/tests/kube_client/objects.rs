//! One object: created, read, replaced, patched, deleted.

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};
use weir_api::crd::{StoragePool, Volume};

use crate::made::{pool, unique, volume};
use crate::place::Place;

const PARAMS: fn() -> PatchParams = || PatchParams::default();

/// An API, and a volume that was just made in it.
async fn with_a_volume() -> (Place, Api<Volume>, Volume) {
    let place = Place::open();
    let api = Api::all(place.client().await);
    let object = volume(&unique("vol"), "p");
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    (place, api, made)
}

/// The object as JSON.
fn json_of<T: serde::Serialize>(object: &T) -> Value {
    serde_json::to_value(object).unwrap()
}

#[tokio::test]
async fn an_object_has_what_the_server_sets_and_defaults() {
    let place = Place::open();
    let api = Api::<StoragePool>::all(place.client().await);
    let name = unique("pool");
    let made = api
        .create(&PostParams::default(), &pool(&name, "node-1"))
        .await
        .unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    assert_eq!(made.metadata.generation, Some(1));
    let read = api.get(&name).await.unwrap();
    assert_eq!(json_of(&read), json_of(&made));
    let spec = &json_of(&read)["spec"];
    assert_eq!(spec["unschedulable"], false, "{spec}");
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn generation_counts_changes_of_the_spec_alone() {
    let (_place, api, mut object) = with_a_volume().await;
    let name = object.metadata.name.clone().unwrap();
    object.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    let labelled = api
        .replace(&name, &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(labelled.metadata.generation, Some(1));
    assert_ne!(
        labelled.metadata.resource_version,
        object.metadata.resource_version
    );

    let grow = json!({"spec": {"capacityBytes": 2_u64 << 30}});
    let grown = api
        .patch(&name, &PARAMS(), &Patch::Merge(&grow))
        .await
        .unwrap();
    assert_eq!(grown.metadata.generation, Some(2));

    let ready = json!({"status": {"phase": "Ready", "observedGeneration": 2}});
    let status = api
        .patch_status(&name, &PARAMS(), &Patch::Merge(&ready))
        .await
        .unwrap();
    assert_eq!(status.metadata.generation, Some(2));
    assert_eq!(json_of(&status)["status"]["phase"], "Ready");

    let same = api
        .patch(&name, &PARAMS(), &Patch::Merge(&grow))
        .await
        .unwrap();
    assert_eq!(
        same.metadata.resource_version,
        status.metadata.resource_version
    );
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn status_and_the_rest_are_written_apart() {
    let (_place, api, made) = with_a_volume().await;
    let name = made.metadata.name.unwrap();

    let both = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"capacityBytes": 2_u64 << 30},
        "status": {"phase": "Ready"}});
    let main = api
        .patch(&name, &PARAMS(), &Patch::Merge(&both))
        .await
        .unwrap();
    let main = json_of(&main);
    assert_ne!(main["status"]["phase"], "Ready", "{main}");
    assert_eq!(main["spec"]["capacityBytes"], 2_u64 << 30);

    let both = json!({"metadata": {"labels": {"a": "c"}}, "spec": {"capacityBytes": 3_u64 << 30},
        "status": {"phase": "Ready"}});
    let status = api
        .patch_status(&name, &PARAMS(), &Patch::Merge(&both))
        .await
        .unwrap();
    let status = json_of(&status);
    assert_eq!(status["status"]["phase"], "Ready");
    assert_eq!(status["spec"]["capacityBytes"], 2_u64 << 30);
    assert_eq!(status["metadata"]["labels"]["a"], "b");

    let mut object = api.get_status(&name).await.unwrap();
    let mut value = json_of(&object);
    value["status"]["phase"] = "Failed".into();
    object = serde_json::from_value(value).unwrap();
    let replaced = api
        .replace_status(&name, &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(json_of(&replaced)["status"]["phase"], "Failed");
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_json_patch_is_all_or_nothing() {
    let (_place, api, made) = with_a_volume().await;
    let name = made.metadata.name.clone().unwrap();
    let patch = |operations: Value| {
        let operations = serde_json::from_value(operations).unwrap();
        Patch::Json::<()>(operations)
    };
    let refused = patch(json!([
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "test", "path": "/spec/poolName", "value": "other"},
    ]));
    let error = api.patch(&name, &PARAMS(), &refused).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 422),
        "{error:?}"
    );
    let read = api.get(&name).await.unwrap();
    assert_eq!(json_of(&read), json_of(&made));

    // What the runtime's `finalizer` asks: nothing there, and then something.
    let finalizer = patch(json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["weir.dev/test"]},
    ]));
    let held = api.patch(&name, &PARAMS(), &finalizer).await.unwrap();
    assert_eq!(
        held.metadata.finalizers,
        Some(vec!["weir.dev/test".to_owned()])
    );
    let error = api.patch(&name, &PARAMS(), &finalizer).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 422),
        "{error:?}"
    );

    let marked = api.delete(&name, &DeleteParams::default()).await.unwrap();
    let marked = marked.left().unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    let let_go = patch(json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "weir.dev/test"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]));
    api.patch(&name, &PARAMS(), &let_go).await.unwrap();
    assert!(api.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn a_deletion_may_be_on_condition() {
    let (_place, api, made) = with_a_volume().await;
    let name = made.metadata.name.clone().unwrap();
    let when = |uid: Option<String>, resource_version: Option<String>| {
        DeleteParams::default().preconditions(Preconditions {
            resource_version,
            uid,
        })
    };
    let other = when(
        Some("00000000-0000-4000-8000-000000000000".to_owned()),
        None,
    );
    let error = api.delete(&name, &other).await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 409),
        "{error:?}"
    );
    let error = api
        .delete(&name, &when(None, Some("1".to_owned())))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 409),
        "{error:?}"
    );
    let metadata = made.metadata;
    let params = when(metadata.uid, metadata.resource_version);
    assert!(api.delete(&name, &params).await.unwrap().is_right());
}

#[tokio::test]
async fn a_dry_run_leaves_nothing() {
    let place = Place::open();
    let api = Api::<Volume>::all(place.client().await);
    let name = unique("vol");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let made = api.create(&dry, &volume(&name, "p")).await.unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.resource_version.is_none());
    assert!(api.get_opt(&name).await.unwrap().is_none());
    api.create(&PostParams::default(), &volume(&name, "p"))
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"spec": {"capacityBytes": 2_u64 << 30}}));
    let dry = PARAMS().dry_run();
    let patched = api.patch(&name, &dry, &patch).await.unwrap();
    assert_eq!(json_of(&patched)["spec"]["capacityBytes"], 2_u64 << 30);
    let read = api.get(&name).await.unwrap();
    assert_eq!(json_of(&read)["spec"]["capacityBytes"], 1_u64 << 30);
    api.delete(&name, &DeleteParams::default().dry_run())
        .await
        .unwrap();
    assert!(api.get_opt(&name).await.unwrap().is_some());
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}
