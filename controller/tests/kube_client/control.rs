//! A controller with a finalizer that tells what it does in Events: the shape of everything that reconciles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::events::v1::Event as Told;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{self, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::time::timeout;
use weir_api::crd::Volume;

use crate::made::{unique, volume};
use crate::place::Place;

const FINALIZER: &str = "weir.dev/test";

struct Context {
    api: Api<Volume>,
    recorder: Recorder,
    cleaned: Mutex<BTreeMap<String, usize>>,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the API")]
    Api(#[source] kube::Error),
}

type Finalized = finalizer::Error<Failed>;

async fn reconcile(object: Arc<Volume>, context: Arc<Context>) -> Result<Action, Finalized> {
    let step = |event| async {
        match event {
            finalizer::Event::Apply(object) => apply(&object, &context).await,
            finalizer::Event::Cleanup(object) => {
                let mut cleaned = context.cleaned.lock().unwrap();
                *cleaned.entry(object.name_any()).or_default() += 1;
                Ok(Action::await_change())
            }
        }
    };
    finalizer(&context.api, FINALIZER, object, step).await
}

async fn apply(object: &Volume, context: &Context) -> Result<Action, Failed> {
    let event = Event {
        type_: EventType::Normal,
        reason: "Applied".to_owned(),
        note: Some(format!(
            "generation {}",
            object.metadata.generation.unwrap_or(0)
        )),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    let published = context
        .recorder
        .publish(&event, &object.object_ref(&()))
        .await;
    published.map_err(Failed::Api)?;
    let status =
        json!({"status": {"phase": "Ready", "observedGeneration": object.metadata.generation}});
    let (name, params) = (object.name_any(), PatchParams::default());
    let status = Patch::Merge(status);
    let written = context.api.patch_status(&name, &params, &status);
    written.await.map_err(Failed::Api)?;
    Ok(Action::await_change())
}

fn controller(client: Client, config: watcher::Config) -> (Arc<Context>, impl Future<Output = ()>) {
    let api = Api::<Volume>::all(client.clone());
    let reporter = Reporter {
        controller: "weir-test".to_owned(),
        instance: Some("test-0".to_owned()),
    };
    let context = Arc::new(Context {
        api: api.clone(),
        recorder: Recorder::new(client, reporter),
        cleaned: Mutex::default(),
    });
    let again = |_, _: &Finalized, _| Action::requeue(Duration::from_millis(100));
    let running = Controller::new(api, config)
        .run(reconcile, again, Arc::clone(&context))
        .for_each(|_| async {});
    (context, running)
}

async fn an_object_lives_and_ends_under_control(config: watcher::Config) {
    let place = Place::open();
    let client = place.client().await;
    let pool = unique("pool");
    let config = config.fields(&format!("spec.poolName={pool}"));
    let (context, running) = controller(client.clone(), config);
    let running = tokio::spawn(running);
    let api = &context.api;
    let mut names: Vec<String> = (0..5).map(|_| unique("vol")).collect();
    names.sort();
    for name in &names {
        api.create(&PostParams::default(), &volume(name, &pool))
            .await
            .unwrap();
    }
    let seen = |generation: i64| {
        move |object: Option<&Volume>| {
            let status = object.and_then(|object| object.status.as_ref());
            let status = status.map(|status| serde_json::to_value(status).unwrap());
            status.is_some_and(|status| status["observedGeneration"] == generation)
        }
    };
    for name in &names {
        let ready = await_condition(api.clone(), name, seen(1));
        timeout(Duration::from_secs(20), ready)
            .await
            .expect("in time")
            .unwrap();
        let object = api.get(name).await.unwrap();
        assert_eq!(object.finalizers(), [FINALIZER]);
    }
    let grow = Patch::Merge(json!({"spec": {"capacityBytes": 2_u64 << 30}}));
    api.patch(&names[0], &PatchParams::default(), &grow)
        .await
        .unwrap();
    let grown = await_condition(api.clone(), &names[0], seen(2));
    timeout(Duration::from_secs(20), grown)
        .await
        .expect("in time")
        .unwrap();

    for name in &names {
        let uid = api.get(name).await.unwrap().uid().unwrap();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        let gone = await_condition(api.clone(), name, conditions::is_deleted(&uid));
        timeout(Duration::from_secs(20), gone)
            .await
            .expect("in time")
            .unwrap();
    }
    let cleaned = context.cleaned.lock().unwrap().clone();
    assert_eq!(
        cleaned.keys().collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );

    // Each object's events are one, whose series counts.
    let events = Api::<Told>::namespaced(client.clone(), "default");
    let of_first = ListParams::default().fields(&format!("regarding.name={}", names[0]));
    let told = events.list(&of_first).await.unwrap();
    assert_eq!(told.items.len(), 1, "{told:?}");
    let first = &told.items[0];
    assert_eq!(first.reason.as_deref(), Some("Applied"));
    assert!(
        first
            .series
            .as_ref()
            .is_some_and(|series| series.count >= 2),
        "{first:?}"
    );
    let core = Api::<k8s_openapi::api::core::v1::Event>::namespaced(client, "default");
    let same = core.get(&first.name_any()).await.unwrap();
    assert_eq!(same.involved_object.name.as_ref(), Some(&names[0]));
    assert_eq!(same.message, first.note);
    running.abort();
}

#[tokio::test]
async fn that_lists_first() {
    an_object_lives_and_ends_under_control(watcher::Config::default()).await;
}

#[tokio::test]
async fn that_streams_its_list() {
    an_object_lives_and_ends_under_control(watcher::Config::default().streaming_lists()).await;
}
