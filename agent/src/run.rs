//! `weir-agent run`: the loop around the engine.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nvmet::Configfs;

use crate::args::Run;
use crate::cmd::Host;
use crate::disk::HostDisks;
use crate::durable::{self, HostFs};
use crate::engine::{Engine, Parts, Round};
use crate::gauges::Gauges;
use crate::measure::Measure;
use crate::orders::Orders;
use crate::plan::Node;
use crate::prepare::prepare;
use crate::record::{BootId, Store};
use crate::target::{KernelTarget, is_nvmet_loaded};
use crate::wake::Wake;
use crate::watch::{self, SETTLE, Seen, look};
use crate::zero::ZeroThreads;

/// How often the request directory is looked at. Reading names and times costs microseconds.
const POLL: Duration = Duration::from_millis(500);
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
    orders: &Orders,
) -> io::Result<()> {
    for dir in [&args.record, &args.status] {
        std::fs::create_dir_all(dir)?;
    }
    let _claim = Store::claim(&args.record)?;
    for dir in [&args.record, &args.status] {
        durable::sweep(&HostFs, dir)?;
    }
    let runner = Host::new(args.lvm.as_deref()).after_others(&args.record.join(".lock"))?;
    prepare(&runner, &args.configfs);
    let parts = Parts {
        node: Node {
            name: args.node.clone(),
            max_volumes: usize::try_from(args.max_volumes).unwrap_or(usize::MAX),
            boot: BootId::of_kernel(Path::new("/proc"))?,
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
        let started = Instant::now();
        let mut read = watch::read(&args.requests);
        for (order, reply) in orders.try_iter() {
            // Whoever asked may have gone: the order stands.
            let _gone = reply.send(engine.answer(&order, &read.requests));
            read = watch::read(&args.requests);
        }
        let mut until = match engine.round(&read.requests) {
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
        if read.is_partial {
            until = until.min(Instant::now() + SETTLE);
        }
        if wait(&args.requests, &read.seen, until, &woken) == Some(Wake::Stop) {
            return Ok(());
        }
    }
}

fn back_off(pause: &mut Duration, longest: Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(longest);
    now
}

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

/// A channel for [`run`].
#[must_use]
pub fn channel() -> (Sender<Wake>, Receiver<Wake>) {
    mpsc::channel()
}
