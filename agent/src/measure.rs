//! The seam between engine and probes: each call says all that is to be measured.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::imports;
use crate::probe::{ProbeConfig, ProbeError, Probes, Snapshot, Wanted};

/// A start whose end was not seen for this long is given up. Far beyond every timeout of NVMe, LVM
/// and dm-thin, after which an I/O has ended one way or the other.
const LOST_AFTER: Duration = Duration::from_secs(600);

/// Measures.
pub trait Measure {
    /// Measures this from now on, and nothing else.
    fn sync(&mut self, wanted: &Wanted);
}

/// Measures nothing.
impl Measure for () {
    fn sync(&mut self, _: &Wanted) {}
}

/// The probes, shared by the engine, which says what to measure, and the scrapes, which read. Where
/// they can't run, volumes are served all the same, and every scrape says why nothing is measured.
#[derive(Clone)]
pub struct SharedProbes {
    state: Arc<Mutex<State>>,
    sysfs: PathBuf,
}

struct State {
    probes: Result<Probes, ProbeError>,
    trouble: Option<String>,
}

impl SharedProbes {
    /// Starts the probes.
    ///
    /// # Errors
    /// Another agent runs on this node. Two of them would undo each other's work.
    pub fn start(config: ProbeConfig) -> Result<Self, ProbeError> {
        let sysfs = config.sysfs.clone();
        let probes = Probes::start(config);
        match probes {
            Err(error @ ProbeError::Busy { .. }) => return Err(error),
            Err(ref error) => tracing::error!(error = crate::chain(error), "nothing is measured"),
            Ok(_) => {}
        }
        let trouble = None;
        Ok(SharedProbes {
            state: Arc::new(Mutex::new(State { probes, trouble })),
            sysfs,
        })
    }

    /// What was counted until now.
    #[must_use]
    pub fn read(&self) -> Snapshot {
        match &self.lock().probes {
            Ok(probes) => probes.read().unwrap_or_else(|error| {
                tracing::error!(error = crate::chain(&error), "cannot read what was counted");
                Snapshot::nothing(&crate::chain(&error))
            }),
            Err(error) => Snapshot::nothing(&crate::chain(error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Probes keep their state in the kernel, where a panic of ours can't tear it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measure for SharedProbes {
    fn sync(&mut self, wanted: &Wanted) {
        let mut state = self.lock();
        let Ok(probes) = &mut state.probes else {
            return;
        };
        // What this node uses of others is nobody's order: it is what it is connected to.
        let wanted = Wanted {
            imports: imports::of(&self.sysfs),
            ..wanted.clone()
        };
        let done = probes.sync(&wanted).and_then(|()| probes.age(LOST_AFTER));
        let trouble = match done {
            Ok(0) => None,
            Ok(lost) => {
                tracing::warn!(lost, "I/Os whose end was not seen were given up");
                None
            }
            Err(error) => Some(crate::chain(&error)),
        };
        if trouble != state.trouble
            && let Some(trouble) = &trouble
        {
            tracing::error!(trouble, "not everything is measured");
        }
        state.trouble = trouble;
    }
}
