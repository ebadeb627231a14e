//! A `weir-controller` that runs as a process of its own, on a directory that outlives it: started,
//! killed, and started again where it was.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long it may take to start: a large store has to be read.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process, and where it keeps everything.
pub(crate) struct Process {
    dir: PathBuf,
    /// With a port of its own from the first start on, so that clients find it again.
    listen: SocketAddr,
    child: Option<Child>,
}

impl Process {
    /// Starts it on a directory, which may be empty.
    pub(crate) fn start(dir: &Path) -> Self {
        let mut process = Self {
            dir: dir.to_owned(),
            listen: free_address(),
            child: None,
        };
        process.start_again();
        process
    }

    /// Starts it once more on the same directory and port, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.unwrap();
        // Another build of it may be named, as one that is released.
        let program = env::var_os("WEIR_CONTROLLER");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_weir-controller").into());
        let child = Command::new(program)
            .arg("--standalone")
            .arg(&self.dir)
            // The API alone: nobody else writes what a test looks at.
            .arg("--api-only")
            .arg("--listen")
            .arg(self.listen.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
        self.wait_until_it_listens();
    }

    /// Ends it as a power cut would, but for what the kernel holds.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(pid(&child), Signal::SIGTERM).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "it ended with {status}: {}", self.said());
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The kubeconfig of the one who may do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// What it wrote, of all its lives.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.join("test.log")
    }

    fn wait_until_it_listens(&mut self) {
        let begun = Instant::now();
        // It listens before it has read everything; whoever connects by then waits.
        while !self.kubeconfig().exists() || TcpStream::connect(self.listen).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended at once: {}", self.said());
            assert!(begun.elapsed() < PATIENCE, "not there: {}", self.said());
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            match child.kill() {
                Err(error) if error.kind() != ErrorKind::InvalidInput => {
                    eprintln!("cannot kill the server: {error}");
                }
                _ => drop(child.wait()),
            }
        }
    }
}

/// An address that nobody listens on. Another may take it before we do; then the server says so.
fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}
