//! Every state that a watch showed of every volume.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_api::crd::Volume;

use super::cluster::{patiently, pool_of};

type States = BTreeMap<String, Vec<Volume>>;

pub(crate) struct History {
    states: Arc<Mutex<States>>,
    seen: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl History {
    /// Begins, and returns once nothing is missed any more.
    pub(crate) async fn begin(client: Client) -> Self {
        let states = Arc::new(Mutex::new(States::new()));
        let (count, seen) = watch::channel(0);
        let (api, kept) = (Api::<Volume>::all(client), Arc::clone(&states));
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                match event.unwrap() {
                    watcher::Event::Apply(volume)
                    | watcher::Event::InitApply(volume)
                    | watcher::Event::Delete(volume) => {
                        let mut states = kept.lock().unwrap();
                        states.entry(volume.name_any()).or_default().push(volume);
                    }
                    watcher::Event::Init | watcher::Event::InitDone => {}
                }
                count.send_modify(|count| *count += 1);
            }
        });
        let mut history = History { states, seen, task };
        // The list of what there was before.
        history.until("the first list", |_| true).await;
        history
    }

    /// Waits until the states are as they should be.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&States) -> bool) {
        let states = Arc::clone(&self.states);
        // A list begins with one word and ends with another.
        let is_there = |seen: &u64| *seen >= 2 && is_so(&states.lock().unwrap());
        let waiting = async {
            self.seen.wait_for(is_there).await.unwrap();
        };
        patiently(what, waiting).await;
    }

    pub(crate) fn end(self) -> States {
        self.task.abort();
        self.states.lock().unwrap().clone()
    }
}

/// The pools that a volume was in, each time that changed; `None`: in none.
pub(crate) fn moves(states: &[Volume]) -> Vec<Option<String>> {
    let mut moves: Vec<Option<String>> = Vec::new();
    for state in states {
        let pool = pool_of(state).map(str::to_owned);
        if moves.last() != Some(&pool) {
            moves.push(pool);
        }
    }
    moves
}
