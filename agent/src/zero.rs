//! Zeroing, a thread per volume, so that a large volume doesn't hold up the others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use weir_api::names::VolumeId;
use weir_api::units::Bytes;

use crate::disk;
use crate::wake::Wake;

/// One zeroing: of this LV. The id alone is not enough: an LV may be removed and made again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZeroJob {
    /// The volume.
    pub id: VolumeId,
    /// LVM's UUID of its LV.
    pub lv_uuid: String,
}

/// How far a zeroing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZeroState {
    /// So much is done.
    Running(Bytes),
    /// All of it is zero, on stable storage.
    Done,
    /// It ended early, for this reason.
    Failed(String),
}

/// Zeroes LVs in the background.
pub trait Zeroing: Send {
    /// Begins; does nothing if the job is running. A job that ended begins anew.
    fn start(&mut self, job: &ZeroJob, device: PathBuf, size: Bytes);
    /// Asks a job to end early.
    fn stop(&mut self, job: &ZeroJob);
    /// Every job since the agent's start that was not forgotten.
    fn jobs(&self) -> BTreeMap<ZeroJob, ZeroState>;
    /// Forgets jobs that ended and that `keep` doesn't name.
    fn retain(&mut self, keep: &dyn Fn(&ZeroJob) -> bool);
}

/// The real thing.
pub struct ZeroThreads {
    jobs: BTreeMap<ZeroJob, Arc<Progress>>,
    wake: Sender<Wake>,
}

#[derive(Default)]
struct Progress {
    done: AtomicU64,
    stop: AtomicBool,
    end: Mutex<Option<Result<(), String>>>,
}

impl ZeroThreads {
    /// Tells `wake` when a job ends.
    #[must_use]
    pub fn new(wake: Sender<Wake>) -> Self {
        ZeroThreads {
            jobs: BTreeMap::new(),
            wake,
        }
    }
}

impl Progress {
    fn end(&self) -> MutexGuard<'_, Option<Result<(), String>>> {
        // The value is written in one assignment: a panic elsewhere can't leave it half-made.
        self.end
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Zeroing for ZeroThreads {
    fn start(&mut self, job: &ZeroJob, device: PathBuf, size: Bytes) {
        let is_running = |progress: &Arc<Progress>| progress.end().is_none();
        if self.jobs.get(job).is_some_and(is_running) {
            return;
        }
        let progress = Arc::new(Progress::default());
        self.jobs.insert(job.clone(), Arc::clone(&progress));
        let (theirs, wake) = (Arc::clone(&progress), self.wake.clone());
        let run = move || {
            let result = disk::zero(&device, size, |done| {
                theirs.done.store(done.0, Ordering::Relaxed);
                !theirs.stop.load(Ordering::Relaxed)
            });
            *theirs.end() = Some(result.map_err(|error| crate::chain(&error)));
            // An error says that nobody listens any more: the agent is stopping.
            let _ = wake.send(Wake::Zeroed);
        };
        let thread = std::thread::Builder::new()
            .name("zero".to_owned())
            .spawn(run);
        if let Err(error) = thread {
            *progress.end() = Some(Err(error.to_string()));
        }
    }

    fn stop(&mut self, job: &ZeroJob) {
        if let Some(progress) = self.jobs.get(job) {
            progress.stop.store(true, Ordering::Relaxed);
        }
    }

    fn jobs(&self) -> BTreeMap<ZeroJob, ZeroState> {
        let state = |progress: &Progress| match progress.end().as_ref() {
            None => ZeroState::Running(Bytes(progress.done.load(Ordering::Relaxed))),
            Some(Ok(())) => ZeroState::Done,
            Some(Err(reason)) => ZeroState::Failed(reason.clone()),
        };
        self.jobs
            .iter()
            .map(|(job, progress)| (job.clone(), state(progress)))
            .collect()
    }

    fn retain(&mut self, keep: &dyn Fn(&ZeroJob) -> bool) {
        self.jobs
            .retain(|job, progress| keep(job) || progress.end().is_none());
    }
}
