//! A connection to the leader.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::credentials::{Credentials, CredentialsError};
use crate::place::Place;

/// How often a connection is asked whether it is still there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The leader could not be reached.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// What the agent shows can't be used.
    #[error("cannot use this node's credentials")]
    Credentials(#[source] CredentialsError),
    /// The leader's host is no name that a certificate could be for.
    #[error("`{host}` is not a host")]
    Host {
        /// As its Lease says.
        host: String,
        /// Why not.
        #[source]
        source: InvalidDnsNameError,
    },
    /// The address makes no URI.
    #[error("cannot make a URI of the leader's address")]
    Address(#[source] tonic::transport::Error),
    /// There is no connection.
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
}

/// Connects; the leader's certificate is checked.
pub(super) async fn connect(
    credentials: &Credentials,
    place: &Place,
) -> Result<Channel, ConnectError> {
    let tls = credentials.tls(place).map_err(ConnectError::Credentials)?;
    let name = ServerName::try_from(place.host.clone());
    let name = name.map_err(|source| ConnectError::Host {
        host: place.host.clone(),
        source,
    })?;
    // TLS is the connector's business: tonic's own has no say in it, and so takes no `https`.
    let plain = place.to_string().replacen("https", "http", 1);
    let endpoint = Endpoint::from_shared(plain).map_err(ConnectError::Address)?;
    let endpoint = endpoint
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let target = (place.host.clone(), place.port);
    let connector = service_fn(move |_| {
        let (name, target) = (name.clone(), target.clone());
        let connector = TlsConnector::from(Arc::clone(&tls));
        async move {
            let stream = TcpStream::connect(target).await?;
            // Reports are small, and each is waited for.
            stream.set_nodelay(true)?;
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    let connecting = endpoint.connect_with_connector(connector);
    connecting.await.map_err(ConnectError::Connect)
}
