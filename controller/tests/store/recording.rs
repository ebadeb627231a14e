//! A workload that runs once, with what was acknowledged and when, to be cut anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use weir_controller::standalone::store::{
    CommitError, Expected, Key, Revision, Store, StoreLimits, Stored, WatchEvent,
};

use crate::medium::{Flushes, Medium};
use crate::objects::{all, key, open_within, parsed, put, remove, remove_if, volumes};
use crate::tape::{Player, Step};

/// How many write at once.
const CALLERS: u64 = 8;

/// How many changes each tries.
const CHANGES: usize = 120;

/// So few that every state of the history is cut: growing, full, and trimmed in the same
/// transaction that writes.
pub(crate) const LIMITS: StoreLimits = StoreLimits {
    history_changes: 200,
    history_bytes: 1 << 20,
    watcher_backlog: 16_384,
    queue: 1_024,
    batch_changes: 6,
    batch_bytes: 4 << 20,
    cache_bytes: 1 << 20,
};

/// A change that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) key: Key,
    /// The object's last state, if it is gone.
    pub(crate) bytes: Bytes,
    pub(crate) removed: bool,
    /// How much had been done to the disk when it was acknowledged, or more.
    pub(crate) acknowledged: usize,
}

/// What there is, or was: revision and bytes by key.
pub(crate) type Model = BTreeMap<Key, (Revision, Bytes)>;

/// The workload's tape and truth.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) steps: Vec<Step>,
    /// How much had been done when the store was open: a store that was never opened promises
    /// nothing, and the directory shows a file only when it is complete.
    pub(crate) opened: usize,
    /// Every change, in order; the first is of the revision after `Revision::FIRST`.
    pub(crate) made: Vec<Made>,
    /// Flushes and changes, to see that there were groups.
    pub(crate) fsyncs: u64,
}

impl Recording {
    /// Runs the workload on a disk whose flushes work, or lie as soon as the store is open. What
    /// the callers do comes from the seed, how their changes meet does not: each run has another
    /// tape.
    pub(crate) fn make(seed: u64, flushes: Flushes) -> Self {
        let medium = Medium::default();
        // Time for others to join a group.
        medium.flush_takes(Duration::from_micros(300));
        let store = open_within(&medium, LIMITS);
        let opened = medium.position();
        medium.flushes(flushes);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let rng = Rng::with_seed(seed ^ (caller << 32));
                runtime.spawn(call(store.clone(), medium.clone(), rng))
            })
            .collect();
        let mut made = BTreeMap::new();
        for caller in callers {
            made.extend(runtime.block_on(caller).unwrap());
        }
        let fsyncs = store.fsyncs();
        drop(store);
        let revisions = made.keys().copied();
        assert!(
            revisions.eq((2..).take(made.len()).map(Revision)),
            "revisions are consecutive"
        );
        Self {
            steps: medium.steps(),
            opened,
            made: made.into_values().collect(),
            fsyncs,
        }
    }

    pub(crate) fn player(&self) -> Player<'_> {
        Player::new(Vec::new(), &self.steps)
    }

    /// The newest revision that was acknowledged before a cut.
    pub(crate) fn promised(&self, cut: usize) -> Revision {
        let promised = self.made.iter().rposition(|made| made.acknowledged <= cut);
        Revision(promised.map_or(1, |at| at as u64 + 2))
    }

    /// The change of a revision.
    pub(crate) fn change(&self, of: Revision) -> &Made {
        &self.made[usize::try_from(of.0 - 2).unwrap()]
    }

    pub(crate) fn newest(&self) -> Revision {
        Revision(self.made.len() as u64 + 1)
    }

    /// What there was at a revision.
    pub(crate) fn model(&self, at: Revision) -> Model {
        let mut model = Model::new();
        for revision in (2..=at.0).map(Revision) {
            let made = self.change(revision);
            if made.removed {
                model.remove(&made.key);
            } else {
                model.insert(made.key.clone(), (revision, made.bytes.clone()));
            }
        }
        model
    }

    /// Whether a store on what a cut left is as was promised; why not otherwise. Returns its
    /// revision.
    pub(crate) fn check(&self, store: &Store, promised: Revision) -> Result<Revision, String> {
        let revision = store.revision();
        if revision < promised {
            return Err(format!("{promised} was acknowledged, {revision} is there"));
        }
        if revision > self.newest() {
            return Err(format!("{revision} was never asked for"));
        }
        let model = self.model(revision);
        let there: Model = store
            .list(&volumes(), None, 0, &|_| true)
            .items
            .into_iter()
            .map(|stored| ((*stored.key).clone(), (stored.revision, stored.bytes)))
            .collect();
        if there != model {
            return Err(format!("the objects are not those of {revision}"));
        }
        let oldest = store.statistics().oldest;
        if oldest.0 + (LIMITS.history_changes as u64) < revision.0 && oldest != Revision::FIRST {
            return Err(format!("changes are kept only since {oldest}"));
        }
        for from in [
            oldest.0,
            promised.0,
            (oldest.0 + revision.0) / 2,
            revision.0,
        ] {
            self.check_watch(store, Revision(from.max(oldest.0)), revision)?;
        }
        let too_old = Revision(oldest.0 - 1);
        match store.watch(volumes(), too_old, all(), None) {
            Err(_) => Ok(revision),
            Ok(_) => Err(format!("a watch begins after {too_old}")),
        }
    }

    /// Whether a watch is told every change after a revision.
    fn check_watch(&self, store: &Store, from: Revision, to: Revision) -> Result<(), String> {
        let mut watcher = store
            .watch(volumes(), from, all(), None)
            .map_err(|error| format!("no watch from {from}: {error}"))?;
        let mut model = self.model(from);
        for revision in (from.0 + 1..=to.0).map(Revision) {
            let told = watcher.try_next().map_err(|error| error.to_string())?;
            let told = told.ok_or_else(|| format!("a watch from {from} lacks {revision}"))?;
            let made = self.change(revision);
            let before = model.remove(&made.key);
            if !made.removed {
                model.insert(made.key.clone(), (revision, made.bytes.clone()));
            }
            if !is_same(&told, revision, made, before) {
                return Err(format!(
                    "a watch from {from} is told something else at {revision}"
                ));
            }
        }
        match watcher.try_next() {
            Ok(None) => Ok(()),
            more => Err(format!("a watch is told more than there was: {more:?}")),
        }
    }
}

