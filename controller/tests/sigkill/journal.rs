//! What was acknowledged, what may have been done, and what the watch told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use weir_api::crd::Volume;

/// What an object is: its size, which no two writes share; `None`: it is not there.
pub(crate) type State = Option<u64>;

/// A change, as the watch told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) version: u64,
    pub(crate) name: String,
    pub(crate) state: State,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    objects: Mutex<BTreeMap<String, Known>>,
    told: Mutex<Vec<Told>>,
    /// The newest version that anybody was told.
    newest: AtomicU64,
    acknowledged: AtomicU64,
    is_over: AtomicBool,
}

/// What is known of an object.
#[derive(Debug, Default)]
struct Known {
    /// What it is for certain, unless one of `perhaps` came about.
    state: State,
    /// Writes without an answer since then.
    perhaps: Vec<State>,
    /// Every state it was acknowledged to have had, and under which version, where that is told.
    had: Vec<(State, Option<u64>)>,
    /// Every state it may have had.
    may_have_had: BTreeSet<State>,
}

impl Journal {
    /// Before a write: the newest version there is by now. The write's own must be newer.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::SeqCst)
    }

    /// A write was acknowledged, with the object's version if one was told.
    pub(crate) fn acknowledge(
        &self,
        name: &str,
        state: State,
        version: Option<u64>,
        newer_than: u64,
    ) {
        if let Some(version) = version {
            assert!(
                version > newer_than,
                "{name} was written as version {version} after {newer_than} was there"
            );
            self.newest.fetch_max(version, Ordering::SeqCst);
        }
        let mut objects = self.objects.lock().unwrap();
        let known = objects.entry(name.to_owned()).or_default();
        known.state = state;
        known.perhaps.clear();
        known.had.push((state, version));
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    /// A write got no answer.
    pub(crate) fn perhaps(&self, name: &str, state: State) {
        let mut objects = self.objects.lock().unwrap();
        let known = objects.entry(name.to_owned()).or_default();
        known.perhaps.push(state);
        known.may_have_had.insert(state);
    }

    /// An object was read after writes without an answer.
    pub(crate) fn found(&self, name: &str, state: State) {
        let mut objects = self.objects.lock().unwrap();
        let known = objects.entry(name.to_owned()).or_default();
        let is_possible = known.state == state || known.perhaps.contains(&state);
        assert!(is_possible, "{name} is {state:?}, but {known:?}");
        known.state = state;
        known.perhaps.clear();
    }

    pub(crate) fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Whether the watch has come to a version.
    pub(crate) fn has_watched(&self, version: u64) -> bool {
        let told = self.told.lock().unwrap();
        told.last().is_some_and(|told| told.version >= version)
    }

    /// Everything that was acknowledged is there, and nothing else.
    pub(crate) fn check_list(&self, items: &[Volume]) {
        let found = |volume: &Volume| {
            (
                volume.metadata.name.clone().unwrap(),
                volume.spec.capacity_bytes.0,
            )
        };
        let found: BTreeMap<String, u64> = items.iter().map(found).collect();
        let objects = self.objects.lock().unwrap();
        for (name, known) in objects.iter() {
            let state = found.get(name).copied();
            let is_possible = known.state == state || known.perhaps.contains(&state);
            assert!(is_possible, "{name} is {state:?}, but {known:?}");
        }
        for name in found.keys() {
            assert!(objects.contains_key(name), "nobody wrote {name}");
        }
    }

    /// The watch told every acknowledged write once, in order, and nothing that nobody wrote.
    pub(crate) fn check_watch(&self) {
        let told = self.told.lock().unwrap();
        for pair in told.windows(2) {
            assert!(pair[0].version < pair[1].version, "{pair:?}");
        }
        let objects = self.objects.lock().unwrap();
        for (name, known) in objects.iter() {
            let mut of_it = told.iter().filter(|told| told.name == *name);
            for (state, version) in &known.had {
                // What lies between was done without an answer.
                let next = of_it.by_ref().find(|told| told.state == *state);
                let next = next.unwrap_or_else(|| {
                    panic!("the watch did not tell {name} {state:?} {version:?}")
                });
                assert!(
                    version.is_none_or(|version| version == next.version),
                    "{name}: {version:?}, {next:?}"
                );
            }
            for told in told.iter().filter(|told| told.name == *name) {
                let was_written = known.had.iter().any(|(state, _)| *state == told.state);
                assert!(
                    was_written || known.may_have_had.contains(&told.state),
                    "nobody wrote {told:?}"
                );
            }
        }
    }
}
