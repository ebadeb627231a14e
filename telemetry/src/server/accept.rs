//! Connections: taken while there is room, and secured.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::limits::Limits;

/// How long nothing is accepted after an error, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections for as long as `taken` is read.
pub(super) async fn accept(
    listener: TcpListener,
    tls: watch::Receiver<Arc<ServerConfig>>,
    limits: Limits,
    taken: mpsc::Sender<io::Result<Connection>>,
) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let strangers = Arc::new(Semaphore::new(limits.strangers));
    loop {
        // When a leader is new, all agents come at once: they wait in the listener's queue, instead of being sent away.
        let Ok(stranger) = Arc::clone(&strangers).acquire_owned().await else {
            return;
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            tracing::debug!(%address, "refused a connection: there are too many");
            continue;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
        let (taken, strangers) = (taken.clone(), Arc::clone(&strangers));
        tokio::spawn(async move {
            match timeout(limits.handshake, secure(acceptor, stream)).await {
                Ok(Ok(stream)) => {
                    let permits = (permit, stranger);
                    let introduction = limits.introduction;
                    let connection = Connection::new(stream, introduction, strangers, permits);
                    // Nobody reads at the end, and then it is of no use.
                    drop(taken.send(Ok(connection)).await);
                }
                Ok(Err(error)) => tracing::debug!(%address, %error, "a handshake failed"),
                Err(_) => tracing::debug!(%address, "no handshake in time"),
            }
        });
    }
}

async fn secure(
    acceptor: TlsAcceptor,
    stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    // Acknowledgements are small, and each is waited for.
    stream.set_nodelay(true)?;
    acceptor.accept(stream).await
}