fn is_same(
    told: &WatchEvent,
    revision: Revision,
    made: &Made,
    before: Option<(Revision, Bytes)>,
) -> bool {
    let told_before = told.before.as_ref();
    told.revision == revision
        && told.object.revision == revision
        && *told.object.key == made.key
        && told.object.bytes == made.bytes
        && told.removed == made.removed
        && told_before.map(|stored| (stored.revision, stored.bytes.clone())) == before
}

/// One of the callers: creates, updates and removes what it finds, sometimes by knowledge that is
/// out of date.
async fn call(store: Store, medium: Medium, mut rng: Rng) -> BTreeMap<Revision, Made> {
    let mut made = BTreeMap::new();
    for _ in 0..CHANGES {
        let key = key(&format!("vol-{}", rng.u8(..40)));
        let pool = format!("pool-{}", rng.u8(..5));
        let payload = "x".repeat(match rng.u8(..20) {
            0 => rng.usize(10_000..40_000),
            _ => rng.usize(..3_000),
        });
        let current = store.get(&key);
        let is_stale = rng.u8(..10) == 0;
        let (change, removed) = match &current {
            None => (put(&key, &pool, &payload, Expected::Absent), false),
            Some(stored) if rng.u8(..4) == 0 => (remove(stored), true),
            Some(stored) if is_stale => {
                let before = Revision(stored.revision.0 - 1);
                (remove_if(&key, before, parsed(stored)), true)
            }
            Some(stored) => {
                let expected = Expected::Revision(stored.revision);
                (put(&key, &pool, &payload, expected), false)
            }
        };
        match store.commit(change).await {
            Ok(Stored {
                revision, bytes, ..
            }) => {
                let acknowledged = medium.position();
                made.insert(
                    revision,
                    Made {
                        key,
                        bytes,
                        removed,
                        acknowledged,
                    },
                );
            }
            Err(CommitError::Mismatch { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    made
}
