//! An API in this process, and controllers of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_api::condition::{self, Condition, SCHEDULED};
use weir_api::crd::{StoragePool, Volume};
use weir_controller::control::{self, Settings};
use weir_controller::standalone::authority::Authority;
use weir_controller::standalone::identity::Identity;
use weir_controller::standalone::server::{self, Limits, Server, Stop, url};
use weir_controller::standalone::store::StoreLimits;

/// After so long without what is waited for, a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const GIB: u64 = 1 << 30;

pub(crate) struct Cluster {
    directory: TempDir,
    pub(crate) admin: Client,
    url: String,
    stop: Stop,
    serving: JoinHandle<()>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let definitions = weir_api::crd::all();
        let definitions = definitions
            .iter()
            .map(|one| serde_json::to_value(one).unwrap());
        let settings = server::Settings {
            directory: directory.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            names: BTreeSet::new(),
            definitions: definitions.collect(),
            limits: Limits::default(),
            store_limits: StoreLimits::default(),
        };
        let server = Server::start(settings).await.unwrap();
        let admin = control::client(server.kubeconfig().0).await.unwrap();
        Cluster {
            admin,
            url: url(server.address()),
            stop: server.stop(),
            serving: tokio::spawn(async move {
                server.run().await;
            }),
            directory,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.stop();
        self.serving.await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.directory.path(), name)
    }

    /// A client of an agent's own identity.
    pub(crate) async fn client_of(&self, node: &str) -> Client {
        let now = jiff::Timestamp::now();
        let authority = Authority::open(self.directory.path(), now).unwrap();
        let identity = Identity::Agent(node.parse().unwrap());
        let text = authority.kubeconfig(&identity, &self.url, 1, now).unwrap();
        let path = self.path(&format!("{node}.kubeconfig"));
        std::fs::write(&path, text).unwrap();
        control::client(&path).await.unwrap()
    }

    /// Another controller.
    pub(crate) async fn controller(&self, change: impl FnOnce(&mut Settings)) -> Controller {
        let client = control::client(&self.path("controller.kubeconfig"))
            .await
            .unwrap();
        let mut settings = Settings {
            lease: Duration::from_secs(6),
            renew: Duration::from_secs(1),
            retry: Duration::from_millis(100),
            write: Duration::from_millis(1900),
            tick: Duration::from_millis(100),
            ..Settings::new("test")
        };
        change(&mut settings);
        let identity = settings.identity.clone();
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(control::run(client, settings, stopping));
        Controller {
            identity,
            stop,
            task,
        }
    }

    pub(crate) fn volumes(&self) -> Api<Volume> {
        Api::all(self.admin.clone())
    }

    pub(crate) fn pools(&self) -> Api<StoragePool> {
        Api::all(self.admin.clone())
    }

    /// Creates a volume; `spec` is laid over one GiB.
    pub(crate) async fn create_volume(&self, name: &str, spec: Value) -> Volume {
        let mut whole = json!({"id": uuid::Uuid::new_v4(), "capacityBytes": GIB});
        json_patch::merge(&mut whole, &spec);
        let volume: Volume = serde_json::from_value(json!({
            "apiVersion": "weir.dev/v1alpha1",
            "kind": "Volume",
            "metadata": {"name": name},
            "spec": whole,
        }))
        .unwrap();
        let (api, post) = (self.volumes(), PostParams::default());
        api.create(&post, &volume).await.unwrap()
    }

    /// Creates a pool that no agent speaks for yet.
    pub(crate) async fn create_pool(&self, name: &str, node: &str, spec: Value) {
        let mut whole = json!({
            "nodeName": node,
            "engine": {"kernel": {"volumeGroup": "vg", "devices": ["/dev/vda"]}},
            "portals": [{"address": "10.0.0.1"}],
        });
        json_patch::merge(&mut whole, &spec);
        let pool: StoragePool = serde_json::from_value(json!({
            "apiVersion": "weir.dev/v1alpha1",
            "kind": "StoragePool",
            "metadata": {"name": name},
            "spec": whole,
        }))
        .unwrap();
        let (api, post) = (self.pools(), PostParams::default());
        api.create(&post, &pool).await.unwrap();
    }

    /// The events of a reason about an object, once there is one.
    pub(crate) async fn event(&self, about: &str, reason: &str) -> String {
        use futures::StreamExt;
        use k8s_openapi::api::events::v1::Event;
        use kube::runtime::{WatchStreamExt, watcher};
        let api: Api<Event> = Api::namespaced(self.admin.clone(), "default");
        let stream = watcher(api, watcher::Config::default()).applied_objects();
        let mut stream = std::pin::pin!(stream);
        let found = async {
            loop {
                let event = stream.next().await.unwrap().unwrap();
                let regarding = event.regarding.unwrap_or_default();
                if regarding.name.as_deref() == Some(about)
                    && event.reason.as_deref() == Some(reason)
                {
                    return event.note.unwrap_or_default();
                }
            }
        };
        patiently(&format!("event {reason} about {about}"), found).await
    }
}

pub(crate) struct Controller {
    pub(crate) identity: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Controller {
    /// As SIGKILL would: nothing is finished, nothing is given back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }

    /// As SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        patiently("the controller's end", self.task).await.unwrap();
    }
}

pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("a minute went by without {what}"),
    }
}

/// Waits until an object is as it should be, and returns it.
pub(crate) async fn until<K>(api: &Api<K>, name: &str, what: &str, is_so: impl Fn(&K) -> bool) -> K
where
    K: Clone + std::fmt::Debug + Send + DeserializeOwned + kube::Resource + 'static,
{
    let seen = await_condition(api.clone(), name, |object: Option<&K>| {
        object.is_some_and(&is_so)
    });
    let what = format!("{name}: {what}");
    patiently(&what, seen).await.unwrap().unwrap()
}

/// Waits until an object is gone.
pub(crate) async fn gone(api: &Api<Volume>, name: &str) {
    let seen = await_condition(api.clone(), name, |object: Option<&Volume>| {
        object.is_none()
    });
    patiently(&format!("the end of {name}"), seen)
        .await
        .unwrap();
}

pub(crate) fn pool_of(volume: &Volume) -> Option<&str> {
    volume.spec.pool_name.as_ref().map(|pool| pool.as_str())
}

pub(crate) fn conditions(volume: &Volume) -> &[Condition] {
    volume
        .status
        .as_ref()
        .map_or(&[], |status| &status.conditions)
}

pub(crate) fn scheduled(volume: &Volume) -> Option<&Condition> {
    condition::get(conditions(volume), SCHEDULED)
}

/// Merges something into an object, as a person would.
pub(crate) async fn edit<K>(api: &Api<K>, name: &str, json: Value)
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let (how, patch) = (PatchParams::default(), Patch::Merge(&json));
    api.patch(name, &how, &patch).await.unwrap();
}
