//! A leader for one test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_api::names::NodeName;
use weir_telemetry::Place;
use weir_telemetry::client::Credentials;
use weir_telemetry::server::{
    Agent, Authenticate, Book, Denied, Limits, Presented, Server, Shared,
};

use crate::authority::{Authority, Pair};

/// How long anything may take, on a machine that is busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Two nodes with certificates, one with a token.
pub(crate) struct Cluster {
    pub(crate) authority: Authority,
    pub(crate) agents: HashMap<&'static str, Pair>,
}

/// The token of the node `by-token`.
pub(crate) const TOKEN: &str = "a-token";

impl Cluster {
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let agents = ["one", "two"].map(|node| (node, authority.certify(&[])));
        Cluster {
            authority,
            agents: agents.into(),
        }
    }

    pub(crate) fn credentials(&self, node: &str) -> Credentials {
        let Pair { certificate, key } = self.agents[node].clone();
        Credentials {
            authority: Some(self.authority.0.certificate.clone()),
            certificate: Some((certificate, key)),
            token: None,
        }
    }

    /// A controller that leads.
    pub(crate) async fn lead(&self, limits: Limits) -> Leader {
        let known = self.agents.iter();
        let known = known.map(|(node, pair)| (pair.der().to_vec(), node.parse().unwrap()));
        let shared = Shared::new(limits);
        let (tls, current) = watch::channel(self.authority.server());
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(address, current, Known(known.collect()), shared.clone());
        let server = server.await.unwrap();
        let address = server.address().unwrap();
        let (stop, stopping) = watch::channel(false);
        Leader {
            shared,
            address,
            stop,
            running: tokio::spawn(server.run(stopping)),
            _tls: tls,
        }
    }
}

/// A controller that leads.
pub(crate) struct Leader {
    pub(crate) shared: Shared,
    pub(crate) address: SocketAddr,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    _tls: watch::Sender<Arc<rustls::ServerConfig>>,
}

impl Leader {
    pub(crate) fn place(&self) -> Place {
        at(self.address)
    }

    pub(crate) async fn stop(self) -> Shared {
        self.stop.send_replace(true);
        self.running.await.unwrap();
        self.shared
    }

    /// Waits until something is true of the book.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Book) -> bool) {
        until(what, || self.shared.look(&is_so)).await;
    }
}

pub(crate) fn at(address: SocketAddr) -> Place {
    format!("https://{address}").parse().unwrap()
}

/// Waits until something is true.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Knows agents by their certificates, byte for byte, and one by its token.
struct Known(HashMap<Vec<u8>, NodeName>);

impl Authenticate for Known {
    async fn authenticate(&self, presented: Presented) -> Result<Agent, Denied> {
        let own = presented.certificates.first();
        let by_certificate = own.and_then(|own| self.0.get(own.as_ref()).cloned());
        let token = presented.token.filter(|token| token.as_str() == TOKEN);
        let by_token = token.map(|_| "by-token".parse().unwrap());
        Ok(Agent {
            node: by_certificate.or(by_token).ok_or(Denied::Nothing)?,
            valid_for: Duration::from_secs(3600),
        })
    }
}
