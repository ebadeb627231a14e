//! Telling the API what the engine found: where a status says something else, and only there.
//!
//! A write names the version of the object that it was made from, so that nobody's is lost; where somebody was
//! faster, the object is read and merged again. What is found is told in the end, not each step towards it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use weir_api::condition::Condition;
use weir_api::names::NodeName;
use weir_api::volume::Phase;

use super::back_off::BackOff;
use super::error::{JoinError, answered};
use super::known::{Kind, Known};
use super::merge::Ours;
use super::shared::{Shared, State};
use super::told::Told;
use crate::statuses::{Statuses, of_foreign, of_invalid};

/// Which object.
type Key = (Kind, String);

/// How long nothing has to be looked for, unless something calls for it.
const LONG: Duration = Duration::from_secs(3600);
/// How long it is remembered what was said: somebody who says the opposite each time is not to be answered as
/// fast as they write.
const MEMORY: Duration = Duration::from_secs(60);

/// A status that has to be written.
#[derive(Clone, Debug, PartialEq)]
struct Due {
    ours: Ours,
    /// The object that this was found to be different from, in this version,
    uid: String,
    version: String,
    /// and its status.
    there: Value,
    patch: Map<String, Value>,
}

/// What was done about an object.
struct Past {
    /// What was said last,
    ours: Option<Ours>,
    /// and when.
    at: Instant,
    /// What the API made of it. If that is something else than was said, it would make the same again.
    status: Option<Value>,
    /// When it may be written again.
    not_before: Option<Instant>,
    pause: BackOff,
    told: Told,
}

impl Past {
    fn begins(at: Instant) -> Self {
        Past {
            ours: None,
            at,
            status: None,
            not_before: None,
            pause: BackOff::default(),
            told: Told::default(),
        }
    }

    /// Takes what came of saying `due`.
    fn said(&mut self, key: &Key, due: Due, result: Result<Value, JoinError>) {
        let is_again = self.ours.as_ref() == Some(&due.ours);
        self.at = Instant::now();
        self.ours = Some(due.ours);
        let pauses = match result {
            Ok(status) => {
                self.status = Some(status);
                self.told.forget();
                is_again
            }
            Err(error) => {
                if let Some(error) = self.told.news(&error) {
                    let (kind, name) = (key.0.name(), &key.1);
                    tracing::warn!(kind, name, error, "a status is not told yet");
                }
                // What the API made of it is not known, and surely not what it made of what was said before.
                self.status = None;
                true
            }
        };
        if pauses {
            self.not_before = Some(self.at + self.pause.next());
        } else {
            (self.pause, self.not_before) = (BackOff::default(), None);
        }
    }

    /// Whether saying it would change nothing: it was said, and the API made of it what is there.
    fn is_vain(&self, due: &Due) -> bool {
        self.ours.as_ref() == Some(&due.ours) && self.status.as_ref() == Some(&due.there)
    }
}

/// Writes statuses.
pub(super) async fn tell(shared: &Arc<Shared>, client: &Client) {
    let mut past: BTreeMap<Key, Past> = BTreeMap::new();
    loop {
        let mut again = Instant::now() + LONG;
        let due = due(&shared.lock(), &shared.node, &now());
        past.retain(|key, past| due.contains_key(key) || past.at.elapsed() < MEMORY);
        for (key, due) in due {
            let now = Instant::now();
            let past = past.entry(key.clone()).or_insert_with(|| Past::begins(now));
            if past.is_vain(&due) {
                continue;
            }
            if past.not_before.is_none_or(|time| time <= now) {
                let result = write(shared, client, &key, &due).await;
                past.said(&key, due, result);
            }
            again = past.not_before.map_or(again, |time| again.min(time));
        }
        tokio::select! {
            () = shared.to_tell.notified() => {}
            () = tokio::time::sleep_until(again) => {}
        }
    }
}

/// Writes one, and returns what the API has then.
async fn write(
    shared: &Shared,
    client: &Client,
    (kind, name): &Key,
    due: &Due,
) -> Result<Value, JoinError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource());
    let patch = Patch::Merge(json!({
        // An API that took another's place may have an object of this name, and in this very version.
        "metadata": {"uid": due.uid, "resourceVersion": due.version},
        "status": due.patch,
    }));
    let params = PatchParams {
        field_manager: Some("weir-agent".to_owned()),
        ..PatchParams::default()
    };
    let written = answered("write a status", api.patch_status(name, &params, &patch)).await;
    let (object, result) = match written {
        Ok(object) => (object, Ok(())),
        Err(error) if error.code() == Some(409) => {
            let object = answered("read an object again", api.get(name)).await?;
            (object, Err(error))
        }
        Err(error) => return Err(error),
    };
    let known = Known::of(*kind, object);
    let status = known.as_ref().map(|known| known.status.clone());
    if let Some(known) = known {
        shared.lock().cache.wrote(*kind, known);
    }
    result.map(|()| status.unwrap_or_default())
}

