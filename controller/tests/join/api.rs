//! A standalone API for one test.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::task::JoinHandle;
use weir_controller::standalone::authority::Authority;
use weir_controller::standalone::server::{Limits, Server, Settings, Stop, url};
use weir_controller::standalone::store::StoreLimits;

/// After so long a test is given up; nothing takes a noticeable part of it.
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_millis(20);

/// A server in this process.
pub(crate) struct StandaloneApi {
    directory: PathBuf,
    address: SocketAddr,
    running: Option<(Stop, JoinHandle<()>)>,
}

impl StandaloneApi {
    /// Starts on a directory, at an address if it has to be the one of the server before.
    pub(crate) async fn start(directory: &Path, address: Option<SocketAddr>) -> Self {
        let definitions = weir_api::crd::all();
        let definitions = definitions.iter().map(serde_json::to_value);
        let settings = Settings {
            directory: directory.to_owned(),
            listen: address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into()),
            names: BTreeSet::new(),
            definitions: definitions.collect::<Result<_, _>>().unwrap(),
            limits: Limits::default(),
            store_limits: StoreLimits::default(),
        };
        let server = Server::start(settings).await.unwrap();
        let (address, stop) = (server.address(), server.stop());
        let task = tokio::spawn(async move {
            server.run().await;
        });
        StandaloneApi {
            directory: directory.to_owned(),
            address,
            running: Some((stop, task)),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it; what it holds stays in its directory.
    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.stop();
            task.await.unwrap();
        }
    }

    /// A client that may do everything.
    pub(crate) async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::from_yaml(&self.text("admin")).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options);
        Client::try_from(config.await.unwrap()).unwrap()
    }

    /// A kubeconfig for the agent of a node.
    pub(crate) fn kubeconfig(&self, node: &str) -> PathBuf {
        let path = self.directory.join(format!("{node}.kubeconfig"));
        fs::write(&path, self.text(&format!("agent:{node}"))).unwrap();
        path
    }

    /// The kubeconfig of a controller.
    pub(crate) fn controller_kubeconfig(&self) -> PathBuf {
        let path = self.directory.join("a-controller.kubeconfig");
        fs::write(&path, self.text("controller")).unwrap();
        path
    }

    fn text(&self, identity: &str) -> String {
        let now = k8s_openapi::jiff::Timestamp::now();
        let authority = Authority::open(&self.directory, now).unwrap();
        let identity = identity.parse().unwrap();
        authority
            .kubeconfig(&identity, &url(self.address), 1, now)
            .unwrap()
    }
}

/// Gives a new server's directory the certificates of another's.
pub(crate) fn copy_pki(from: &Path, to: &Path) {
    if from == to {
        return;
    }
    let (from, to) = (from.join("pki"), to.join("pki"));
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        tokio::time::sleep(AGAIN).await;
    }
}
