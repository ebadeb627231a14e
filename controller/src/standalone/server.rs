//! The HTTP server: connections, limits, routes.
//!
//! One task per connection, and one per watch, which writes lines into the connection's answer. Nothing
//! else runs but the store's writer and the ends of namespaces and events. A request goes
//! `connection → handle → read | change | remove | stream → store`, and what it may not do is refused
//! in `handle`, before its body is read, or in `asked`, once the object is at hand.
//!
//! Invariants: no answer is sent before what it tells is durable; whatever a client sends, what it makes
//! the server hold is bounded by `limits`.

mod answer;
mod asked;
mod body;
mod change;
mod connection;
mod documents;
mod events;
mod handle;
mod intake;
mod kinds;
mod limits;
mod namespaces;
mod page;
mod present;
mod read;
mod remove;
mod stall;
mod stream;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::Response;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::authority::{Authority, AuthorityError, Tls};
use super::error::ApiError;
use super::resource::ResourceError;
use super::selector::indexed;
use super::store::{Indexed, Key, Statistics, Store, StoreError, StoreLimits};

use body::Body;
use documents::Documents;
use kinds::Kinds;
use limits::Gates;
use stream::Watches;

pub use limits::Limits;

/// How often certificates are looked at.
const RENEWAL: Duration = Duration::from_secs(12 * 60 * 60);

/// How often it is looked whether everybody let go at the end.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a handler comes to.
type Answered = Result<Response<Body>, ApiError>;

