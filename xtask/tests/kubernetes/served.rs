//! The kinds that the standalone API serves are loaded into it, over the definitions that are shipped.

use std::collections::BTreeSet;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::Value;
use weir_controller::control;
use weir_controller::standalone::server::{Limits, Server, Settings};
use weir_controller::standalone::store::StoreLimits;

use crate::manifests::{Manifest, all, read};

/// In an order in which what is referred to is there: nothing is.
const SAMPLES: [&str; 6] = [
    "samples/pool.yaml",
    "samples/volume.yaml",
    "samples/snapshot.yaml",
    "samples/tombstone.yaml",
    "samples/volumemigration.yaml",
    "samples/volumeset.yaml",
];

/// Not seen red yet: `minimum: 1048576` of a volume's capacity made larger than the sample's in deploy/crds; a namespace called `Weir`.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_standalone_api_serves_is_taken_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let definitions: Vec<_> = all()
        .into_iter()
        .filter(|one| one.kind() == "CustomResourceDefinition")
        .map(|one| one.object)
        .collect();
    assert_eq!(definitions.len(), 6);
    let settings = Settings {
        directory: directory.path().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        names: BTreeSet::new(),
        definitions,
        limits: Limits::default(),
        store_limits: StoreLimits::default(),
    };
    let server = Server::start(settings).await.unwrap();
    let stop = server.stop();
    let (kubeconfig, _) = server.kubeconfig();
    let client = control::client(kubeconfig).await.unwrap();
    let serving = tokio::spawn(server.run());
    let mut loaded = BTreeSet::new();
    let objects = all()
        .into_iter()
        .chain(SAMPLES.iter().flat_map(|file| read(file)));
    for one in objects {
        let is_served =
            one.kind() == "Namespace" || one.text("/apiVersion").starts_with("weir.dev/");
        if is_served {
            load(&client, &one).await;
            loaded.insert(one.kind().to_owned());
        }
    }
    assert_eq!(loaded.len(), 7, "{loaded:?}");
    stop.stop();
    serving.await.unwrap();
}

async fn load(client: &Client, one: &Manifest) {
    let (group, version) = one
        .text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", "v1"));
    let kind = GroupVersionKind::gvk(group, version, one.kind());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let object: DynamicObject = one.typed();
    // As kubectl does: a few namespaces are there already.
    let made = match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let (how, patch) = (PatchParams::default(), Patch::Merge(&object));
            api.patch(one.name(), &how, &patch).await
        }
        made => made,
    };
    let made = made.unwrap_or_else(|error| panic!("{} {}: {error}", one.file, one.name()));
    // What the server does not know it drops: all that was sent has to be there still, besides what it adds.
    let kept = serde_json::to_value(&made).unwrap();
    assert!(
        holds(&kept, &one.object),
        "{} {}: {kept}",
        one.file,
        one.name()
    );
}

fn holds(all: &Value, some: &Value) -> bool {
    match (all, some) {
        (Value::Object(all), Value::Object(some)) => some
            .iter()
            .all(|(key, value)| all.get(key).is_some_and(|kept| holds(kept, value))),
        (Value::Array(all), Value::Array(some)) => {
            all.len() == some.len() && all.iter().zip(some).all(|(all, some)| holds(all, some))
        }
        (all, some) => all == some,
    }
}
