//! The leader: one task that knows everything, decides, and starts writes.

mod cache;
mod hearing;
mod pools;
mod tombstones;
mod unserved;
mod volumes;

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::DynamicObject;
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{NodeName, ObjectName};
use weir_api::volume::PlacementRecord;

use super::decide::{AgentState, Hearing, Held};
use super::election::Term;
use super::event::{Events, Note};
use super::ledger::Ledger;
use super::liveness::Liveness;
use super::queue::Queue;
use super::settings::Settings;
use super::watching::{self, Sight, Unserved};
use super::write::{Came, Write};

use cache::Cache;
use tombstones::Tombstones;

/// How many objects are looked at before the leader listens again.
const ROUND: usize = 256;
/// How long changes of pools are gathered before volumes that found no pool are looked at again.
const GATHER: Duration = Duration::from_millis(200);
/// They are looked at after this time at the latest, whatever was seen.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// An object that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Volume(String),
    Pool(String),
    Tombstone(String),
    Unserved(Unserved, String),
}

impl Key {
    pub(super) fn name(&self) -> &str {
        match self {
            Key::Volume(name) | Key::Pool(name) | Key::Tombstone(name) | Key::Unserved(_, name) => {
                name
            }
        }
    }
}

/// How a term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Another one leads, or may.
    Lost,
    /// It was to stop, and did.
    Stopped,
}

/// When there is something to look at.
#[derive(Clone, Copy, Debug)]
enum Next {
    Now,
    At(Instant),
    /// Not before something happens.
    Never,
}

/// A write that is under way.
#[derive(Clone, Debug)]
struct Underway {
    is_bind: bool,
    /// What a person is told once it is done.
    note: Option<Note>,
}

/// Everything that a leader knows in its term.
pub(super) struct Leader {
    client: Client,
    settings: Settings,
    term: Term,
    ledger: Ledger,
    liveness: Liveness,
    pools: Cache<StoragePool>,
    volumes: Cache<Volume>,
    tombstones: Tombstones,
    nodes: Cache<Node>,
    leases: Cache<Lease>,
    /// How each pool's agent was when the pool was looked at last; `None`: there is no such pool.
    agents: HashMap<String, Option<AgentState>>,
    unserved: HashMap<Unserved, Cache<DynamicObject>>,
    queue: Queue<Key>,
    /// Objects with a write under way; whether they are to be looked at after it.
    busy: HashMap<Key, Underway>,
    again: HashSet<Key>,
    held: HashMap<String, Held>,
    /// Placement records that are not in a status yet.
    records: HashMap<String, PlacementRecord>,
    /// Pools that are left out, by the volumes' uids, and until when.
    left_out: HashMap<String, Vec<(ObjectName, Instant)>>,
    /// Volumes for which there was no pool, and when they are looked at again.
    waiting: HashSet<String>,
    wake: Option<Instant>,
    writes: JoinSet<(Key, Came)>,
    watches: JoinSet<()>,
    events: Events,
    /// What is known of nodes' telemetry.
    hearings: HashMap<NodeName, Hearing>,
    since: Instant,
}

impl Leader {
    pub(super) fn new(client: Client, settings: Settings, term: Term) -> Self {
        let mut watches = JoinSet::new();
        let identity = settings.identity.clone();
        let events = Events::start(client.clone(), identity, &mut watches);
        if let Some(taking) = &settings.telemetry {
            taking.pools().clear();
        }
        Leader {
            client,
            settings,
            term,
            ledger: Ledger::default(),
            liveness: Liveness::new(Instant::now()),
            pools: Cache::new(),
            volumes: Cache::new(),
            tombstones: Tombstones::new(),
            nodes: Cache::new(),
            leases: Cache::new(),
            agents: HashMap::new(),
            unserved: HashMap::new(),
            queue: Queue::new(),
            busy: HashMap::new(),
            again: HashSet::new(),
            held: HashMap::new(),
            records: HashMap::new(),
            left_out: HashMap::new(),
            waiting: HashSet::new(),
            wake: None,
            writes: JoinSet::new(),
            watches,
            events,
            hearings: HashMap::new(),
            since: Instant::now(),
        }
    }

