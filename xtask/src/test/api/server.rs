//! A `weir-controller` that serves the API for a while, in a directory of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server; it ends when this is dropped.
pub(crate) struct Server {
    dir: TempDir,
    child: Child,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let dir = tempfile::tempdir().context("making a directory for the server")?;
        let listen = free_address()?;
        let log = File::create(dir.path().join("log")).context("making the server's log")?;
        let child = Command::new(program)
            .arg("--standalone")
            .arg(dir.path())
            // The API alone: nobody else writes what a test looks at.
            .arg("--api-only")
            .args(["--listen", &listen.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut server = Server { dir, child };
        let begun = Instant::now();
        while !server.kubeconfig().exists() || TcpStream::connect(listen).is_err() {
            if server.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                bail!("the server does not listen:\n{}", server.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// The kubeconfig of the one who may do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("admin.kubeconfig")
    }

    /// What it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; nothing of it is kept anyway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on this machine that nobody listens on now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    listener.local_addr().context("looking for a free port")
}
