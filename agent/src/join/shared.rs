//! Where the engine's thread and the API's tasks meet.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};
use weir_api::names::{NodeName, ObjectName};
use weir_telemetry::client::{Credentials, State as Stream};

use super::cache::{Cache, Effect, Place};
use super::known::{Kind, Known};
use crate::cluster::ClusterId;
use crate::requests::Requests;
use crate::statuses::Statuses;
use crate::wake::Wake;

/// Everything that is shared.
pub(super) struct Shared {
    /// Whose agent this is.
    pub(super) node: NodeName,
    wake: Sender<Wake>,
    state: Mutex<State>,
    /// A status may have to be written.
    pub(super) to_tell: Notify,
    /// A pool's object may have to be created.
    pub(super) to_register: Notify,
    /// Other pools may have to be followed.
    pub(super) to_follow: Notify,
    /// Where the leader takes telemetry; `None` while that is not known.
    pub(super) leader: watch::Sender<Option<weir_telemetry::Place>>,
    /// What is shown there; `None` before the kubeconfig was read.
    pub(super) credentials: watch::Sender<Option<Credentials>>,
    /// How the stream to it is.
    pub(super) stream: watch::Sender<Stream>,
}

/// What the lock is for.
#[derive(Default)]
pub(super) struct State {
    /// What is known of the API.
    pub(super) cache: Cache,
    /// What the engine found last; `None` before it looked.
    pub(super) statuses: Option<Statuses>,
    /// The generations of the objects that it looked at then.
    pub(super) generations: Generations,
    /// The generations of those that were last handed out.
    handed_out: Generations,
    is_connected: BTreeMap<Place, bool>,
    last_event: Option<Instant>,
}

/// `metadata.generation` by kind and name.
type Generations = BTreeMap<(Kind, String), i64>;

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Everything that concerns this node is listed, and watched now.
    pub(super) connected: bool,
    /// When anything was last heard.
    pub(super) last_event: Option<Instant>,
    /// It is another cluster's.
    pub(super) is_foreign: bool,
}

impl Shared {
    pub(super) fn new(node: NodeName, wake: Sender<Wake>) -> Self {
        Shared {
            node,
            wake,
            state: Mutex::default(),
            to_tell: Notify::new(),
            to_register: Notify::new(),
            to_follow: Notify::new(),
            leader: watch::Sender::new(None),
            credentials: watch::Sender::new(None),
            stream: watch::Sender::new(Stream::default()),
        }
    }

    /// The state, locked.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No task leaves it half-changed: each change is one call that can't panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn requests(&self) -> Requests {
        let mut state = self.lock();
        let mut generations = Generations::new();
        for kind in [Kind::Pool, Kind::Volume, Kind::Tombstone] {
            for known in state.cache.all(kind) {
                if let Some(generation) = known.generation {
                    generations.insert((kind, known.name.clone()), generation);
                }
            }
        }
        state.handed_out = generations;
        state.cache.requests()
    }

    pub(super) fn told(&self, statuses: &Statuses) {
        let effect = {
            let mut state = self.lock();
            let is_new =
                state.statuses.as_ref() != Some(statuses) || state.generations != state.handed_out;
            if is_new {
                state.statuses = Some(statuses.clone());
                state.generations = state.handed_out.clone();
            }
            let held: std::collections::BTreeSet<ObjectName> =
                statuses.pools.keys().cloned().collect();
            let effect = state.cache.keeps(held);
            Effect {
                status: is_new,
                ..effect
            }
        };
        self.act(effect);
    }

    /// A place was listed, of that cluster.
    pub(super) fn listed(&self, place: &Place, cluster: ClusterId, objects: Vec<Known>) {
        let effect = {
            let mut state = self.lock();
            state.last_event = Some(Instant::now());
            state.cache.listed(place, cluster, objects)
        };
        self.act(effect);
    }

    /// An object changed, or left its place. False if what is known is not of that cluster any more.
    pub(super) fn heard(&self, place: &Place, cluster: ClusterId, event: Event) -> bool {
        let effect = {
            let mut state = self.lock();
            state.last_event = Some(Instant::now());
            match event {
                Event::Changed(known) => state.cache.changed(place, cluster, known),
                Event::Gone(known) => state.cache.gone(place, cluster, &known),
                Event::Nothing => Some(Effect::default()),
            }
        };
        let is_known = effect.is_some();
        self.act(effect.unwrap_or_default());
        is_known
    }

    /// Whether a place is watched now.
    pub(super) fn is_watched(&self, place: &Place, is_connected: bool) {
        let mut state = self.lock();
        state.is_connected.insert(place.clone(), is_connected);
    }

    pub(super) fn link(&self) -> Link {
        let state = self.lock();
        let is_up = |place: &Place| state.is_connected.get(place) == Some(&true);
        let mut pools = state.cache.watched().into_iter();
        Link {
            connected: is_up(&Place::Pools) && pools.all(|pool| is_up(&Place::Volumes(pool))),
            last_event: state.last_event,
            is_foreign: state.is_foreign(),
        }
    }

    fn act(&self, effect: Effect) {
        if effect.asks {
            // An engine that is gone asks for nothing more.
            let _gone = self.wake.send(Wake::Asked);
            self.to_follow.notify_one();
            self.to_register.notify_one();
        }
        if effect.status {
            self.to_register.notify_one();
            self.to_tell.notify_one();
            self.to_follow.notify_one();
        }
    }
}

impl State {
    /// Whether the node was looked at, and is this API's: something may be told there.
    pub(super) fn is_heeding(&self) -> bool {
        self.heeded().is_some()
    }

    /// The cluster whose API is heeded, once its pools are known and the engine looked at them.
    pub(super) fn heeded(&self) -> Option<ClusterId> {
        let cluster = self.cache.cluster_of_pools()?;
        let statuses = self.statuses.as_ref()?;
        (statuses.cluster == Some(cluster) && statuses.foreign.is_none()).then_some(cluster)
    }

    /// Whether the engine said that it does not heed this API.
    pub(super) fn is_foreign(&self) -> bool {
        let statuses = self.statuses.as_ref();
        statuses.is_some_and(|statuses| statuses.foreign.is_some())
    }
}

/// What a watch tells.
pub(super) enum Event {
    /// An object is there, in this state.
    Changed(Known),
    /// An object is gone, or in this place no more.
    Gone(Known),
    /// Only that time passed.
    Nothing,
}
