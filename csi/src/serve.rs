//! The server: the services on their socket, until it is told to stop.

use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::controller::Controller;
use crate::identity::Who;
use crate::log::Log;
use crate::node::host::Host;
use crate::node::{Node, Settings};
use crate::objects::{Objects, Surroundings};
use crate::proto::controller_server::ControllerServer;
use crate::proto::identity_server::IdentityServer;
use crate::proto::node_server::NodeServer;
use crate::socket::{Endpoint, SocketError};

/// How long requests may go on after the order to stop. Whatever is cut off then is done again by a retry: a pod has 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// The server ended, and nobody asked it to.
#[derive(Debug, Error)]
pub enum ServeError {
    /// There is no socket.
    #[error("cannot listen")]
    Socket(#[from] SocketError),
    /// It failed.
    #[error("the server failed")]
    Server(#[from] tonic::transport::Error),
}

/// Serves the controller's half until `stop` becomes true or its sender is gone.
///
/// # Errors
/// It can't be listened, or serving failed.
pub async fn controller<C: Objects + Surroundings>(
    endpoint: &Endpoint,
    cluster: C,
    patience: Duration,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let who = Who::new(cluster.clone(), true);
    let services = Routes::new(IdentityServer::new(who))
        .add_service(ControllerServer::new(Controller::new(cluster, patience)));
    serve(endpoint, services, stop).await
}

/// Serves a node's half likewise.
///
/// # Errors
/// It can't be listened, or serving failed.
pub async fn node<C: Objects + Surroundings, H: Host>(
    endpoint: &Endpoint,
    cluster: C,
    host: H,
    settings: Settings,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let who = Who::new(cluster.clone(), false);
    let services = Routes::new(IdentityServer::new(who))
        .add_service(NodeServer::new(Node::new(cluster, host, settings)));
    serve(endpoint, services, stop).await
}

async fn serve(
    endpoint: &Endpoint,
    services: Routes,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let (listener, name) = endpoint.listen()?;
    let serving = Server::builder()
        .layer(Log)
        .add_routes(services)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped(stop.clone()));
    let cut = async {
        stopped(stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served?,
        () = cut => tracing::warn!("requests that did not end are cut off"),
    }
    drop(name);
    Ok(())
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone counts as the order.
    let _ = stop.wait_for(|stop| *stop).await;
}
