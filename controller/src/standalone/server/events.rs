//! The end of events: whoever reports something does not come back to delete it.
//!
//! One that nobody wrote to for a while is removed, as a real API server does. How long ago that was is
//! counted here, from when it was first seen so: times in an event are what its reporter says. After a
//! start the count begins anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::change::{failed, object};
use super::{Api, stopped};
use crate::standalone::resource::Nature;
use crate::standalone::store::{self, CommitError, Key, Revision, Scope, Stored};

/// How often all are looked at, in the time that they have.
const LOOKS: u32 = 12;

/// How many are removed at a time: they share the disk's flushes.
const TOGETHER: usize = 64;

/// Since when an event has been of which revision.
#[derive(Default)]
struct Seen(HashMap<Arc<Key>, (Revision, Instant)>);

impl Seen {
    /// Those of all that there are that have not changed for so long.
    fn unchanged(&mut self, all: Vec<Stored>, now: Instant, life: Duration) -> Vec<Stored> {
        let mut seen = HashMap::with_capacity(all.len());
        let mut unchanged = Vec::new();
        for event in all {
            let since = match self.0.get(&event.key) {
                Some(&(revision, since)) if revision == event.revision => since,
                _ => now,
            };
            seen.insert(Arc::clone(&event.key), (event.revision, since));
            if now.duration_since(since) >= life {
                unchanged.push(event);
            }
        }
        self.0 = seen;
        unchanged
    }
}

/// Removes events whose time is over, until the server stops.
pub(super) async fn end(api: &Api) {
    let Some(kind) = api.kinds.all().iter().find(|k| k.nature == Nature::Event) else {
        return;
    };
    let scope = Scope {
        storage: kind.storage.clone(),
        namespace: None,
    };
    let life = api.limits.event_life;
    let mut stopping = api.stopping.clone();
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            () = sleep(life / LOOKS) => {}
            () = stopped(&mut stopping) => return,
        }
        let all = api.store.list(&scope, None, 0, &|_| true).items;
        let unchanged = seen.unchanged(all, Instant::now(), life);
        for events in unchanged.chunks(TOGETHER) {
            remove(api, events).await;
        }
    }
}

async fn remove(api: &Api, events: &[Stored]) {
    let mut running = JoinSet::new();
    for event in events {
        let store = api.store.clone();
        let change = store::Change::Remove {
            key: (*event.key).clone(),
            indexed: (*event.indexed).clone(),
            object: object(event),
            expected: event.revision,
        };
        running.spawn(async move { store.commit(change).await });
    }
    while let Some(ended) = running.join_next().await {
        match ended {
            // Written to, or deleted, just now.
            Ok(Ok(_) | Err(CommitError::Mismatch { .. })) => {}
            // The next look finds it again.
            Ok(Err(error)) => drop(failed(&error)),
            Err(error) => tracing::error!(%error, "an event was not removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standalone::store::Indexed;

    fn event(name: &str, revision: u64) -> Stored {
        let key = Key {
            storage: "events".to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
        };
        Stored {
            key: Arc::new(key),
            bytes: "{}".into(),
            revision: Revision(revision),
            indexed: Arc::new(Indexed::default()),
        }
    }

    /// Seen red with: `_ => now` as `Some(&(_, since)) => since`: what is written to goes all the same.
    #[test]
    fn what_is_written_to_stays() {
        let mut seen = Seen::default();
        let begun = Instant::now();
        let mut at = |second: u64, all: &[(&str, u64)]| {
            let all = all.iter().map(|&(name, revision)| event(name, revision));
            let now = begun + Duration::from_secs(second);
            let gone = seen.unchanged(all.collect(), now, Duration::from_secs(10));
            let names = gone.iter().map(|event| event.key.name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(at(0, &[("a", 1), ("b", 2)]), [""; 0]);
        assert_eq!(at(9, &[("a", 1), ("b", 3)]), [""; 0]);
        assert_eq!(at(10, &[("a", 1), ("b", 3)]), ["a"]);
        assert_eq!(at(11, &[("a", 1), ("b", 3)]), ["a"], "it is still there");
        assert_eq!(at(12, &[("b", 3)]), [""; 0]);
        // Another of the same name.
        assert_eq!(at(18, &[("a", 9), ("b", 3)]), [""; 0]);
        assert_eq!(at(19, &[("a", 9), ("b", 3)]), ["b"]);
    }
}
