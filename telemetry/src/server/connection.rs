//! A connection as tonic sees it: who is at its other end, and how long that may stay unknown.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// A connection. While none of its streams is of somebody known it counts as a stranger's, and is ended after a while.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    strangers: Arc<Semaphore>,
    stranger: Option<Stranger>,
    introduction: Duration,
    _permit: OwnedSemaphorePermit,
}

struct Stranger {
    end: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

/// The other end of a connection, as each of its streams finds it.
#[derive(Clone, Default)]
pub(super) struct Peer {
    pub(super) certificates: Arc<[CertificateDer<'static>]>,
    known: Arc<AtomicUsize>,
}

/// For as long as this is there, somebody known uses the connection.
pub(super) struct Known(Arc<AtomicUsize>);

impl Peer {
    pub(super) fn is_known_now(&self) -> Known {
        self.known.fetch_add(1, Ordering::Relaxed);
        Known(Arc::clone(&self.known))
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// A connection that was secured. `stranger` is what it counts as until somebody is known.
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        introduction: Duration,
        strangers: Arc<Semaphore>,
        (permit, stranger): (OwnedSemaphorePermit, OwnedSemaphorePermit),
    ) -> Self {
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificates = certificates.iter().cloned().map(CertificateDer::into_owned);
        Connection {
            peer: Peer {
                certificates: certificates.collect(),
                known: Arc::default(),
            },
            stream,
            strangers,
            stranger: Some(Stranger {
                end: Box::pin(sleep(introduction)),
                _permit: stranger,
            }),
            introduction,
            _permit: permit,
        }
    }

    /// Whether it is to be ended, since nobody known uses it.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.peer.known.load(Ordering::Relaxed) > 0 {
            self.stranger = None;
            return false;
        }
        if self.stranger.is_none() {
            // Its last stream ended. Where there are too many strangers already, it need not wait.
            let Ok(permit) = Arc::clone(&self.strangers).try_acquire_owned() else {
                return true;
            };
            self.stranger = Some(Stranger {
                end: Box::pin(sleep(self.introduction)),
                _permit: permit,
            });
        }
        let stranger = self.stranger.as_mut();
        stranger.is_some_and(|stranger| stranger.end.as_mut().poll(context).is_ready())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection is read from all the time, be it for the answers to pings.
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
