//! The leader's half: what it has counted in, and the streams that bring it.
//!
//! One task takes connections, tonic runs one for each of them, and one task serves each stream: it checks a message,
//! and counts it into the [`Book`] under one lock, which is held for as long as that takes and never across a wait. A server lives as
//! long as its controller leads: a term begins with an empty book and ends with the server.

mod accept;
mod authenticate;
mod book;
mod connection;
mod figures;
mod history;
mod limits;
mod links;
mod node;
mod refusals;
mod service;
mod streams;
mod window;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server as Transport;

use crate::wire::telemetry_server::TelemetryServer;

pub use authenticate::{Agent, Authenticate, Denied, Presented, Token};
pub use book::{Book, Refusal, Session};
pub use figures::Figures;
pub use history::{History, Point, Totals};
pub use limits::Limits;
pub use links::{Mean, Network};
pub use node::{Node, Pool};
pub use refusals::{Reason, Refusals};
pub use window::{Span, Window};

use service::Service;

/// The book of a term, shared by the streams that fill it and whoever reads it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Inner>>);

struct Inner {
    book: Book,
    refusals: Refusals,
}

impl Shared {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Shared(Arc::new(Mutex::new(Inner {
            book: Book::new(limits),
            refusals: Refusals::default(),
        })))
    }

    /// Looks something up. Streams wait meanwhile.
    pub fn look<T>(&self, at: impl FnOnce(&Book) -> T) -> T {
        at(&self.lock().book)
    }

    /// What a person or a scrape wants to know of it.
    #[must_use]
    pub fn figures(&self, now: Instant) -> Figures {
        let inner = self.lock();
        Figures::of(&inner.book, &inner.refusals, now)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.lock().book)
    }

    fn refuse(&self, reason: Reason) {
        self.lock().refusals.count(reason);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of the book is whole, or nothing of it happened: see `Book::count`.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes telemetry, for as long as a controller leads.
pub struct Server<A> {
    listener: TcpListener,
    tls: watch::Receiver<Arc<ServerConfig>>,
    authenticate: Arc<A>,
    shared: Shared,
    limits: Limits,
}

impl<A: Authenticate> Server<A> {
    /// Listens. `tls` must ask for a client's certificate if agents are to be known by theirs, and offer `h2`; whoever has its sender may
    /// replace it by a new certificate's.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub async fn bind(
        address: SocketAddr,
        tls: watch::Receiver<Arc<ServerConfig>>,
        authenticate: A,
        shared: Shared,
    ) -> io::Result<Self> {
        Ok(Server {
            listener: TcpListener::bind(address).await?,
            tls,
            authenticate: Arc::new(authenticate),
            limits: shared.look(Book::limits),
            shared,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` becomes true, or its sender is gone. Then streams end at once: what was not acknowledged, agents keep.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let limits = self.limits;
        let (taken, connections) = mpsc::channel(16);
        let accepting = accept::accept(self.listener, self.tls, limits, taken);
        let service = Service::new(self.authenticate, self.shared.clone(), stop.clone());
        let mut until = stop.clone();
        let service = TelemetryServer::new(service).max_decoding_message_size(limits.message);
        let window = u32::try_from(limits.message).unwrap_or(u32::MAX);
        let serving = Transport::builder()
            .http2_keepalive_interval(Some(limits.keep_alive))
            .http2_keepalive_timeout(Some(limits.keep_alive))
            .initial_stream_window_size(window)
            .initial_connection_window_size(window)
            .max_concurrent_streams(limits.streams_each)
            .max_frame_size(16 * 1024)
            .add_service(service)
            .serve_with_incoming_shutdown(ReceiverStream::new(connections), stopped(&mut until));
        let mut serving = std::pin::pin!(serving);
        let mut stop = stop;
        tokio::select! {
            () = accepting => {}
            served = &mut serving => return tell(served),
            () = tidy(&self.shared, limits) => {}
            () = stopped(&mut stop) => {}
        }
        // Streams see by themselves that it is time; connections are let go of, or given up.
        if let Ok(served) = tokio::time::timeout(limits.farewell, serving).await {
            tell(served);
        }
    }
}

fn tell(served: Result<(), tonic::transport::Error>) {
    if let Err(error) = served {
        tracing::error!(%error, "telemetry is not taken any more");
    }
}

/// Lets go, now and then, of what was not heard of for long.
async fn tidy(shared: &Shared, limits: Limits) {
    loop {
        tokio::time::sleep(limits.tidy).await;
        shared.change(|book| book.tidy(Instant::now()));
    }
}

/// Returns when it is time to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error is a sender that is gone: nobody can say it any more.
    drop(stop.wait_for(|stop| *stop).await);
}
