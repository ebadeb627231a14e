//! Connections: taken while there is room, secured, and let go of when they idle or when it ends.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::handle::{Peer, respond};
use super::stall::Stalling;
use super::{Api, stopped};
use crate::standalone::authority::Tls;

/// What a connection's buffer may take, and so the head of a request.
const BUFFER: usize = 64 * 1024;

/// How long nothing is accepted after an error, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// TLS, as it is now: the certificate is made anew before it ends.
pub(super) type CurrentTls = Arc<RwLock<Tls>>;

/// Takes connections until the server stops; then waits for those that there are, for a while.
pub(super) async fn serve(listener: TcpListener, api: Arc<Api>, tls: CurrentTls) {
    let mut stopping = api.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&api.gates.connections).try_acquire_owned() else {
            tracing::debug!(%address, "refused a connection: there are too many");
            continue;
        };
        let (api, tls) = (Arc::clone(&api), Arc::clone(&tls));
        tokio::spawn(async move {
            if let Err(reason) = connection(stream, api, tls).await {
                tracing::debug!(%address, reason, "a connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    let all = u32::try_from(api.limits.connections).unwrap_or(u32::MAX);
    let gone = api.gates.connections.acquire_many(all);
    if timeout(api.limits.farewell, gone).await.is_err() {
        tracing::warn!("connections were still open at the end");
    }
}

async fn connection(stream: TcpStream, api: Arc<Api>, tls: CurrentTls) -> Result<(), String> {
    // Watch events are small, and somebody waits for each.
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let tls = tls.read().unwrap_or_else(PoisonError::into_inner).clone();
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let secured = acceptor.accept(Stalling::new(stream, api.limits.stall));
    let mut stopping = api.stopping.clone();
    let secured = tokio::select! {
        secured = timeout(api.limits.handshake, secured) => secured,
        () = stopped(&mut stopping) => return Ok(()),
    };
    let stream = secured
        .map_err(|_| "no handshake in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = match chain {
        [] => Peer::Anonymous,
        chain => tls.credential(chain).map_or(Peer::Refused, Peer::Known),
    };
    drop(tls);
    let is_known = matches!(peer, Peer::Known(_));
    let _stranger = if is_known {
        None
    } else {
        let permit = Arc::clone(&api.gates.strangers).try_acquire_owned();
        Some(permit.map_err(|_| "there are too many without a certificate".to_owned())?)
    };
    let head = if is_known {
        api.limits.head
    } else {
        api.limits.stranger_head
    };
    let service = service_fn(|request| respond(Arc::clone(&api), peer.clone(), request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => return served.map_err(|error| error.to_string()),
        () = sleep(api.limits.stranger_life), if !is_known => return Ok(()),
        () = stopped(&mut stopping) => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await.map_err(|error| error.to_string())
}
