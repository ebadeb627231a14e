//! The agent joins in: what a cluster's API asks of this node goes to the engine, and what the engine finds goes
//! back.
//!
//! A thread of its own runs these tasks, which meet in [`shared`]:
//! - [`follow`], one for this node's StoragePools and two for the Volumes and Tombstones of each of its pools: lists, then
//!   watches, and keeps the [`cache`] in step. A server filters by field, so that a node hears of its own
//!   volumes only;
//! - [`tell`]: writes a status where it differs from what the engine found, and only there;
//! - [`register`]: creates the objects of the pools that the agent's configuration names;
//! - [`lease`]: says every ten seconds that this node's agent is alive;
//! - [`leader`]: looks where the controller that leads takes telemetry, which has a thread of its own
//!   ([`crate::telemetry`]).
//!
//! Invariants:
//! - what was not listed completely is unknown, not absent; what was, stays known while the API is away;
//! - whatever is listed or watched is known to be of one cluster: its identity is asked for before and after the list, and
//!   before and after a watch began. Another cluster's answer makes all that is known unknown;
//! - an agent that is not heeding an API ([`crate::cluster`]) writes nothing there but why.
//!
//! Listing and watching are a page of our own over `kube`'s client, and not `kube_runtime`'s watcher, which
//! reconnects unseen: nobody could ask then whose API it is that answers now.

mod back_off;
mod cache;
mod credentials;
mod error;
mod follow;
mod gauges;
mod known;
mod leader;
mod lease;
mod merge;
mod register;
mod shared;
mod tell;
mod told;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use weir_api::manifest::PoolManifest;
use weir_api::names::NodeName;
use weir_api::pool::StoragePool;
use weir_telemetry::Place;
use weir_telemetry::client::{Credentials, State as Stream};

use crate::chain;
use crate::requests::Requests;
use crate::statuses::Statuses;
use crate::wake::Wake;
use back_off::BackOff;
pub use error::JoinError;
pub use gauges::JoinCollector;
use shared::Shared;

/// As what a node joins.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// With the API's address and the node's credentials.
    pub kubeconfig: PathBuf,
    /// What controllers that take telemetry are shown instead of the kubeconfig's certificate, if it is given.
    pub telemetry_token: Option<PathBuf>,
    /// Its name.
    pub node: NodeName,
    /// Pools that are to have objects there.
    pub pools: Vec<PoolManifest>,
}

/// A node's connection to its cluster's API. Dropped, it ends.
pub struct Join {
    shared: Arc<Shared>,
    client: Arc<OnceLock<Client>>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Join {
    /// Begins to connect; `wake` is told when something else is asked for than before.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(enrolment: Enrolment, wake: Sender<Wake>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(enrolment.node.clone(), wake));
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
                    () = work(&theirs, &enrolment, &connected) => {}
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

    /// Where the leader takes telemetry and what it is to be shown, once that is known, and where the stream says how it is.
    #[must_use]
    pub fn leader(&self) -> Leader {
        Leader {
            place: self.shared.leader.subscribe(),
            credentials: self.shared.credentials.subscribe(),
            stream: self.shared.stream.clone(),
        }
    }

    /// Shows the connection to a Prometheus registry.
    ///
    /// # Errors
    /// Never, as long as the catalogue's names are valid, which a test checks.
    pub fn collector(&self) -> Result<JoinCollector, prometheus::Error> {
        JoinCollector::new(Arc::clone(&self.shared))
    }
}

/// The controller that leads, as far as it is known.
pub struct Leader {
    /// Where it takes telemetry.
    pub place: watch::Receiver<Option<Place>>,
    /// What it is shown.
    pub credentials: watch::Receiver<Option<Credentials>>,
    /// Where the stream says how it is.
    pub stream: watch::Sender<Stream>,
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

async fn work(shared: &Arc<Shared>, enrolment: &Enrolment, connected: &OnceLock<Client>) {
    let (kubeconfig, token) = (&enrolment.kubeconfig, enrolment.telemetry_token.as_deref());
    let mut pause = BackOff::default();
    let client = loop {
        match connect(kubeconfig, token).await {
            Ok((client, credentials)) => {
                shared.credentials.send_replace(credentials);
                break client;
            }
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
        register::register(shared, client, &enrolment.pools),
        leader::find(shared, client),
    );
}

/// A client, and what is shown to controllers if that can be read.
async fn connect(
    path: &Path,
    token: Option<&Path>,
) -> Result<(Client, Option<Credentials>), JoinError> {
    let unusable = |source| JoinError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options);
    let config = config.await.map_err(unusable)?;
    // Without them all goes on, but for telemetry.
    let credentials = credentials::of(&config, token).inspect_err(|error| {
        tracing::warn!(error = chain(error), "no controller will be told telemetry");
    });
    let client = Client::try_from(config).map_err(JoinError::api("make a client"))?;
    Ok((client, credentials.ok()))
}