    /// Leads until the term is over, or until `stop` becomes true: then what is under way is finished first.
    pub(super) async fn lead(mut self, mut stop: watch::Receiver<bool>) -> Ended {
        let mut sights = watching::begin(&self.client, &mut self.watches);
        let mut tick = tokio::time::interval(self.settings.tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next = self.work();
            let due = async {
                match next {
                    Next::Now => tokio::task::yield_now().await,
                    Next::At(next) => tokio::time::sleep_until(next.into()).await,
                    Next::Never => pending().await,
                }
            };
            tokio::select! {
                () = super::stopped(&mut stop) => break,
                Some(done) = self.writes.join_next(), if !self.writes.is_empty() => match done {
                    Ok((key, came)) => self.came(key, came),
                    // A write that panicked, which none does: its object would stay busy for ever.
                    Err(_) => return Ended::Lost,
                },
                sight = sights.recv() => match sight {
                    Some(sight) => self.see(sight),
                    None => return Ended::Lost,
                },
                _ = tick.tick() => {
                    self.look_for_silence();
                    self.look_at_telemetry(Instant::now());
                }
                () = due => {}
            }
            if !self.term.is_valid() {
                return Ended::Lost;
            }
        }
        while let Some(done) = self.writes.join_next().await {
            if let Ok((_, Came::Unknown(why))) = done {
                tracing::warn!(why, "what came of the last write is not known");
            }
        }
        Ended::Stopped
    }

    /// Whether what there is was seen: before, nothing is decided.
    fn has_seen_everything(&self) -> bool {
        self.pools.is_complete()
            && self.volumes.is_complete()
            && self.tombstones.is_complete()
            && self.nodes.is_complete()
            && self.leases.is_complete()
    }

    /// Looks at what is due; returns when there is more to look at, if nothing happens before.
    fn work(&mut self) -> Next {
        if !self.has_seen_everything() {
            return Next::Never;
        }
        let now = Instant::now();
        if self.wake.is_some_and(|wake| wake <= now) {
            self.wake = None;
            for name in self.waiting.drain() {
                self.queue.push(Key::Volume(name));
            }
        }
        for _ in 0..ROUND {
            // The end of a write is waited for, however much is due.
            if self.writes.len() >= self.settings.writes {
                return Next::Never;
            }
            let Some(key) = self.queue.pop(now) else {
                let next = self.queue.next().into_iter().chain(self.wake).min();
                return next.map_or(Next::Never, Next::At);
            };
            if self.busy.contains_key(&key) {
                self.again.insert(key);
                continue;
            }
            match key {
                Key::Volume(name) => self.look_at_volume(name, now),
                Key::Pool(name) => self.look_at_pool(name, now),
                Key::Tombstone(name) => self.look_at_tombstone(name),
                Key::Unserved(kind, name) => self.look_at_unserved(kind, name),
            }
        }
        Next::Now
    }

    fn see(&mut self, sight: Sight) {
        match sight {
            Sight::Pool(event) => self.see_pool(event),
            Sight::Volume(event) => self.see_volume(event),
            Sight::Tombstone(event) => self.see_tombstone(event),
            Sight::Node(event) => self.see_node(event),
            Sight::Lease(event) => self.see_lease(event),
            Sight::Unserved(kind, event) => self.see_unserved(kind, event),
        }
    }

    /// Starts a write.
    fn write(&mut self, write: Write, is_bind: bool, note: Option<Note>) {
        let underway = Underway { is_bind, note };
        self.busy.insert(write.key.clone(), underway);
        let (client, term) = (self.client.clone(), self.term.clone());
        self.writes
            .spawn(write.go(client, term, self.settings.write));
    }

    /// A write came to its end.
    fn came(&mut self, key: Key, came: Came) {
        let Some(underway) = self.busy.remove(&key) else {
            return;
        };
        match &came {
            Came::Done => {
                self.queue.succeeded(&key);
                if let Some(note) = &underway.note {
                    self.tell(&key, note);
                }
            }
            Came::TooLate => return,
            Came::Outdated => self.queue.failed(key.clone(), Instant::now()),
            Came::Refused(error) => {
                tracing::warn!(?key, %error, "a write was refused");
                self.queue.failed(key.clone(), Instant::now());
            }
            Came::Unknown(why) => {
                tracing::warn!(?key, why, "what came of a write is not known");
                self.queue.failed(key.clone(), Instant::now());
            }
        }
        if let Key::Tombstone(name) = &key
            && !matches!(came, Came::Done)
        {
            self.tombstone_stays(name);
        }
        if underway.is_bind {
            self.came_of_bind(key.name(), &came);
        }
        if self.again.remove(&key) {
            self.queue.push(key);
        }
    }

    fn tell(&self, about: &Key, note: &Note) {
        match about {
            Key::Volume(name) => {
                if let Some(volume) = self.volumes.get(name) {
                    self.events.tell(&**volume, note);
                }
            }
            Key::Pool(name) => {
                if let Some(pool) = self.pools.get(name) {
                    self.events.tell(&**pool, note);
                }
            }
            Key::Tombstone(name) => self.tell_of_tombstone(name, note),
            Key::Unserved(..) => {}
        }
    }

    /// Volumes that found no pool are looked at again, soon.
    fn wake_waiting(&mut self) {
        if !self.waiting.is_empty() && self.wake.is_none_or(|wake| wake > Instant::now() + GATHER) {
            self.wake = Some(Instant::now() + GATHER);
        }
    }
}
