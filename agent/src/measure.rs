//! The seam between engine and probes: each call says all that is to be measured.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::imports;
use crate::ladder::{self, DiskStatistics, DmStatistics, Rung};
use crate::probe::{ProbeConfig, ProbeError, Probes, Snapshot, StageOff, Wanted};

/// A start whose end was not seen for this long is given up. Far beyond every timeout of NVMe, LVM
/// and dm-thin, after which an I/O has ended one way or the other.
const LOST_AFTER: Duration = Duration::from_secs(600);

/// Measures.
pub trait Measure {
    /// Measures this from now on, and nothing else.
    fn sync(&mut self, wanted: &Wanted);

    /// Goes on with what was last wanted, and sees to what time brings: I/Os that never ended, and ends that the kernel kept from
    /// being seen.
    fn tend(&mut self) {}
}

/// Measures nothing.
impl Measure for () {
    fn sync(&mut self, _: &Wanted) {}
}

/// What measures, shared by the engine, which says what to measure, and the scrapes, which read: the highest rung of the
/// [ladder](crate::ladder) that this agent can reach.
#[derive(Clone)]
pub struct SharedProbes {
    state: Arc<Mutex<State>>,
    sysfs: PathBuf,
}

struct State {
    meter: Meter,
    /// What is not measured on this rung.
    off: Vec<StageOff>,
    trouble: Option<String>,
}

enum Meter {
    Ebpf(Box<Probes>),
    DmStatistics(DmStatistics),
    Diskstats(DiskStatistics),
}

impl SharedProbes {
    /// Starts to measure with the highest rung that can be reached. Why the ones above can't be is logged once, and told
    /// by every scrape.
    ///
    /// # Errors
    /// Another agent runs on this node. Two of them would undo each other's work.
    pub fn start(config: ProbeConfig) -> Result<Self, ProbeError> {
        let sysfs = config.sysfs.clone();
        let probes = match Probes::start(config) {
            Err(error @ ProbeError::Busy { .. }) => return Err(error),
            Err(error) => {
                tracing::debug!(error = crate::chain(&error), "no programs");
                Err(in_short(&error))
            }
            Ok(probes) => match probes.blind().map(str::to_owned) {
                Some(why) => Err(why),
                None => Ok(probes),
            },
        };
        let (meter, choice) = match probes {
            Ok(probes) => {
                let removed = ladder::remove_regions();
                if removed > 0 {
                    tracing::info!(
                        removed,
                        "device mapper's statistics are not needed any more"
                    );
                }
                (Meter::Ebpf(Box::new(probes)), ladder::choose(None, None))
            }
            Err(why) => {
                let statistics = DmStatistics::start(sysfs.clone());
                let statistics = statistics.map_err(|error| in_short(&error));
                let choice =
                    ladder::choose(Some(&why), statistics.as_ref().err().map(|why| &**why));
                let meter = match statistics {
                    Ok(statistics) => Meter::DmStatistics(statistics),
                    Err(_) => Meter::Diskstats(DiskStatistics::new(sysfs.clone())),
                };
                (meter, choice)
            }
        };
        if let (Some(first), Some(last)) = (choice.off.first(), choice.off.last()) {
            let mut reasons = vec![&*first.reason, &*last.reason];
            reasons.dedup();
            let (rung, why) = (choice.rung.label(), reasons.join("; "));
            tracing::warn!(rung, why, "not everything is measured");
        }
        let state = State {
            meter,
            off: choice.off,
            trouble: None,
        };
        Ok(SharedProbes {
            state: Arc::new(Mutex::new(state)),
            sysfs,
        })
    }

    /// What was counted until now.
    #[must_use]
    pub fn read(&self) -> Snapshot {
        let state = self.lock();
        let below = |rung| Snapshot {
            rung,
            off: state.off.clone(),
            ..Snapshot::default()
        };
        match &state.meter {
            Meter::Ebpf(probes) => probes.read().unwrap_or_else(|error| {
                tracing::error!(error = crate::chain(&error), "cannot read what was counted");
                Snapshot::nothing(&crate::chain(&error))
            }),
            Meter::DmStatistics(statistics) => {
                let mut snapshot = below(Rung::DmStatistics);
                let (backends, off) = statistics.read();
                snapshot.backends = backends;
                snapshot.off.extend(off);
                snapshot.map_bytes = statistics.bytes();
                snapshot
            }
            Meter::Diskstats(statistics) => Snapshot {
                backends: statistics.read(),
                ..below(Rung::Diskstats)
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What measures keeps its state in the kernel, where a panic of ours can't tear it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measure for SharedProbes {
    fn sync(&mut self, wanted: &Wanted) {
        let mut state = self.lock();
        let state = &mut *state;
        match &mut state.meter {
            Meter::Ebpf(probes) => sync_probes(probes, wanted, &self.sysfs, &mut state.trouble),
            Meter::DmStatistics(statistics) => statistics.sync(wanted),
            Meter::Diskstats(statistics) => statistics.sync(wanted),
        }
    }

    fn tend(&mut self) {
        let mut state = self.lock();
        let state = &mut *state;
        if let Meter::Ebpf(probes) = &mut state.meter {
            let tended = probes.tend(LOST_AFTER);
            tell(tended, &mut state.trouble);
        }
    }
}

/// An error and what is at the bottom of it. What lies between names whatever map came first, and the reason becomes a label.
fn in_short(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    match error.source() {
        None => error.to_string(),
        Some(_) => format!("{error}: {root}"),
    }
}

/// Ends all measuring on this node: see [`Probes::detach_all`]; and no region of Weir's is left in device mapper's statistics.
/// Returns whether there was anything.
///
/// # Errors
/// If an agent is running, or a pin can't be removed.
pub fn detach_all(bpffs: &Path) -> Result<bool, ProbeError> {
    let had_pins = Probes::detach_all(bpffs)?;
    Ok(ladder::remove_regions() > 0 || had_pins)
}

fn sync_probes(probes: &mut Probes, wanted: &Wanted, sysfs: &Path, trouble: &mut Option<String>) {
    // What this node uses of others is nobody's order: it is what it is connected to.
    let wanted = Wanted {
        imports: imports::of(sysfs),
        ..wanted.clone()
    };
    let done = probes.sync(&wanted).and_then(|()| probes.tend(LOST_AFTER));
    tell(done, trouble);
}

/// Logs what is new of what came of it.
fn tell(done: Result<u64, ProbeError>, trouble: &mut Option<String>) {
    let now = match done {
        Ok(0) => None,
        Ok(lost) => {
            tracing::warn!(lost, "I/Os whose end was not seen were given up");
            None
        }
        Err(error) => Some(crate::chain(&error)),
    };
    if now != *trouble
        && let Some(trouble) = &now
    {
        tracing::error!(trouble, "not everything is measured");
    }
    *trouble = now;
}
