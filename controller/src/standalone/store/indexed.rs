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

impl Indexed {
    /// The value of a selectable field. One that isn't set is empty, as it is to a field selector.
    pub fn field(&self, name: &str) -> &str {
        match name {
            "metadata.name" => &self.name,
            "metadata.namespace" => &self.namespace,
            _ => self.fields.get(name).map_or("", String::as_str),
        }
    }

    /// About what this costs in memory, for the bound of the history.
    pub(super) fn weight(&self) -> usize {
        let pairs = self.labels.iter().chain(&self.fields);
        let texts: usize = pairs.map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + self.namespace.len() + self.name.len() + texts
    }
}
