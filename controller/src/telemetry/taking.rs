//! Telemetry from term to term: begun when this controller leads, ended when it does not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use weir_api::names::{NodeName, ObjectName};
use weir_telemetry::server::Shared;

use super::{Agents, Settings, Term};

/// How long it waits after it could not begin: the port may be one that is about to be free.
const RETRY: Duration = Duration::from_secs(1);

/// What the controllers' Lease is to say: names and values of annotations.
pub type Announcement = BTreeMap<String, String>;

/// How a controller takes telemetry while it leads, and what it was told.
pub struct Taking {
    settings: Settings,
    agents: Agents,
    present: watch::Sender<Option<Shared>>,
    pools: Pools,
}

/// The pools that there are, and whose they are.
#[derive(Clone, Default)]
pub struct Pools(Arc<Mutex<BTreeMap<ObjectName, NodeName>>>);

impl Taking {
    /// Takes it as `settings` says, from these agents.
    #[must_use]
    pub fn new(settings: Settings, agents: Agents) -> Self {
        Taking {
            settings,
            agents,
            present: watch::Sender::new(None),
            pools: Pools::default(),
        }
    }

    /// What was told in the present term; `None` while this controller does not lead.
    #[must_use]
    pub fn present(&self) -> watch::Receiver<Option<Shared>> {
        self.present.subscribe()
    }

    /// The pools that the leader knows.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// How old what is known of a node is; `None` if nothing was told in this term.
    #[must_use]
    pub fn age(&self, node: &NodeName, now: Instant) -> Option<Duration> {
        let present = self.present.borrow();
        present.as_ref()?.look(|book| book.age(node, now))
    }

    /// Takes it until this future is dropped, and says in `announce` where: for as long as somebody listens there.
    pub async fn take(&self, announce: &watch::Sender<Announcement>) {
        let _over = Over {
            taking: self,
            announce,
        };
        let mut told = None;
        loop {
            match Term::begin(&self.settings, self.agents.clone()).await {
                Ok(term) => {
                    told = None;
                    let announced = term.annotations();
                    let announced =
                        announced.map(|(name, value)| (name.to_owned(), value.to_owned()));
                    self.present.send_replace(Some(term.shared().clone()));
                    announce.send_replace(announced.collect());
                    term.over().await;
                    announce.send_replace(Announcement::new());
                    self.present.send_replace(None);
                }
                Err(error) => {
                    let error = weir_api::chain(&error);
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(error, "leading without telemetry; it will be tried again");
                        told = Some(error);
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Says at its end that nobody takes telemetry.
struct Over<'a> {
    taking: &'a Taking,
    announce: &'a watch::Sender<Announcement>,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.announce.send_replace(Announcement::new());
        self.taking.present.send_replace(None);
    }
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        f.debug_struct("Taking")
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

impl Pools {
    /// A pool is a node's.
    pub fn see(&self, pool: ObjectName, node: NodeName) {
        self.lock().insert(pool, node);
    }

    /// A pool is gone.
    pub fn forget(&self, pool: &ObjectName) {
        self.lock().remove(pool);
    }

    /// Nothing is known yet.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<ObjectName, NodeName> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectName, NodeName>> {
        // Each change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
