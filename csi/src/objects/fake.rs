//! An API in memory, with whoever acts on its objects played by a function. For unit tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use uuid::Uuid;
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{NodeName, ObjectName};

use super::{ApiError, Labels, Objects, Page, States, Surroundings};

/// Plays controller and agent: what they make of a volume as it is.
pub(crate) type Play = fn(&mut Volume);

/// What happens to the next write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// It is not done, and nobody knows.
    Lost,
    /// It is done, and nobody knows.
    Unheard,
    /// Somebody else changes the object first.
    Raced,
    /// From now on somebody else plays, and has played first.
    Played(Play),
    /// Somebody else grants it first, to node `b`.
    Granted,
}

#[derive(Clone)]
pub(crate) struct Fake {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<watch::Sender<u64>>,
}

struct Inner {
    volumes: BTreeMap<String, Value>,
    /// Ids of all volumes that ever were.
    made: Vec<String>,
    version: u64,
    play: Play,
    pools: Vec<StoragePool>,
    nodes: Vec<String>,
    trouble: VecDeque<Trouble>,
    is_away: bool,
}

impl Fake {
    pub(crate) fn new(play: Play, pools: Vec<StoragePool>, nodes: &[&str]) -> Self {
        let inner = Inner {
            volumes: BTreeMap::new(),
            made: Vec::new(),
            version: 0,
            play,
            pools,
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            trouble: VecDeque::new(),
            is_away: false,
        };
        Fake {
            inner: Arc::new(Mutex::new(inner)),
            changed: Arc::new(watch::channel(0).0),
        }
    }

    /// What happens to the next writes, one each.
    pub(crate) fn trouble(&self, trouble: &[Trouble]) {
        self.with(|inner| inner.trouble.extend(trouble));
    }

    /// From now on it does, or does not, say whether it is there.
    pub(crate) fn is_away(&self, is_away: bool) {
        self.with(|inner| inner.is_away = is_away);
    }

    /// From now on somebody else plays.
    pub(crate) fn play(&self, play: Play) {
        self.with(|inner| inner.play = play);
        let names: Vec<String> = self.with(|inner| inner.volumes.keys().cloned().collect());
        for name in names {
            self.with(|inner| inner.settle(&name));
        }
        self.tell();
    }

    /// Somebody else writes.
    pub(crate) fn patch(&self, name: &str, patch: &Value) {
        self.with(|inner| inner.merge(name, patch));
        self.tell();
    }

    pub(crate) fn volumes(&self) -> Vec<Volume> {
        self.with(|inner| inner.volumes.values().map(object).collect())
    }

    /// Ids of all volumes that ever were.
    pub(crate) fn made(&self) -> Vec<String> {
        self.with(|inner| inner.made.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self) {
        let version = self.with(|inner| inner.version);
        self.changed.send_replace(version);
    }

    /// One write, with what was to happen to it.
    fn write<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Inner) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let unknown = || ApiError::Unavailable("it is away".to_owned());
        let done = self.with(|inner| match inner.trouble.pop_front() {
            Some(Trouble::Lost) => Err(unknown()),
            Some(Trouble::Unheard) => {
                drop(work(inner));
                Err(unknown())
            }
            Some(Trouble::Raced) => {
                inner.merge(
                    name,
                    &json!({"metadata": {"annotations": {"somebody": "else"}}}),
                );
                work(inner)
            }
            Some(Trouble::Played(play)) => {
                inner.play = play;
                inner.settle(name);
                work(inner)
            }
            Some(Trouble::Granted) => {
                let granted = json!([{"nodeName": "b", "generation": 1_u64 << 40}]);
                inner.merge(name, &json!({"spec": {"attachments": granted}}));
                work(inner)
            }
            None => work(inner),
        });
        self.tell();
        done
    }
}

impl Inner {
    fn current(&self, volume: &Volume) -> Result<String, ApiError> {
        let name = volume.metadata.name.clone().unwrap_or_default();
        let there = self
            .volumes
            .get(&name)
            .map(object)
            .ok_or(ApiError::Conflict)?;
        let version = |of: &Volume| {
            (
                of.metadata.uid.clone(),
                of.metadata.resource_version.clone(),
            )
        };
        match version(&there) == version(volume) {
            true => Ok(name),
            false => Err(ApiError::Conflict),
        }
    }

    fn merge(&mut self, name: &str, patch: &Value) {
        let Some(there) = self.volumes.get_mut(name) else {
            return;
        };
        let before = there["spec"].clone();
        merge(there, patch);
        self.stamp(name, &before);
        self.settle(name);
    }

