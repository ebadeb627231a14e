//! The kinds of objects that are served.
//!
//! Most come from definitions (CRDs), as in a cluster; a few are a real server's own and are
//! written down here.

mod builtin;
mod definition;

use serde_json::Value;

use super::error::GroupResource;
use super::event;
use super::schema::{Schema, SchemaError};
use super::table::Column;

pub use builtin::built_in;

/// Why a definition can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// A field that has to be there isn't, or is of another type.
    #[error("definition {name:?}: {field} is missing or malformed")]
    Malformed {
        /// The definition's name.
        name: String,
        /// The field.
        field: String,
    },
    /// Something that a real server serves and we don't.
    #[error("definition {name:?}: {what} is not supported")]
    Unsupported {
        /// The definition's name.
        name: String,
        /// What it is.
        what: String,
    },
    /// Its schema can't be served.
    #[error("schema of {kind}")]
    Schema {
        /// The kind.
        kind: String,
        /// Why not.
        #[source]
        source: SchemaError,
    },
}

/// Where a kind comes from: a real server treats its own otherwise than those of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nature {
    /// A definition's.
    Custom,
    /// Core.
    Namespace,
    /// Core.
    Node,
    /// Core.
    Event,
    /// `events.k8s.io`: stored as the core group's.
    EventV1,
    /// `coordination.k8s.io`.
    Lease,
    /// Never any objects.
    Empty,
}

impl Nature {
    /// Whether a PUT without a resourceVersion overwrites what is there.
    #[must_use]
    pub fn may_be_overwritten(self) -> bool {
        matches!(
            self,
            Nature::Namespace | Nature::Node | Nature::Event | Nature::EventV1
        )
    }
}

/// One kind.
#[derive(Debug)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    /// E.g. `v1alpha1`.
    pub version: String,
    /// E.g. `volumes`.
    pub plural: String,
    /// E.g. `volume`.
    pub singular: String,
    /// E.g. `Volume`.
    pub kind: String,
    /// E.g. `wvol`.
    pub short_names: Vec<String>,
    /// Names for several kinds at once, e.g. `weir`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether the status is a subresource.
    pub has_status: bool,
    /// Whether `metadata.generation` counts changes.
    pub has_generation: bool,
    /// Whether there are never any objects: only `get` and `list` are served.
    pub is_always_empty: bool,
    /// Where it comes from.
    pub nature: Nature,
    /// The columns of its table, after the name; empty for kinds that are not a definition's.
    pub columns: Vec<Column>,
    /// Fields that can be selected by, e.g. `spec.poolName`, besides the name and namespace.
    pub selectable: Vec<String>,
    /// The schema, compiled.
    pub schema: Schema,
    /// The schema as OpenAPI v3 documents have it, with `x-kubernetes-group-version-kind`.
    pub open_api: Value,
    /// What the store calls it, e.g. `weir.dev/volumes`; both kinds of events share one.
    pub storage: String,
}

impl Resource {
    /// The kinds of a `CustomResourceDefinition`, one for each version that is served.
    ///
    /// # Errors
    /// When it is malformed, or asks for what isn't served here.
    pub fn of_crd(crd: &Value) -> Result<Vec<Resource>, ResourceError> {
        definition::resources(crd)
    }

    /// How errors name it.
    #[must_use]
    pub fn group_resource(&self) -> GroupResource {
        GroupResource {
            group: self.group.clone(),
            resource: self.plural.clone(),
            kind: self.kind.clone(),
        }
    }

    /// `group/version`, or `v1` in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// An object as it is stored, from the shape that this kind's clients see.
    #[must_use]
    pub fn to_stored(&self, object: Value) -> Value {
        match self.nature {
            Nature::EventV1 => event::to_core(&object),
            _ => object,
        }
    }

    /// An object as this kind's clients see it, from the shape it is stored in.
    #[must_use]
    pub fn to_shown(&self, stored: Value) -> Value {
        match self.nature {
            Nature::EventV1 => event::to_events_v1(&stored),
            _ => stored,
        }
    }
}
