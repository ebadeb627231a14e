//! Namespaces: those that are always there, and the end of the others.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use weir_api::names::LEASE_NAMESPACE;

use super::change::{is_ending, object};
use super::remove;
use super::{Api, stopped};
use crate::standalone::error::{ApiError, GroupResource};
use crate::standalone::selector::indexed;
use crate::standalone::store::{self, CommitError, Expected, Key, Scope};
use crate::standalone::write::{DeleteOptions, FieldValidation, Writer};

/// The name of namespaces in the store.
const STORAGE: &str = "namespaces";

/// Made at the start, and never deleted.
const LASTING: [&str; 4] = ["default", "kube-system", "kube-node-lease", LEASE_NAMESPACE];

/// How long what is left in a namespace is waited for before it is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// # Errors
/// 403: the namespace is one that is always there.
pub(super) fn refuse_lasting(of: &GroupResource, name: &str) -> Result<(), ApiError> {
    if LASTING.contains(&name) {
        let why = "this namespace may not be deleted";
        return Err(ApiError::forbidden(of, Some(name), why));
    }
    Ok(())
}

fn key(api: &Api, name: &str) -> Key {
    let kind = api.kinds.namespace();
    Key {
        storage: kind.map_or(STORAGE.to_owned(), |kind| kind.storage.clone()),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

impl Api {
    /// # Errors
    /// 404: there is no such namespace. 403: it is being deleted.
    pub(super) fn refuse_ending(
        &self,
        of: &GroupResource,
        name: &str,
        namespace: &str,
    ) -> Result<(), ApiError> {
        let Some(found) = self.store.get(&key(self, namespace)) else {
            let of = GroupResource {
                group: String::new(),
                resource: "namespaces".to_owned(),
                kind: "Namespace".to_owned(),
            };
            return Err(ApiError::not_found(&of, namespace));
        };
        if is_ending(&found) {
            return Err(ApiError::terminating_namespace(of, name, namespace));
        }
        Ok(())
    }
}

/// Makes the namespaces that are always there, and goes on with the end of those that were being
/// deleted when the server stopped.
pub(super) async fn begin(api: &Arc<Api>) -> Result<(), ApiError> {
    let Some(kind) = api.kinds.namespace().cloned() else {
        return Ok(());
    };
    let writer = Writer {
        resource: &kind,
        now: jiff::Timestamp::now(),
        validation: FieldValidation::Ignore,
        field_manager: "weir-controller",
        duplicates: &[],
    };
    for name in LASTING {
        let key = key(api, name);
        if api.store.get(&key).is_some() {
            continue;
        }
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let object = writer.create(None, body, Uuid::new_v4())?.object;
        let change = store::Change::Put {
            indexed: indexed(&kind, &object),
            object,
            key,
            expected: Expected::Absent,
        };
        match api.store.commit(change).await {
            Ok(_) | Err(CommitError::Mismatch { .. }) => {}
            Err(error) => return Err(super::change::failed(&error)),
        }
    }
    let scope = Scope {
        storage: kind.storage.clone(),
        namespace: None,
    };
    let all = api.store.list(&scope, None, 0, &|_| true).items;
    for namespace in all.iter().filter(|namespace| is_ending(namespace)) {
        finish(api, &namespace.key.name);
    }
    Ok(())
}

/// Deletes what is in a namespace and then the namespace, in the background.
pub(super) fn finish(api: &Arc<Api>, name: &str) {
    let (api, name) = (Arc::clone(api), name.to_owned());
    tokio::spawn(async move {
        let mut stopping = api.stopping.clone();
        loop {
            match attempt(&api, &name).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(namespace = name, %error, "a namespace does not end"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stopped(&mut stopping) => return,
            }
        }
    });
}

/// True: it is gone.
async fn attempt(api: &Arc<Api>, name: &str) -> Result<bool, ApiError> {
    let options = DeleteOptions::default();
    let scopes = |api: &Api| {
        let kinds = api.kinds.all().iter().filter(|kind| kind.namespaced);
        let with_scope = kinds.map(|kind| {
            let scope = Scope {
                storage: kind.storage.clone(),
                namespace: Some(name.to_owned()),
            };
            (Arc::clone(kind), scope)
        });
        with_scope.collect::<Vec<_>>()
    };
    for (kind, scope) in scopes(api) {
        let items = api.store.list(&scope, None, 0, &|_| true).items;
        remove::all(api, &kind, items, &options, jiff::Timestamp::now()).await?;
    }
    // Whoever was creating something here when the namespace was marked is through now.
    let _alone = api.namespaces.write().await;
    let is_empty = scopes(api)
        .iter()
        .all(|(_, scope)| api.store.list(scope, None, 1, &|_| true).items.is_empty());
    if !is_empty {
        return Ok(false);
    }
    let key = key(api, name);
    let Some(found) = api.store.get(&key) else {
        return Ok(true);
    };
    let mut last = object(&found);
    if let Some(spec) = last.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("finalizers");
    }
    let has_finalizers = last.pointer("/metadata/finalizers");
    if has_finalizers
        .and_then(Value::as_array)
        .is_some_and(|all| !all.is_empty())
    {
        return Ok(false);
    }
    let change = store::Change::Remove {
        key,
        indexed: (*found.indexed).clone(),
        object: last,
        expected: found.revision,
    };
    match api.store.commit(change).await {
        Ok(_) | Err(CommitError::Mismatch { current: None }) => Ok(true),
        Err(CommitError::Mismatch { .. }) => Ok(false),
        Err(error) => Err(super::change::failed(&error)),
    }
}
