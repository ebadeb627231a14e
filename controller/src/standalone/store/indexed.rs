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
    pub labels: Pairs,
    /// Its selectable fields, e.g. `spec.nodeName`; a field that isn't set is empty.
    pub fields: Pairs,
}

/// Names and values: a map that never changes. There are two for every object, and a `BTreeMap` of
/// two labels takes half a KiB, for it has room for eleven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Box<[(String, String)]>);

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
        let pairs = self.labels.iter().chain(self.fields.iter());
        let texts =
            pairs.map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
        size_of::<Self>() + self.namespace.len() + self.name.len() + texts.sum::<usize>()
    }
}

impl Pairs {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&String> {
        let found = self.0.binary_search_by(|pair| pair.0.as_str().cmp(name));
        found.ok().map(|at| &self.0[at].1)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl FromIterator<(String, String)> for Pairs {
    /// Of pairs with the same name the last counts.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let sorted: BTreeMap<String, String> = pairs.into_iter().collect();
        let tight = |text: String| text.into_boxed_str().into_string();
        let pairs = sorted
            .into_iter()
            .map(|(name, value)| (tight(name), tight(value)));
        Self(pairs.collect())
    }
}

impl<const N: usize> From<[(String, String); N]> for Pairs {
    fn from(pairs: [(String, String); N]) -> Self {
        pairs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_name_and_empty_if_unset() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let indexed = Indexed {
            namespace: "ns".to_owned(),
            name: "vol".to_owned(),
            fields: [
                pair("b", "2"),
                pair("a", "1"),
                pair("c", "x"),
                pair("c", "3"),
            ]
            .into(),
            ..Indexed::default()
        };
        let fields = ["a", "b", "c", "d", "metadata.name", "metadata.namespace"];
        let values = fields.map(|field| indexed.field(field));
        assert_eq!(values, ["1", "2", "3", "", "vol", "ns"]);
        let names: Vec<_> = indexed
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
