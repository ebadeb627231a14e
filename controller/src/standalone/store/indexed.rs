//! What a store keeps beside an object's bytes, so that selectors need not parse them.

use std::collections::BTreeMap;

/// The parts of an object that selectors look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its selectable fields, e.g. `spec.nodeName`; a field that isn't set is empty.
    pub fields: BTreeMap<String, String>,
}