/// The server could not be started.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The definitions of objects are not as they have to be.
    #[error("cannot use a definition")]
    Definition(#[source] ResourceError),
    /// The store can't be opened.
    #[error("cannot open the store")]
    Store(#[source] StoreError),
    /// Certificates can't be made or kept.
    #[error("cannot keep certificates")]
    Authority(#[source] AuthorityError),
    /// The address can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The first objects can't be made.
    #[error("cannot make the first namespaces")]
    Begin(#[source] ApiError),
}

/// Everything that requests are answered from.
struct Api {
    store: Store,
    kinds: Kinds,
    documents: Documents,
    limits: Limits,
    gates: Gates,
    watches: Watches,
    /// Read by whoever creates something in a namespace, written by whoever ends one.
    namespaces: tokio::sync::RwLock<()>,
    stopping: watch::Receiver<bool>,
}

impl Api {
    /// A StoragePool.
    fn pool(&self, name: &str) -> Option<Value> {
        let key = Key {
            storage: "weir.dev/storagepools".to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
        };
        let found = self.store.get(&key)?;
        serde_json::from_slice(&found.bytes).ok()
    }
}

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept.
    pub directory: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Under which other names and addresses it is reached.
    pub names: BTreeSet<String>,
    /// The definitions of the objects that it serves beside the built-in ones.
    pub definitions: Vec<Value>,
    /// What it may be asked for at most.
    pub limits: Limits,
    /// What its store may use at most.
    pub store_limits: StoreLimits,
}

/// A server that listens.
pub struct Server {
    api: Arc<Api>,
    authority: Authority,
    listener: TcpListener,
    address: SocketAddr,
    names: BTreeSet<String>,
    tls: Tls,
    stop: watch::Sender<bool>,
    kubeconfig: PathBuf,
    is_first_start: bool,
}

/// Stops a server.
#[derive(Clone)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Ends watches and connections in good order, and then the server.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Opens the directory and listens. Requests are answered by [`Server::run`].
    ///
    /// # Errors
    /// The directory can't be used, or the address can't be listened on.
    pub async fn start(settings: Settings) -> Result<Self, ServerError> {
        let Settings {
            directory, listen, ..
        } = &settings;
        let kinds = Kinds::of_crds(&settings.definitions).map_err(ServerError::Definition)?;
        let now = jiff::Timestamp::now();
        let authority = Authority::open(directory, now).map_err(ServerError::Authority)?;
        let unusable = |source| ServerError::Listen {
            address: *listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let names = names(address, &settings.names);
        let tls = authority.tls(&names, now).map_err(ServerError::Authority)?;
        let (kubeconfig, is_first_start) = authority
            .keep_kubeconfigs(&url(address), now)
            .map_err(ServerError::Authority)?;
        let (stop, stopping) = watch::channel(false);
        let api = Arc::new(Api {
            store: open(directory, &kinds, settings.store_limits)?,
            documents: Documents::of(kinds.all()),
            gates: Gates::new(&settings.limits),
            limits: settings.limits,
            watches: Watches::default(),
            namespaces: tokio::sync::RwLock::new(()),
            stopping,
            kinds,
        });
        namespaces::begin(&api).await.map_err(ServerError::Begin)?;
        Ok(Self {
            api,
            authority,
            listener,
            address,
            names,
            tls,
            stop,
            kubeconfig,
            is_first_start,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The kubeconfig of the one who may do everything, and whether it was made just now.
    #[must_use]
    pub fn kubeconfig(&self) -> (&Path, bool) {
        (&self.kubeconfig, self.is_first_start)
    }

    /// What stops it.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Answers requests until it is stopped; the store is closed then. Returns what the store did.
    pub async fn run(self) -> Statistics {
        let tls = Arc::new(RwLock::new(self.tls));
        let serving = connection::serve(self.listener, Arc::clone(&self.api), Arc::clone(&tls));
        let renewing = renew(&self.authority, self.address, &self.names, &tls);
        let failing = fail(&self.api, &self.stop);
        let forgetting = events::end(&self.api);
        tokio::select! {
            () = async { tokio::join!(serving, failing, forgetting); } => {}
            () = renewing => {}
        }
        // Watches and ending namespaces have seen that it stops, and let go of the store now.
        let gone = async {
            while Arc::strong_count(&self.api) > 1 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(self.api.limits.farewell, gone)
            .await
            .is_err()
        {
            tracing::warn!("the store is still in use at the end");
        }
        self.api.store.statistics()
    }
}

/// Returns when the server is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error is a sender that is gone: the server is, too.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// Makes certificates anew before they end.
async fn renew(
    authority: &Authority,
    address: SocketAddr,
    names: &BTreeSet<String>,
    tls: &connection::CurrentTls,
) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let now = jiff::Timestamp::now();
        let kept = authority.keep_kubeconfigs(&url(address), now);
        match kept.and_then(|_| authority.tls(names, now)) {
            Ok(new) => *tls.write().unwrap_or_else(PoisonError::into_inner) = new,
            Err(error) => tracing::error!(%error, "certificates cannot be renewed"),
        }
    }
}

/// Stops the server when its store can't be written any more: opened again, it holds what is durable.
async fn fail(api: &Api, stop: &watch::Sender<bool>) {
    let mut stopping = api.stopping.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stopped(&mut stopping) => return,
        }
        if let Some(error) = api.store.failure() {
            tracing::error!(%error, "the store cannot be written any more");
            stop.send_replace(true);
        }
    }
}

fn open(directory: &Path, kinds: &Kinds, limits: StoreLimits) -> Result<Store, ServerError> {
    let stored = kinds.stored();
    let index = move |storage: &str, object: &Value| {
        let kind = stored.get(storage);
        kind.map_or_else(Indexed::default, |kind| indexed(kind, object))
    };
    Store::open(&directory.join("store"), Arc::new(index), limits).map_err(ServerError::Store)
}

/// The names and addresses that the server's certificate is good for.
fn names(address: SocketAddr, others: &BTreeSet<String>) -> BTreeSet<String> {
    let mut names = others.clone();
    names.insert("localhost".to_owned());
    names.insert("127.0.0.1".to_owned());
    if !address.ip().is_unspecified() {
        names.insert(address.ip().to_string());
    }
    names
}

/// Where a client on this host finds a server that listens on an address.
#[must_use]
pub fn url(address: SocketAddr) -> String {
    let mut address = address;
    if address.ip().is_unspecified() {
        let local: std::net::IpAddr = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(local);
    }
    format!("https://{address}")
}
