//! The kinds that are served, found by path.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::standalone::request::path::GroupVersion;
use crate::standalone::resource::{self, Nature, Resource, ResourceError};

/// Every kind.
pub(super) struct Kinds {
    all: Vec<Arc<Resource>>,
    by_path: HashMap<(String, String, String), Arc<Resource>>,
}

impl Kinds {
    /// The built-in kinds and those of definitions.
    pub(super) fn of_crds(crds: &[Value]) -> Result<Self, ResourceError> {
        let mut all = resource::built_in();
        for crd in crds {
            all.extend(Resource::of_crd(crd)?);
        }
        let all: Vec<_> = all.into_iter().map(Arc::new).collect();
        let by_path = all.iter().map(|kind| {
            let key = (
                kind.group.clone(),
                kind.version.clone(),
                kind.plural.clone(),
            );
            (key, Arc::clone(kind))
        });
        Ok(Self {
            by_path: by_path.collect(),
            all,
        })
    }

    pub(super) fn all(&self) -> &[Arc<Resource>] {
        &self.all
    }

    pub(super) fn find(&self, of: &GroupVersion, plural: &str) -> Option<&Arc<Resource>> {
        let key = (of.group.clone(), of.version.clone(), plural.to_owned());
        self.by_path.get(&key)
    }

    /// The kind that namespaces are of.
    pub(super) fn namespace(&self) -> Option<&Arc<Resource>> {
        self.all
            .iter()
            .find(|kind| kind.nature == Nature::Namespace)
    }

    /// The kinds by their names in the store: those in whose shape objects are kept.
    pub(super) fn stored(&self) -> HashMap<String, Arc<Resource>> {
        let stored = self
            .all
            .iter()
            .filter(|kind| kind.nature != Nature::EventV1);
        stored
            .map(|kind| (kind.storage.clone(), Arc::clone(kind)))
            .collect()
    }
}
