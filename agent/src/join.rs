//! The agent joins in: what a cluster's API asks of this node goes to the engine, and what the engine finds goes
//! back.
//!
//! A thread of its own runs these tasks, which meet in [`shared`]:
//! - [`follow`], one for this node's StoragePools and one for the Volumes of each of its pools: lists, then
//!   watches, and keeps the [`cache`] in step. A server filters by field, so that a node hears of its own
//!   volumes only;
//! - [`tell`]: writes a status where it differs from what the engine found, and only there;
//! - [`register`]: creates the objects of the pools that the agent's configuration names;
//! - [`lease`]: says every ten seconds that this node's agent is alive.
//!
//! Invariants:
//! - what was not listed completely is unknown, not absent; what was, stays known while the API is away;
//! - whatever is listed or watched is known to be of one cluster: its identity is asked for after the list, and
//!   after the watch began. Another cluster's answer makes all that is known unknown;
//! - an agent that is not heeding an API ([`crate::cluster`]) writes nothing there but why.
//!
//! Listing and watching are a page of our own over `kube`'s client, and not `kube_runtime`'s watcher, which
//! reconnects unseen: nobody could ask then whose API it is that answers now.

mod back_off;
mod cache;
mod error;
mod follow;
mod gauges;
mod known;
mod lease;
mod merge;
mod register;
mod shared;
mod tell;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use weir_api::manifest::PoolManifest;
use weir_api::names::NodeName;
use weir_api::pool::StoragePool;

use crate::chain;
use crate::requests::Requests;
use crate::statuses::Statuses;
use crate::wake::Wake;
use back_off::BackOff;
pub use error::JoinError;
pub use gauges::JoinCollector;
use shared::Shared;

/// A node's connection to its cluster's API. Dropped, it ends.
pub struct Join {
    shared: Arc<Shared>,
    client: Arc<OnceLock<Client>>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Join {
    /// Begins to connect, with the credentials in a kubeconfig; `wake` is told when something else is asked
    /// for than before. `pools` are to have objects there.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(
        kubeconfig: PathBuf,
        node: NodeName,
        pools: Vec<PoolManifest>,
        wake: Sender<Wake>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(node, wake));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let client = Arc::new(OnceLock::new());
        let (connected, handle) = (Arc::clone(&client), runtime.handle().clone());
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work(&theirs, &kubeconfig, &pools, &connected) => {}
                    // Its sender is dropped.
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("api".to_owned())
            .spawn(work)?;
        Ok(Join {
            shared,
            client,
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What is asked for, as far as it is known; while the API is away, as it was known last.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.requests()
    }

    /// The same for a person's order, which is not to be taken while somebody may ask for the opposite unheard.
    #[must_use]
    pub fn requests_now(&self) -> Requests {
        let mut requests = self.shared.requests();
        if requests.unreadable.is_none() && !self.shared.link().connected {
            requests.unreadable = Some("the API is away".to_owned());
        }
        requests
    }

    /// Creates a pool's object, as a person ordered; an object of that name stays as it is.
    ///
    /// # Errors
    /// Nobody knows whether it is there.
    pub fn create(&self, pool: &StoragePool) -> Result<String, JoinError> {
        let cluster = self.shared.lock().heeded();
        let (Some(cluster), Some(client)) = (cluster, self.client.get().cloned()) else {
            return Err(JoinError::Away);
        };
        let object = serde_json::to_value(pool).map_err(JoinError::Object)?;
        let (done, came) = mpsc::channel();
        self.runtime.spawn(async move {
            // Whoever asked waits for it.
            let _gone = done.send(register::create(&client, cluster, &object).await);
        });
        let is_new = came.recv().map_err(|_| JoinError::Away)??;
        let name = &pool.metadata.name;
        Ok(match is_new {
            true => format!("pool {name} is asked for again: its object is created in the API"),
            false => format!("pool {name} has an object in the API already, which stands"),
        })
    }

    /// What the engine found when it last looked, at what [`Join::requests`] said.
    pub fn tell(&self, statuses: &Statuses) {
        self.shared.told(statuses);
    }

    /// Shows the connection to a Prometheus registry.
    ///
    /// # Errors
    /// Never, as long as the catalogue's names are valid, which a test checks.
    pub fn collector(&self) -> Result<JoinCollector, prometheus::Error> {
        JoinCollector::new(Arc::clone(&self.shared))
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there was told when it happened.
            let _panicked = thread.join();
        }
    }
}

async fn work(
    shared: &Arc<Shared>,
    kubeconfig: &Path,
    pools: &[PoolManifest],
    connected: &OnceLock<Client>,
) {
    let mut pause = BackOff::default();
    let client = loop {
        match connect(kubeconfig).await {
            Ok(client) => break client,
            Err(error) => tracing::warn!(error = chain(&error), "will be tried again"),
        }
        tokio::time::sleep(pause.next()).await;
    };
    // It is empty before: this runs once.
    let client = connected.get_or_init(|| client);
    tokio::join!(
        follow::follow_all(shared, client),
        tell::tell(shared, client),
        lease::renew(shared, client),
        register::register(shared, client, pools),
    );
}

async fn connect(path: &Path) -> Result<Client, JoinError> {
    let unusable = |source| JoinError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options);
    Client::try_from(config.await.map_err(unusable)?).map_err(JoinError::api("make a client"))
}