    fn stamp(&mut self, name: &str, before: &Value) {
        self.version += 1;
        let version = self.version;
        let Some(there) = self.volumes.get_mut(name) else {
            return;
        };
        // One spelling for each state: an empty list is none.
        *there = serde_json::to_value(object(there)).unwrap();
        there["metadata"]["resourceVersion"] = json!(version.to_string());
        if there["spec"] != *before {
            let generation = there["metadata"]["generation"].as_i64().unwrap_or(0);
            there["metadata"]["generation"] = json!(generation + 1);
        }
    }

    /// Lets the others act until they have nothing more to do.
    fn settle(&mut self, name: &str) {
        for _ in 0..10 {
            let Some(there) = self.volumes.get(name).cloned() else {
                return;
            };
            let mut volume = object(&there);
            (self.play)(&mut volume);
            let after = serde_json::to_value(&volume).unwrap();
            let is_gone = volume.metadata.deletion_timestamp.is_some()
                && volume.metadata.finalizers.unwrap_or_default().is_empty();
            if is_gone {
                self.version += 1;
                self.volumes.remove(name);
                return;
            }
            if after == there {
                return;
            }
            let before = there["spec"].clone();
            self.volumes.insert(name.to_owned(), after);
            self.stamp(name, &before);
        }
        panic!("the others do not come to an end with {name}");
    }
}

fn object(value: &Value) -> Volume {
    serde_json::from_value(value.clone()).unwrap()
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(into.as_object_mut().unwrap().remove(name)),
            value => merge(&mut into[name], value),
        }
    }
}

impl Objects for Fake {
    async fn get(&self, name: &ObjectName) -> Result<Option<Volume>, ApiError> {
        Ok(self.with(|inner| inner.volumes.get(name.as_str()).map(object)))
    }

    async fn create(&self, volume: Volume) -> Result<Volume, ApiError> {
        let name = volume.metadata.name.clone().unwrap();
        self.write(&name, |inner| {
            if inner.volumes.contains_key(&name) {
                return Err(ApiError::Conflict);
            }
            let mut value = serde_json::to_value(&volume).unwrap();
            value["metadata"]["uid"] = json!(Uuid::new_v4());
            inner.made.push(volume.spec.id.to_string());
            inner.volumes.insert(name.clone(), value);
            inner.stamp(&name, &Value::Null);
            let made = object(&inner.volumes[&name]);
            inner.settle(&name);
            Ok(made)
        })
    }

    async fn change(&self, volume: &Volume, patch: Value) -> Result<Volume, ApiError> {
        let name = volume.metadata.name.clone().unwrap();
        self.write(&name, |inner| {
            let name = inner.current(volume)?;
            let before = inner.volumes[&name]["spec"].clone();
            merge(inner.volumes.get_mut(&name).unwrap(), &patch);
            inner.stamp(&name, &before);
            let changed = object(&inner.volumes[&name]);
            inner.settle(&name);
            Ok(changed)
        })
    }

    async fn delete(&self, volume: &Volume) -> Result<(), ApiError> {
        let name = volume.metadata.name.clone().unwrap();
        self.write(&name, |inner| {
            let name = inner.current(volume)?;
            let ordered = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
            inner.merge(&name, &ordered);
            Ok(())
        })
    }

    fn follow(&self, name: &ObjectName) -> States {
        let (inner, name) = (self.inner.clone(), name.to_string());
        let states = WatchStream::new(self.changed.subscribe()).map(move |_| {
            let inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(inner.volumes.get(&name).map(object))
        });
        states.boxed()
    }

    async fn page(&self, most: u32, token: Option<String>) -> Result<Page, ApiError> {
        let from: usize = match token {
            Some(token) => token.parse().map_err(|_| ApiError::Expired)?,
            None => 0,
        };
        let all = self.volumes();
        let most = if most == 0 {
            all.len()
        } else {
            usize::try_from(most).unwrap()
        };
        let volumes: Vec<Volume> = all.iter().skip(from).take(most).cloned().collect();
        let next = from + volumes.len();
        let next = (next < all.len()).then(|| next.to_string());
        Ok(Page { volumes, next })
    }
}

impl Surroundings for Fake {
    async fn answers(&self) -> bool {
        self.with(|inner| !inner.is_away)
    }

    async fn pools(&self) -> Result<Vec<StoragePool>, ApiError> {
        Ok(self.with(|inner| inner.pools.clone()))
    }

    async fn pool(&self, name: &ObjectName) -> Result<Option<StoragePool>, ApiError> {
        let pools = self.pools().await?;
        let mut pools = pools.into_iter();
        Ok(pools.find(|pool| pool.metadata.name.as_deref() == Some(name.as_str())))
    }

    async fn node(&self, name: &NodeName) -> Result<Option<Labels>, ApiError> {
        let is_there = self.with(|inner| inner.nodes.iter().any(|node| *node == *name.as_str()));
        Ok(is_there.then(Labels::new))
    }
}
