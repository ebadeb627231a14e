//! What is asked of labels.

use std::collections::BTreeMap;

use weir_api::crd::{Affinity, Operator, Requirement};

type Labels = BTreeMap<String, String>;

/// Whether labels are as they must be.
pub(super) fn admits(affinity: Option<&Affinity>, labels: &Labels) -> bool {
    let Some(affinity) = affinity else {
        return true;
    };
    let mut pairs = affinity.match_labels.iter();
    pairs.all(|(key, value)| labels.get(key) == Some(value))
        && affinity.required.iter().all(|one| holds(one, labels))
}

/// How much of what counts in favour is there.
pub(super) fn score(affinity: Option<&Affinity>, labels: &Labels) -> u32 {
    let preferred = affinity.iter().flat_map(|affinity| &affinity.preferred);
    let there = preferred.filter(|one| holds(&one.requirement, labels));
    there.map(|one| u32::from(one.weight)).sum()
}

fn holds(requirement: &Requirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    match requirement.operator {
        Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
        Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
    }
}
