//! An Ethernet segment between VMs: each QEMU has a Unix datagram socket, one thread copies every
//! frame to all others. It needs no privilege and touches no network of the host.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// The largest frame: virtio-net's segmentation offload hands over up to 64 KiB at once.
const LARGEST_FRAME: usize = 1 << 17;

/// The segment; frames flow until it is dropped.
pub(crate) struct Network {
    dir: PathBuf,
    members: Arc<Mutex<BTreeSet<PathBuf>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// An empty segment; its sockets live in `dir`.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let hub = UnixDatagram::bind(dir.join("hub")).context("making the network's socket")?;
        hub.set_read_timeout(Some(Duration::from_millis(100)))?;
        // A VM that reads nothing (stopped, just killed) must not hold up the others for long:
        // Ethernet may lose frames.
        hub.set_write_timeout(Some(Duration::from_millis(20)))?;
        let members = Arc::new(Mutex::new(BTreeSet::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (all, ended) = (Arc::clone(&members), Arc::clone(&stop));
        let thread = std::thread::spawn(move || copy_frames(&hub, &all, &ended));
        Ok(Network {
            dir: dir.to_owned(),
            members,
            stop,
            thread: Some(thread),
        })
    }

    /// Joins a VM; returns the `-netdev` argument for its QEMU.
    pub(crate) fn join(&self, vm: &str) -> String {
        let socket = self.socket(vm);
        let _ = fs::remove_file(&socket);
        self.members().insert(socket.clone());
        format!(
            "dgram,id=net0,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            socket.display(),
            self.dir.join("hub").display()
        )
    }

    /// Cuts a VM off: its frames reach nobody, and nobody's reach it.
    pub(crate) fn cut_off(&self, vm: &str) {
        self.members().remove(&self.socket(vm));
    }

    /// Plugs a VM in again.
    pub(crate) fn heal(&self, vm: &str) {
        self.members().insert(self.socket(vm));
    }

    fn socket(&self, vm: &str) -> PathBuf {
        self.dir.join(format!("{vm}.net"))
    }

    fn members(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn copy_frames(hub: &UnixDatagram, members: &Mutex<BTreeSet<PathBuf>>, stop: &AtomicBool) {
    let mut frame = vec![0; LARGEST_FRAME];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = hub.recv_from(&mut frame) else {
            continue;
        };
        let Some(from) = from.as_pathname() else {
            continue;
        };
        let members = members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if members.contains(from) {
            for to in members.iter().filter(|to| to.as_path() != from) {
                let _ = hub.send_to(&frame[..length], to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reaches_all_others_but_not_its_sender() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::new(dir.path()).unwrap();
        let sockets = ["a", "b", "c"].map(|vm| {
            network.join(vm);
            let socket = UnixDatagram::bind(dir.path().join(format!("{vm}.net"))).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
            socket
        });
        let hub = dir.path().join("hub");
        let mut frame = [0; 16];
        sockets[0].send_to(b"hello", &hub).unwrap();
        assert_eq!(sockets[1].recv(&mut frame).unwrap(), 5);
        assert_eq!(sockets[2].recv(&mut frame).unwrap(), 5);
        assert!(sockets[0].recv(&mut frame).is_err());

        network.cut_off("b");
        sockets[0].send_to(b"to c", &hub).unwrap();
        sockets[1].send_to(b"to nobody", &hub).unwrap();
        assert_eq!(sockets[2].recv(&mut frame).unwrap(), 4);
        assert!(sockets[1].recv(&mut frame).is_err() && sockets[2].recv(&mut frame).is_err());
        network.heal("b");
        sockets[0].send_to(b"again", &hub).unwrap();
        assert_eq!(sockets[1].recv(&mut frame).unwrap(), 5);
    }
}
