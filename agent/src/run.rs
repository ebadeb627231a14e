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
use crate::glance::{self, Places};
use crate::glancer::Glancer;
use crate::measure::Measure;
use crate::orders::Orders;
use crate::plan::Node;
use crate::prepare::prepare;
use crate::record::{BootId, Store};
use crate::source::Source;
use crate::target::{KernelTarget, is_nvmet_loaded};
use crate::wake::Wake;
use crate::watch::{SETTLE, Seen};
use crate::zero::ZeroThreads;

/// How often it is asked whether the request directory changed.
const POLL: Duration = Duration::from_millis(500);
/// Where a glance sees that nothing changed, the node is looked at only once in so many intervals.
const LOOKS_APART: u32 = 10;
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
    (wake, wakes): (Sender<Wake>, Receiver<Wake>),
    mut source: Source,
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
        requests: source.dir().cloned(),
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
    let mut glancer = Glancer::start(Places {
        requests: source.dir().cloned(),
        record: args.record.clone(),
        sysfs: "/sys".into(),
        target: args.configfs.join("nvmet"),
    })?;
    let mut rest = Rest::default();
    let mut woken = None;
    loop {
        let started = Instant::now();
        engine.begins(started);
        // Before the look: what changes while it is taken shows at the next glance.
        let glance = engine
            .rests_on()
            .and_then(|disks| glancer.glance(disks, engine.mapped()?));
        let mut until = started + resync;
        let is_rest = woken.is_none() && rest.goes_on(glance, started);
        // Thin pools fill without anything that a glance sees.
        if is_rest && !engine.has_thin_news() {
            engine.count_glance();
        } else {
            for (order, reply) in orders.try_iter() {
                let now = source.read_now();
                // Whoever asked may have gone: the order stands.
                let answer = engine.answer(&order, &now.requests);
                let _gone = reply.send(source.carry_out(answer));
            }
            let read = source.read();
            let round = engine.round(&read.requests);
            if round.is_ok() {
                source.tell(engine.statuses());
            }
            let is_settled = matches!(round, Ok(Round::Settled));
            if is_settled {
                pause = BACK_OFF.min(resync);
            } else {
                until = Instant::now() + back_off(&mut pause, resync);
            }
            if let Err(error) = &round {
                tracing::error!(error = crate::chain(error), "nothing was done");
            }
            if read.is_partial {
                until = until.min(Instant::now() + SETTLE);
            }
            rest = Rest {
                glance: glance.filter(|_| is_settled && !read.is_partial),
                ends: Some(started + resync * LOOKS_APART),
                requests: read.seen,
            };
        }
        woken = wait(&mut source, &rest.requests, until, &wakes);
        if woken == Some(Wake::Stop) {
            return Ok(());
        }
    }
}

fn back_off(pause: &mut Duration, longest: Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(longest);
    now
}

/// What the last look leaves to be glanced at.
#[derive(Default)]
struct Rest {
    /// What the node looked like just before it, if it found nothing to do.
    glance: Option<glance::Seen>,
    /// When the node is to be looked at whatever a glance says.
    ends: Option<Instant>,
    /// The request files that it read.
    requests: Seen,
}

impl Rest {
    /// Whether a glance that saw this makes a look unnecessary.
    fn goes_on(&self, glance: Option<glance::Seen>, now: Instant) -> bool {
        glance.is_some() && glance == self.glance && self.ends.is_some_and(|ends| now < ends)
    }
}

/// Waits for a change of the requests, a wake-up, or `until`.
fn wait(source: &mut Source, seen: &Seen, until: Instant, wakes: &Receiver<Wake>) -> Option<Wake> {
    loop {
        let now = Instant::now();
        if now >= until {
            return None;
        }
        match wakes.recv_timeout(POLL.min(until - now)) {
            // One look serves all that happened until now.
            Ok(wake) => return Some(wakes.try_iter().fold(wake, Wake::max)),
            Err(RecvTimeoutError::Timeout) if source.has_changed(seen) => return None,
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
