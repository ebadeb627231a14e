//! One write, and what came of it.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Value, json};
use weir_api::condition::Condition;
use weir_api::crd::{StoragePool, Tombstone, Volume};
use weir_api::names::{FINALIZER, ObjectName};

use super::decide;
use super::election::Term;
use super::leader::Key;

/// A write about one object.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: Key,
    what: What,
}

/// What is written.
#[derive(Clone, Debug)]
enum What {
    /// A merge patch that asks for the version that was looked at.
    Patch { is_status: bool, body: Value },
    /// A new object of another kind, which the object that is looked at needs.
    Create(Box<Tombstone>),
    /// A tombstone goes, as it was looked at; with a volume's name, only if that volume is still not being deleted
    /// and asks for what the tombstone is about.
    Delete {
        seen: Preconditions,
        claim: Option<(ObjectName, Box<Tombstone>)>,
    },
}

/// What came of a write.
#[derive(Debug)]
pub(super) enum Came {
    /// It was done.
    Done,
    /// It was not done and never will be: the object is another by now, or gone.
    Outdated,
    /// It was not done: the API does not take it.
    Refused(kube::Error),
    /// Nobody knows; it may be done still.
    Unknown(String),
    /// It was not sent: this one does not lead any more.
    TooLate,
}

impl Write {
    pub(super) fn bind(key: Key, volume: &Volume, pool: &ObjectName) -> Self {
        let mut body = with_finalizer(volume);
        body["spec"] = json!({"poolName": pool});
        Self::new(key, false, body)
    }

    pub(super) fn finalizer(key: Key, volume: &Volume) -> Self {
        Self::new(key, false, with_finalizer(volume))
    }

    pub(super) fn unbind(key: Key, volume: &Volume) -> Self {
        let mut body = versioned(volume.metadata.resource_version.as_deref());
        body["spec"] = json!({"poolName": null});
        Self::new(key, false, body)
    }

    pub(super) fn release(key: Key, volume: &Volume) -> Self {
        let mut body = versioned(volume.metadata.resource_version.as_deref());
        let others = volume.metadata.finalizers.iter().flatten();
        let others: Vec<_> = others.filter(|one| *one != FINALIZER).collect();
        body["metadata"]["finalizers"] = json!(others);
        Self::new(key, false, body)
    }

    /// A status: the conditions, all of them, and what else is told.
    pub(super) fn status(
        key: Key,
        version: Option<&str>,
        conditions: &[Condition],
        placement: Option<Value>,
    ) -> Self {
        let mut body = versioned(version);
        body["status"] = json!({"conditions": conditions});
        if let Some(placement) = placement {
            body["status"]["placement"] = placement;
        }
        Self::new(key, true, body)
    }

    /// The tombstone that a volume needs before it may go.
    pub(super) fn create(key: Key, tombstone: Tombstone) -> Self {
        Write {
            key,
            what: What::Create(Box::new(tombstone)),
        }
    }

    pub(super) fn delete(key: Key, tombstone: &Tombstone, claimed_by: Option<ObjectName>) -> Self {
        let seen = Preconditions {
            uid: tombstone.metadata.uid.clone(),
            resource_version: tombstone.metadata.resource_version.clone(),
        };
        let claim = claimed_by.map(|volume| (volume, Box::new(tombstone.clone())));
        Write {
            key,
            what: What::Delete { seen, claim },
        }
    }

    fn new(key: Key, is_status: bool, body: Value) -> Self {
        Write {
            key,
            what: What::Patch { is_status, body },
        }
    }

    /// Does it, if this one leads still.
    pub(super) async fn go(self, client: Client, term: Term, limit: Duration) -> (Key, Came) {
        let key = self.key.clone();
        if !term.is_valid() {
            return (key, Came::TooLate);
        }
        let came = match tokio::time::timeout(limit, self.send(client)).await {
            Ok(Ok(true)) => Came::Done,
            Ok(Ok(false)) => Came::Outdated,
            Ok(Err(kube::Error::Api(status))) => match status.code {
                404 | 409 => Came::Outdated,
                400..=499 if status.code != 429 => Came::Refused(kube::Error::Api(status)),
                _ => Came::Unknown(status.message.clone()),
            },
            Ok(Err(error)) => Came::Unknown(error.to_string()),
            Err(late) => Came::Unknown(late.to_string()),
        };
        (key, came)
    }

    /// False: it is not to be done any more.
    async fn send(self, client: Client) -> Result<bool, kube::Error> {
        let name = self.key.name();
        match &self.what {
            What::Patch { is_status, body } => {
                patch_object(client, &self.key, *is_status, body).await?;
            }
            What::Create(tombstone) => {
                let api: Api<Tombstone> = Api::all(client);
                api.create(&PostParams::default(), tombstone).await?;
            }
            What::Delete { seen, claim } => {
                if let Some((volume, tombstone)) = claim {
                    // Asked now: what this controller last saw may be older than the tombstone.
                    let volumes: Api<Volume> = Api::all(client.clone());
                    let now = volumes.get_opt(volume.as_str()).await?;
                    let is_claimed = now.is_some_and(|volume| {
                        decide::tombstone(tombstone, [&volume]) != decide::Tidy::Wait
                    });
                    if !is_claimed {
                        return Ok(false);
                    }
                }
                let api: Api<Tombstone> = Api::all(client);
                let params = DeleteParams::default().preconditions(seen.clone());
                api.delete(name, &params).await?;
            }
        }
        Ok(true)
    }
}

async fn patch_object(
    client: Client,
    key: &Key,
    is_status: bool,
    body: &Value,
) -> Result<(), kube::Error> {
    let name = key.name();
    match key {
        Key::Volume(_) => patch::<Volume>(&Api::all(client), name, is_status, body).await,
        Key::Pool(_) => patch::<StoragePool>(&Api::all(client), name, is_status, body).await,
        Key::Tombstone(_) => patch::<Tombstone>(&Api::all(client), name, is_status, body).await,
        Key::Unserved(kind, _) => {
            let api: Api<DynamicObject> = Api::all_with(client, &kind.resource());
            patch(&api, name, is_status, body).await
        }
    }
}

async fn patch<K>(api: &Api<K>, name: &str, status: bool, body: &Value) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let (how, patch) = (PatchParams::default(), Patch::Merge(body));
    let done = match status {
        true => api.patch_status(name, &how, &patch).await,
        false => api.patch(name, &how, &patch).await,
    };
    done.map(|_| ())
}

fn versioned(version: Option<&str>) -> Value {
    json!({"metadata": {"resourceVersion": version}})
}

fn with_finalizer(volume: &Volume) -> Value {
    let mut body = versioned(volume.metadata.resource_version.as_deref());
    let mut finalizers = volume.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|one| one == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    body["metadata"]["finalizers"] = json!(finalizers);
    body
}
