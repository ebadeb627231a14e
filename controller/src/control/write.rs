//! One write, and what came of it.

use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use weir_api::condition::Condition;
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{FINALIZER, ObjectName};

use super::election::Term;
use super::leader::Key;

/// A merge patch of one object that asks for the version that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: Key,
    is_status: bool,
    body: Value,
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

    fn new(key: Key, is_status: bool, body: Value) -> Self {
        Write {
            key,
            is_status,
            body,
        }
    }

    /// Does it, if this one leads still.
    pub(super) async fn go(self, client: Client, term: Term, limit: Duration) -> (Key, Came) {
        let key = self.key.clone();
        if !term.is_valid() {
            return (key, Came::TooLate);
        }
        let came = match tokio::time::timeout(limit, self.send(client)).await {
            Ok(Ok(())) => Came::Done,
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

    async fn send(self, client: Client) -> Result<(), kube::Error> {
        let (name, status) = (self.key.name().to_owned(), self.is_status);
        let body = &self.body;
        match &self.key {
            Key::Volume(_) => patch::<Volume>(&Api::all(client), &name, status, body).await,
            Key::Pool(_) => patch::<StoragePool>(&Api::all(client), &name, status, body).await,
            Key::Unserved(kind, _) => {
                let api: Api<DynamicObject> = Api::all_with(client, &kind.resource());
                patch(&api, &name, status, body).await
            }
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
