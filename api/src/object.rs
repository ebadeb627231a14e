//! The envelope around every object: kind, metadata, spec, status, as in Kubernetes.

use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

/// An object: `S` is what somebody wants, `T` is what the agent saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Object<S, T> {
    /// Always [`crate::names::API_VERSION`].
    pub api_version: String,
    /// `StoragePool` or `Volume`.
    pub kind: String,
    /// Name and life cycle.
    pub metadata: Metadata,
    /// The wish.
    pub spec: S,
    /// What is; only the agent of the pool's node writes it.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub status: Option<T>,
}

/// Kubernetes' object metadata, as much of it as Weir acts upon. Other fields are accepted and
/// ignored, so that an object printed by `kubectl get -o yaml` is a valid request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The object's name.
    pub name: ObjectName,
    /// When deletion was ordered (RFC 3339). Set, it is the one order that destroys data; an object
    /// that merely vanished orders nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<String>,
}

impl<S, T> Object<S, T> {
    /// An object without status, as whoever asks for it writes it.
    pub fn new(kind: &str, name: ObjectName, spec: S) -> Self {
        Object {
            api_version: crate::names::API_VERSION.to_owned(),
            kind: kind.to_owned(),
            metadata: Metadata {
                name,
                deletion_timestamp: None,
            },
            spec,
            status: None,
        }
    }

    /// The same object with what `change` makes of its spec.
    pub(crate) fn try_map<R, E>(
        self,
        change: impl FnOnce(S) -> Result<R, E>,
    ) -> Result<Object<R, T>, E> {
        Ok(Object {
            spec: change(self.spec)?,
            api_version: self.api_version,
            kind: self.kind,
            metadata: self.metadata,
            status: self.status,
        })
    }

    /// Whether its deletion was ordered.
    pub fn is_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
