//! A controller with its API, as a program.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::AbortHandle;
use weir_api::crd::{StoragePool, Volume};

use super::agent;

/// After so long without what is waited for, a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const GIB: i64 = 1 << 30;

/// The API and its controller.
pub(crate) struct Cluster {
    pub(crate) dir: TempDir,
    child: Child,
    pub(crate) client: Client,
    tasks: Vec<AbortHandle>,
}

impl Cluster {
    /// Starts it, and waits until somebody leads. The pool `fast` of 10 GiB is on node `s`; the agents of `a`, `b` and `s` are heard.
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
            let log = std::fs::read_to_string(dir.path().join("test.log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut cluster = Cluster {
            client: client(&kubeconfig).await,
            dir,
            child,
            tasks: Vec::new(),
        };
        let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), "default");
        until("a leader", async || {
            leases.get_opt("weir-controller").await.unwrap().is_some()
        })
        .await;
        for node in ["a", "b", "s"] {
            let renewing = agent::renew(cluster.client.clone(), node).await;
            cluster.tasks.push(renewing);
        }
        cluster.pool().await;
        let printed = Command::new(program())
            .arg("--standalone")
            .arg(cluster.dir.path())
            .args(["--listen", &listen.to_string()])
            .args(["kubeconfig", "csi-controller"])
            .output()
            .unwrap();
        assert!(printed.status.success(), "{printed:?}");
        std::fs::write(cluster.kubeconfig(), printed.stdout).unwrap();
        cluster
    }

    async fn pool(&self) {
        let pool = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StoragePool", "metadata": {"name": "fast"},
            "spec": {
                "nodeName": "s",
                "engine": {"kernel": {"volumeGroup": "fast"}},
                "portals": [{"address": "10.0.0.1"}],
            },
        });
        let pool: StoragePool = serde_json::from_value(pool).unwrap();
        let api: Api<StoragePool> = Api::all(self.client.clone());
        api.create(&PostParams::default(), &pool).await.unwrap();
        let said = json!({"status": {
            "capacityBytes": 10 * GIB,
            "freeBytes": 10 * GIB,
            "orphans": 0,
            "conditions": [{"type": "Ready", "status": "True", "reason": "AsAsked", "message": "it is served"}],
        }});
        let how = PatchParams::default();
        api.patch_status("fast", &how, &Patch::Merge(&said))
            .await
            .unwrap();
    }

    /// From now on the pool's agent does what volumes ask for.
    pub(crate) fn serve(&mut self) {
        let serving = agent::serve(self.client.clone());
        self.tasks.push(serving);
    }

    /// The plugin's, which may do only what the plugin has to.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("csi.kubeconfig")
    }

    pub(crate) async fn volumes(&self) -> Vec<Volume> {
        let api: Api<Volume> = Api::all(self.client.clone());
        api.list(&kube::api::ListParams::default())
            .await
            .unwrap()
            .items
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
        // It may have ended by itself; nothing of it is kept anyway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> OsString {
    let program = env::var_os("WEIR_CONTROLLER");
    program.expect("WEIR_CONTROLLER has to name the weir-controller to test with")
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

async fn client(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
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