fn now() -> Time {
    Time(Timestamp::now())
}

/// What has to be written.
fn due(state: &State, node: &NodeName, now: &Time) -> BTreeMap<Key, Due> {
    let Some(statuses) = &state.statuses else {
        return BTreeMap::new();
    };
    let said = match &statuses.foreign {
        Some(message) => foreign(state, message),
        // What was found while another cluster's API was heeded, or none yet, is nothing to tell this one: to that one's
        // controller the pool would be an open one with nothing in it.
        None if state.heeded().is_none() => Said::new(),
        None => found(state, node, statuses),
    };
    let due = said.into_iter().filter_map(|(key, (known, ours))| {
        let patch = ours.patch(&known.status, now)?;
        let due = Due {
            ours,
            uid: known.uid.clone(),
            version: known.version.clone(),
            there: known.status.clone(),
            patch,
        };
        Some((key, due))
    });
    due.collect()
}

type Said<'a> = BTreeMap<Key, (&'a Known, Ours)>;

/// In another cluster's API: that its pools are not served, and why. Nothing else is this node's to say.
fn foreign<'a>(state: &'a State, message: &str) -> Said<'a> {
    let pools = state.cache.all(Kind::Pool);
    let said = pools.map(|known| {
        let key = (Kind::Pool, known.name.clone());
        (key, (known, Ours::conditions(of_foreign(message))))
    });
    said.collect()
}

fn found<'a>(state: &'a State, node: &NodeName, statuses: &Statuses) -> Said<'a> {
    let mut said = Said::new();
    let seen = |kind, name: &str| state.generations.get(&(kind, name.to_owned())).copied();
    for ((kind, name), error) in &statuses.invalid {
        let kind = if kind == Kind::Pool.name() {
            Kind::Pool
        } else {
            Kind::Volume
        };
        if let Some(known) = state.cache.known(kind, name.as_str()) {
            let key = (kind, known.name.clone());
            said.insert(key, (known, invalid(kind, known, of_invalid(error))));
        }
    }
    for (name, status) in &statuses.pools {
        if let Some(known) = state.cache.known(Kind::Pool, name.as_str()) {
            let mut status = status.clone();
            status.observed_generation = seen(Kind::Pool, &known.name);
            let ours = Ours::all(Kind::Pool, &status, &["latency"]);
            said.insert((Kind::Pool, known.name.clone()), (known, ours));
        }
    }
    for (name, (id, status)) in &statuses.volumes {
        let known = state.cache.known(Kind::Volume, name.as_str());
        // Another volume of the same name is not what was found.
        if let Some(known) = known.filter(|known| known.id == Some(*id)) {
            let mut status = status.clone();
            status.observed_generation = seen(Kind::Volume, &known.name);
            status.node_name = Some(node.clone());
            let ours = Ours::all(Kind::Volume, &status, &["latency", "placement"]);
            said.insert((Kind::Volume, known.name.clone()), (known, ours));
        }
    }
    for (name, (id, status)) in &statuses.tombstones {
        let known = state.cache.known(Kind::Tombstone, name.as_str());
        if let Some(known) = known.filter(|known| known.id == Some(*id)) {
            let mut status = status.clone();
            status.observed_generation = seen(Kind::Tombstone, &known.name);
            let ours = Ours::all(Kind::Tombstone, &status, &[]);
            said.insert((Kind::Tombstone, known.name.clone()), (known, ours));
        }
    }
    said
}

/// What is said of an object that asks for what can't be served, and of which nothing is recorded.
fn invalid(kind: Kind, known: &Known, conditions: Vec<Condition>) -> Ours {
    let mut ours = Ours::conditions(conditions);
    if kind == Kind::Volume && known.status.get("phase").is_none() {
        let phase = serde_json::to_value(Phase::Pending).unwrap_or_default();
        ours.fields.insert("phase".to_owned(), phase);
    }
    if kind == Kind::Pool {
        // Nothing is recorded of it: it holds nothing that anybody could look for.
        ours.fields.insert("orphans".to_owned(), 0.into());
    }
    ours
}

#[cfg(test)]
mod tests;
