//! What agents measured, taken while this controller leads: the join of the cluster's identities with [`weir_telemetry::server`].
//!
//! A term's server has a certificate of its own, made when the term begins. The controllers' Lease says where it listens and what its
//! certificate is ([`Term::annotations`]): whoever may write that Lease leads anyway. An agent shows its client certificate, where the
//! API is our own ([`Certificates`]), or its ServiceAccount's token, in a cluster ([`Tokens`]).

mod agents;
mod certificates;
mod metrics;
mod own;
mod taking;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
pub use weir_telemetry::server::Limits;
use weir_telemetry::server::{Server, Shared};
use weir_telemetry::{ADDRESS, AUTHORITY};

pub use agents::Agents;
pub use certificates::Certificates;
pub use metrics::TelemetryMetrics;
pub use own::{OwnCertificate, OwnError};
pub use taking::{Announcement, Pools, Taking};
pub use tokens::Tokens;

/// How telemetry is taken.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The name or address under which agents reach that.
    pub host: String,
    /// Bounds.
    pub limits: Limits,
}

/// Telemetry can't be taken.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// There is no certificate.
    #[error("cannot make a certificate for `{host}`")]
    Certificate {
        /// The name that it was to be for.
        host: String,
        /// Why not.
        #[source]
        source: OwnError,
    },
    /// The address can't be listened on.
    #[error("cannot listen on {address} for telemetry")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A leader's term: telemetry is taken until this is dropped.
pub struct Term {
    shared: Shared,
    annotations: [(&'static str, String); 2],
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// A server wants to know of another certificate; there is none before the next term.
    _tls: watch::Sender<Arc<rustls::ServerConfig>>,
}

impl Term {
    /// Begins, with an empty book.
    ///
    /// # Errors
    /// There is no certificate, or the address can't be listened on.
    pub async fn begin(settings: &Settings, agents: Agents) -> Result<Self, TelemetryError> {
        let host = &settings.host;
        let made = OwnCertificate::make(host).and_then(|own| {
            let tls = own.tls(agents.client_authority())?;
            Ok((own, tls))
        });
        let (own, tls) = made.map_err(|source| TelemetryError::Certificate {
            host: host.clone(),
            source,
        })?;
        let shared = Shared::new(settings.limits);
        let (keep, tls) = watch::channel(tls);
        let unusable = |source| TelemetryError::Listen {
            address: settings.listen,
            source,
        };
        let server = Server::bind(settings.listen, tls, agents, shared.clone()).await;
        let server = server.map_err(unusable)?;
        let port = server.address().map_err(unusable)?.port();
        let place = weir_telemetry::Place {
            host: host.clone(),
            port,
            authority: None,
        };
        let (stop, stopping) = watch::channel(false);
        tracing::info!(%place, "taking telemetry");
        Ok(Term {
            shared,
            annotations: [
                (ADDRESS, place.to_string()),
                (AUTHORITY, own.certificate().to_owned()),
            ],
            stop,
            serving: tokio::spawn(server.run(stopping)),
            _tls: keep,
        })
    }

    /// What was told in this term.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What the controllers' Lease has to say for agents to find this: names and values of its annotations.
    pub fn annotations(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.annotations
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Returns when it has ended by itself, as it should not.
    pub async fn over(mut self) {
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(%error, "the telemetry server panicked");
        }
    }

    /// Ends it; streams see that at once. What was not acknowledged, agents keep.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.serving).await {
            tracing::error!(%error, "the telemetry server panicked");
        }
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        // Not aborted: streams would go on without it, on connections that are tasks of their own.
        self.stop.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
