//! A relay that cuts each connection after some bytes, or loses what a leader says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Relays to a leader.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    is_whole: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    /// Connections before this one are mute.
    mute: Arc<AtomicUsize>,
    /// Connections before this one are cut.
    over: watch::Sender<usize>,
}

impl Proxy {
    /// Cuts after up to so many bytes in either direction, until [`Proxy::heal`].
    pub(crate) async fn to(leader: SocketAddr, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap(),
            cuts: Arc::default(),
            is_whole: Arc::default(),
            accepted: Arc::default(),
            mute: Arc::default(),
            over: watch::Sender::new(0),
        };
        let (cuts, is_whole) = (Arc::clone(&proxy.cuts), Arc::clone(&proxy.is_whole));
        let (accepted, mute) = (Arc::clone(&proxy.accepted), Arc::clone(&proxy.mute));
        let over = proxy.over.subscribe();
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let Ok(leader) = TcpStream::connect(leader).await else {
                    continue;
                };
                let limit = || match is_whole.load(Ordering::SeqCst) {
                    true => usize::MAX,
                    false => fastrand::usize(1..most),
                };
                let limits = (limit(), limit());
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let (cuts, mute, mut over) = (Arc::clone(&cuts), Arc::clone(&mute), over.clone());
                tokio::spawn(async move {
                    let (from_agent, to_agent) = agent.into_split();
                    let (from_leader, to_leader) = leader.into_split();
                    // Whichever is through first takes the other with it.
                    tokio::select! {
                        () = relay(from_agent, to_leader, limits.0, || true) => {}
                        () = relay(from_leader, to_agent, limits.1, || mute.load(Ordering::SeqCst) <= number) => {}
                        _ = over.wait_for(|over| *over > number) => {}
                    }
                    cuts.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        proxy
    }

    /// Connections that were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    /// What leaders say from now on over the connections that there are is lost.
    pub(crate) fn mute(&self) {
        let accepted = self.accepted.load(Ordering::SeqCst);
        self.mute.store(accepted, Ordering::SeqCst);
    }

    /// Cuts the connections that there are.
    pub(crate) fn cut(&self) {
        self.over.send_replace(self.accepted.load(Ordering::SeqCst));
    }

    /// Further connections are not cut.
    pub(crate) fn heal(&self) {
        self.is_whole.store(true, Ordering::SeqCst);
    }
}

async fn relay(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    limit: usize,
    arrives: impl Fn() -> bool,
) {
    let (mut left, mut buffer) = (limit, [0; 4096]);
    while left > 0 {
        let room = buffer.len().min(left);
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else {
            return;
        };
        // Asked once it is read: what was said after somebody was muted does not arrive.
        if arrives() && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        left -= read;
    }
}
