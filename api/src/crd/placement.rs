//! Placement: which pools may hold a volume, and which are better than others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rules;
use crate::names::NodeName;

/// Which pools may hold a volume, and which are better than others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Where its pool should be, seen from the node that uses it.
    #[serde(default)]
    pub locality: Locality,
    /// The node that will use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_node: Option<NodeName>,
    /// Which nodes, by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Affinity>,
    /// Which pools, by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<Affinity>,
    /// Volumes with the same key are kept on different nodes, e.g. a database's replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub anti_affinity_key: Option<String>,
}

/// Where a volume's pool should be, seen from the node that uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Locality {
    /// On that node, or the volume waits.
    MustLocal,
    /// Better on that node.
    #[default]
    PreferLocal,
    /// Wherever its latency is best.
    NoPreference,
    /// Better on another node.
    PreferRemote,
    /// On another node, or the volume waits.
    MustRemote,
}

/// What is asked of the labels of nodes or pools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Affinity {
    /// Labels that must be there, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::labels")]
    pub match_labels: BTreeMap<String, String>,
    /// What must hold, all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub required: Vec<Requirement>,
    /// What counts in favour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub preferred: Vec<Preference>,
}

/// Something about one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
    "In and NotIn need values, Exists and DoesNotExist have none", ".values",
)])))]
pub struct Requirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How its value and `values` must relate.
    pub operator: Operator,
    /// For `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::words")]
    pub values: Vec<String>,
}

/// How a label's value and given values must relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// It is one of them.
    In,
    /// It is none of them, or the label is not there.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

impl Affinity {
    /// Whether labels are as they must be.
    #[must_use]
    pub fn admits(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut pairs = self.match_labels.iter();
        pairs.all(|(key, value)| labels.get(key) == Some(value))
            && self.required.iter().all(|one| one.holds(labels))
    }
}

impl Requirement {
    /// Whether it holds of labels.
    #[must_use]
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// Something that counts in favour of a node or a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    /// How much.
    #[schemars(range(min = 1, max = 100))]
    pub weight: u8,
    /// What.
    pub requirement: Requirement,
}
