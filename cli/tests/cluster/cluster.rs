//! A controller with its API, as a program, and agents that are played.

use std::env;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::AbortHandle;
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::LEASE_NAMESPACE;

use super::weir::{Said, weir_at};

/// After so long without what is waited for, a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// A played agent is heard this often.
const RENEWAL: Duration = Duration::from_secs(1);

pub(crate) const GIB: u64 = 1 << 30;

/// The API, its controller, and the agents.
pub(crate) struct Cluster {
    dir: TempDir,
    child: Child,
    pub(crate) client: Client,
    agents: Vec<AbortHandle>,
}

impl Cluster {
    /// Starts it, and waits until somebody leads.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let mut child = spawn(dir.path(), listen);
        let kubeconfig = dir.path().join("admin.kubeconfig");
        let begun = Instant::now();
        while !kubeconfig.exists() || TcpStream::connect(listen).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{}",
                log(dir.path())
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let cluster = Cluster {
            client: client(&kubeconfig).await,
            dir,
            child,
            agents: Vec::new(),
        };
        let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), "default");
        until("a leader", async || {
            leases.get_opt("weir-controller").await.unwrap().is_some()
        })
        .await;
        cluster
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        self.agents.drain(..).for_each(|agent| agent.abort());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The kubeconfig of the one who may do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("admin.kubeconfig")
    }

    /// A kubeconfig of somebody else.
    pub(crate) fn kubeconfig_of(&self, identity: &str, server: &str) -> PathBuf {
        let printed = Command::new(program())
            .arg("--standalone")
            .arg(self.dir.path())
            .args(["kubeconfig", identity, "--server", server])
            .output()
            .unwrap();
        assert!(
            printed.status.success(),
            "{}",
            String::from_utf8_lossy(&printed.stderr)
        );
        let path = self.dir.path().join("somebody.kubeconfig");
        std::fs::write(&path, printed.stdout).unwrap();
        path
    }

    /// Runs `weir` as the one who may do everything.
    pub(crate) fn weir(&self, line: &str) -> Said {
        weir_at(line, &self.kubeconfig())
    }

    pub(crate) fn pools(&self) -> Api<StoragePool> {
        Api::all(self.client.clone())
    }

    pub(crate) fn volumes(&self) -> Api<Volume> {
        Api::all(self.client.clone())
    }

    /// A node's agent is heard from now on.
    pub(crate) async fn agent(&mut self, node: &str) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), LEASE_NAMESPACE);
        self.lease(node, Timestamp::now()).await;
        let node = node.to_owned();
        let renewing = async move {
            loop {
                tokio::time::sleep(RENEWAL).await;
                let body = json!({"spec": {"renewTime": micro(Timestamp::now())}});
                let (how, name) = (PatchParams::default(), node.clone());
                drop(api.patch(&name, &how, &Patch::Merge(&body)).await);
            }
        };
        self.agents.push(tokio::spawn(renewing).abort_handle());
    }

    /// A node's agent was heard last at a time.
    pub(crate) async fn lease(&self, node: &str, at: Timestamp) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), LEASE_NAMESPACE);
        let lease = json!({
            "metadata": {"name": node},
            "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": micro(at)},
        });
        create(&api, lease).await;
    }

    /// A pool of 10 GiB that its agent says is Ready.
    pub(crate) async fn pool(&self, name: &str, node: &str) {
        let pool = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": name},
            "spec": {
                "nodeName": node,
                "engine": {"kernel": {"volumeGroup": name}},
                "portals": [{"address": "10.0.0.1"}],
            },
        });
        create(&self.pools(), pool).await;
        self.tell_pool(name, json!({
            "capacityBytes": 10 * GIB,
            "freeBytes": 10 * GIB,
            "orphans": 0,
            "conditions": [{"type": "Ready", "status": "True", "reason": "AsAsked", "message": "it is served"}],
        }))
        .await;
    }

    pub(crate) async fn tell_pool(&self, name: &str, status: Value) {
        tell(&self.pools(), name, status).await;
    }

    pub(crate) async fn tell_volume(&self, name: &str, status: Value) {
        tell(&self.volumes(), name, status).await;
    }

    /// A volume of 1 GiB, with what else is asked of it.
    pub(crate) async fn volume(&self, name: &str, spec: Value) {
        let mut volume = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": name},
            "spec": {"id": uuid::Uuid::new_v4(), "capacityBytes": GIB},
        });
        for (field, value) in spec.as_object().unwrap() {
            volume["spec"][field] = value.clone();
        }
        create(&self.volumes(), volume).await;
    }

    /// The controller chose a pool for a volume, and its agent made it there.
    pub(crate) async fn served(&self, name: &str, node: &str) {
        until(&format!("a pool for {name}"), async || {
            let volume = self.volumes().get(name).await.unwrap();
            volume.spec.pool_name.is_some()
        })
        .await;
        let asked = self.volumes().get(name).await.unwrap().spec.attachments;
        let granted = asked.iter().map(|one| {
            json!({"nodeName": one.node_name, "generation": one.generation, "devicePath": format!("/dev/{name}")})
        });
        let granted: Vec<Value> = granted.collect();
        // The controller's own condition stays beside the agent's: its list is read and written again.
        loop {
            let volume = self.volumes().get(name).await.unwrap();
            let mut conditions = volume.status.unwrap_or_default().conditions;
            conditions.retain(|one| one.kind != "Ready");
            let ready = weir_api::condition::Condition::new(
                "Ready",
                weir_api::condition::Truth::True,
                "AsAsked",
                "it is there",
            );
            conditions.push(ready);
            let body = json!({
                "metadata": {"resourceVersion": volume.metadata.resource_version},
                "status": {
                    "phase": "Ready", "nodeName": node, "capacityBytes": GIB,
                    "attachments": granted, "conditions": conditions,
                },
            });
            let how = PatchParams::default();
            match self
                .volumes()
                .patch_status(name, &how, &Patch::Merge(&body))
                .await
            {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) async fn cordoned_node(&self, name: &str) {
        let api: Api<Node> = Api::all(self.client.clone());
        create(
            &api,
            json!({"metadata": {"name": name}, "spec": {"unschedulable": true}}),
        )
        .await;
    }

    /// A volume is deleted, and its agent says that its data is gone.
    pub(crate) async fn delete(&self, name: &str) {
        self.volumes()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        self.tell_volume(name, json!({"phase": "Deleted"})).await;
        until(&format!("the end of {name}"), async || {
            self.volumes().get_opt(name).await.unwrap().is_none()
        })
        .await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.agents.drain(..).for_each(|agent| agent.abort());
        // It may have ended by itself; nothing of it is kept anyway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let program = env::var_os("WEIR_CONTROLLER");
    let program = program.expect("WEIR_CONTROLLER has to name the weir-controller to test with");
    program.into()
}

fn spawn(dir: &Path, listen: SocketAddr) -> Child {
    let log = File::create(dir.join("test.log")).unwrap();
    let mut command = Command::new(program());
    command
        .arg("--standalone")
        .arg(dir)
        .args(["--listen", &listen.to_string()]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("test.log")).unwrap_or_default()
}

async fn client(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
}

fn micro(at: Timestamp) -> String {
    format!("{at:.6}")
}

async fn create<K>(api: &Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
{
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

async fn tell<K>(api: &Api<K>, name: &str, status: Value)
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let (how, body) = (PatchParams::default(), json!({"status": status}));
    api.patch_status(name, &how, &Patch::Merge(&body))
        .await
        .unwrap();
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(
            begun.elapsed() < PATIENCE,
            "a minute went by without {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
