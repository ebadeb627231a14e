//! A server on a directory of its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use weir_controller::standalone::authority::Authority;
use weir_controller::standalone::identity::Identity;
use weir_controller::standalone::server::{Limits, Server, Settings, Stop};
use weir_controller::standalone::store::StoreLimits;

use crate::client::Client;

/// The path of volumes.
pub(crate) const VOLUMES: &str = "/apis/weir.dev/v1alpha1/volumes";

/// The path of pools.
pub(crate) const POOLS: &str = "/apis/weir.dev/v1alpha1/storagepools";

/// A server that runs, and its directory.
pub(crate) struct Running {
    pub(crate) directory: TempDir,
    pub(crate) address: SocketAddr,
    stop: Stop,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default(), StoreLimits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits, store_limits: StoreLimits) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), limits, store_limits).await
    }

    pub(crate) async fn start_in(
        directory: TempDir,
        limits: Limits,
        store_limits: StoreLimits,
    ) -> Self {
        let definitions = weir_api::crd::all();
        let definitions = definitions
            .iter()
            .map(|crd| serde_json::to_value(crd).unwrap());
        let settings = Settings {
            directory: directory.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            names: BTreeSet::new(),
            definitions: definitions.collect(),
            limits,
            store_limits,
        };
        let server = Server::start(settings).await.unwrap();
        Self {
            directory,
            address: server.address(),
            stop: server.stop(),
            task: tokio::spawn(async move {
                server.run().await;
            }),
        }
    }

    /// Stops it in good order, and returns its directory.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.stop();
        self.task.await.unwrap();
        self.directory
    }

    pub(crate) fn is_stopping(&self) {
        self.stop.stop();
    }

    pub(crate) fn admin(&self) -> Client {
        self.client("admin")
    }

    /// A client with a certificate for this identity.
    pub(crate) fn client(&self, identity: &str) -> Client {
        let kubeconfig = kubeconfig(self.directory.path(), identity, jiff::Timestamp::now());
        Client::of_kubeconfig(self.address, &kubeconfig)
    }
}

/// A kubeconfig with a certificate of one day.
pub(crate) fn kubeconfig(directory: &Path, identity: &str, now: jiff::Timestamp) -> String {
    let authority = Authority::open(directory, jiff::Timestamp::now()).unwrap();
    let identity: Identity = identity.parse().unwrap();
    authority
        .kubeconfig(&identity, "https://x", 1, now)
        .unwrap()
}

/// A pool that is valid.
pub(crate) fn pool(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StoragePool",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "engine": {"kernel": {"volumeGroup": name, "devices": ["/dev/vdb"]}}},
    })
}

/// A volume that is valid, in a pool.
pub(crate) fn volume(name: &str, pool: &str) -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "Volume",
        "metadata": {"name": name},
        "spec": {"id": uuid::Uuid::new_v4(), "capacityBytes": 1_073_741_824, "poolName": pool},
    })
}
