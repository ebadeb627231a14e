//! `weir-agent run`: the loop around the engine.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{SigSet, Signal};
use nvmet::Configfs;

use crate::args::Run;
use crate::cmd::Host;
use crate::disk::HostDisks;
use crate::durable::HostFs;
use crate::engine::{Engine, Parts, Round};
use crate::gauges::Gauges;
use crate::measure::Measure;
use crate::plan::Node;
use crate::prepare::prepare;
use crate::record::Store;
use crate::requests::is_request;
use crate::target::{KernelTarget, is_nvmet_loaded};
use crate::wake::Wake;
use crate::zero::ZeroThreads;

/// How often the request directory is looked at. Reading names and times costs microseconds.
const POLL: Duration = Duration::from_millis(500);
/// How long after its last change the request directory is taken to be complete.
const SETTLE: Duration = Duration::from_millis(300);
/// A directory that never settles is read all the same.
const LONGEST_SETTLE: Duration = Duration::from_secs(5);
/// The first pause after a failure; each further one doubles it, up to the resync interval.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Makes SIGTERM and SIGINT wake the loop to stop. To be called before any thread is started, which
/// would receive them otherwise.
///
/// # Errors
/// The signals can't be blocked, or there is no thread for them.
pub fn stop_on_signals(wake: Sender<Wake>) -> io::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            tracing::info!(%signal, "stopping; exports stay");
            if wake.send(Wake::Stop).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map(drop)
}

/// Keeps this node as asked until told to stop.
///
/// # Errors
/// A directory that the agent needs can't be made.
pub fn run(
    args: &Run,
    measure: Box<dyn Measure>,
    gauges: Arc<Mutex<Gauges>>,
    (wake, woken): (Sender<Wake>, Receiver<Wake>),
) -> io::Result<()> {
    for dir in [&args.record, &args.status] {
        std::fs::create_dir_all(dir)?;
    }
    let runner = Host::new(args.lvm.as_deref());
    prepare(&runner, &args.configfs);
    let parts = Parts {
        node: Node {
            name: args.node.clone(),
            max_volumes: usize::try_from(args.max_volumes).unwrap_or(usize::MAX),
        },
        requests: args.requests.clone(),
        status: args.status.clone(),
        fs: Box::new(HostFs),
        store: Store::new(Box::new(HostFs), args.record.clone()),
        runner: Box::new(runner),
        disks: Box::new(HostDisks),
        zeroing: Box::new(ZeroThreads::new(wake)),
        exports: Box::new(KernelTarget {
            configfs: Configfs::at(args.configfs.join("nvmet")),
            is_loaded: Box::new(is_nvmet_loaded),
        }),
        measure,
    };
    let mut engine = Engine::new(parts, gauges);
    let resync = Duration::from_secs(args.resync.into());
    let mut pause = BACK_OFF.min(resync);
    loop {
        let seen = settled(&args.requests);
        let started = Instant::now();
        let until = match engine.round() {
            Ok(Round::Settled) => {
                pause = BACK_OFF.min(resync);
                started + resync
            }
            Ok(Round::Failed) => started.max(Instant::now()) + back_off(&mut pause, resync),
            Err(error) => {
                tracing::error!(error = crate::chain(&error), "nothing was done");
                Instant::now() + back_off(&mut pause, resync)
            }
        };
        if wait(&args.requests, &seen, until, &woken) == Some(Wake::Stop) {
            return Ok(());
        }
    }
}

fn back_off(pause: &mut Duration, longest: Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(longest);
    now
}

/// Names, sizes and times of the request files.
type Seen = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Waits for a change of the requests, a wake-up, or `until`.
fn wait(requests: &Path, seen: &Seen, until: Instant, woken: &Receiver<Wake>) -> Option<Wake> {
    loop {
        let now = Instant::now();
        if now >= until {
            return None;
        }
        match woken.recv_timeout(POLL.min(until - now)) {
            // One look serves all that happened until now.
            Ok(wake) => return Some(woken.try_iter().fold(wake, Wake::max)),
            Err(RecvTimeoutError::Timeout) if look(requests) != *seen => return None,
            Err(RecvTimeoutError::Timeout) => {}
            // Cannot happen: the engine's own zeroing holds a sender.
            Err(RecvTimeoutError::Disconnected) => return Some(Wake::Stop),
        }
    }
}

/// Waits until nobody is writing to the request directory: half of a request could still be a valid
/// one, without its attachments for example, and that would be an order.
fn settled(requests: &Path) -> Seen {
    let give_up = Instant::now() + LONGEST_SETTLE;
    loop {
        let seen = look(requests);
        let youngest = seen.iter().filter_map(|(_, _, time)| *time).max();
        let age = youngest.and_then(|time| SystemTime::now().duration_since(time).ok());
        // No age: there are no files, or the clock was set back; either way there is nothing to wait for.
        if age.is_none_or(|age| age >= SETTLE) || Instant::now() >= give_up {
            return seen;
        }
        std::thread::sleep(SETTLE);
    }
}

fn look(requests: &Path) -> Seen {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(requests).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_request)
            && let Ok(meta) = std::fs::metadata(entry.path())
        {
            seen.push((entry.path(), meta.len(), meta.modified().ok()));
        }
    }
    seen.sort();
    seen
}

/// A channel for [`run`].
#[must_use]
pub fn channel() -> (Sender<Wake>, Receiver<Wake>) {
    mpsc::channel()
}
