//! What is refused, and with which words a program can decide.

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use serde_json::json;
use weir_api::crd::Volume;

use crate::made::{unique, volume};
use crate::place::Place;

fn status<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> Box<Status> {
    match answer.unwrap_err() {
        kube::Error::Api(status) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_refusal_has_its_code_and_reason() {
    let place = Place::open();
    let api = Api::<Volume>::all(place.client().await);
    let name = unique("vol");
    let post = PostParams::default();
    let missing = status(api.get(&name).await);
    assert_eq!((missing.code, missing.reason.as_str()), (404, "NotFound"));
    assert_eq!(
        missing.message,
        format!("volumes.weir.dev \"{name}\" not found")
    );

    let old = api.create(&post, &volume(&name, "p")).await.unwrap();
    let twice = status(api.create(&post, &volume(&name, "p")).await);
    assert_eq!((twice.code, twice.reason.as_str()), (409, "AlreadyExists"));

    let merge = PatchParams::default();
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    api.patch(&name, &merge, &label).await.unwrap();
    let stale = status(api.replace(&name, &post, &old).await);
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));

    let mut blind = old.clone();
    blind.metadata.resource_version = None;
    let blind = status(api.replace(&name, &post, &blind).await);
    assert_eq!((blind.code, blind.reason.as_str()), (422, "Invalid"));

    let shrink = Patch::Merge(json!({"spec": {"capacityBytes": 1}}));
    let shrink = status(api.patch(&name, &merge, &shrink).await);
    assert_eq!((shrink.code, shrink.reason.as_str()), (422, "Invalid"));
    let causes = shrink.details.unwrap().causes;
    assert!(
        causes.iter().any(|cause| cause.field.starts_with("spec")),
        "{causes:?}"
    );

    let strategic = Patch::Strategic(json!({"metadata": {"labels": {"a": "c"}}}));
    let strategic = status(api.patch(&name, &merge, &strategic).await);
    assert_eq!(
        (strategic.code, strategic.reason.as_str()),
        (415, "UnsupportedMediaType")
    );

    let unknown = Patch::Merge(json!({"spec": {"bogus": 1}}));
    let strict = merge.clone().validation_strict();
    assert_eq!(status(api.patch(&name, &strict, &unknown).await).code, 422);
    let dropped = api.patch(&name, &merge, &unknown).await.unwrap();
    assert!(
        serde_json::to_value(dropped).unwrap()["spec"]
            .get("bogus")
            .is_none()
    );
    api.delete(&name, &DeleteParams::default()).await.unwrap();
}
