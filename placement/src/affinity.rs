//! What is asked of labels.

use std::collections::BTreeMap;

use weir_api::crd::Affinity;

type Labels = BTreeMap<String, String>;

/// Whether labels are as they must be.
pub(super) fn admits(affinity: Option<&Affinity>, labels: &Labels) -> bool {
    affinity.is_none_or(|affinity| affinity.admits(labels))
}

/// How much of what counts in favour is there.
pub(super) fn score(affinity: Option<&Affinity>, labels: &Labels) -> u32 {
    let preferred = affinity.iter().flat_map(|affinity| &affinity.preferred);
    let there = preferred.filter(|one| one.requirement.holds(labels));
    there.map(|one| u32::from(one.weight)).sum()
}
