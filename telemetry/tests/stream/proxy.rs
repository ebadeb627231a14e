//! A relay that cuts each connection after some bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Relays to a leader.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    is_whole: Arc<AtomicBool>,
}

impl Proxy {
    /// Cuts after up to so many bytes in either direction, until [`Proxy::heal`].
    pub(crate) async fn to(leader: SocketAddr, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap(),
            cuts: Arc::default(),
            is_whole: Arc::default(),
        };
        let (cuts, is_whole) = (Arc::clone(&proxy.cuts), Arc::clone(&proxy.is_whole));
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
                let cuts = Arc::clone(&cuts);
                tokio::spawn(async move {
                    let (from_agent, to_agent) = agent.into_split();
                    let (from_leader, to_leader) = leader.into_split();
                    // Whichever is through first takes the other with it.
                    tokio::select! {
                        () = relay(from_agent, to_leader, limits.0) => {}
                        () = relay(from_leader, to_agent, limits.1) => {}
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

    /// Further connections are not cut.
    pub(crate) fn heal(&self) {
        self.is_whole.store(true, Ordering::SeqCst);
    }
}

async fn relay(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    limit: usize,
) {
    let (mut left, mut buffer) = (limit, [0; 4096]);
    while left > 0 {
        let room = buffer.len().min(left);
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else {
            return;
        };
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        left -= read;
    }
}
