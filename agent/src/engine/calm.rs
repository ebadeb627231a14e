//! Whether nothing goes on: what a glance needs to know before it may stand for a look.

use std::collections::BTreeSet;

use weir_api::condition::{Condition, Truth, reason};

use crate::observed::{Observed, PoolView};
use crate::plan::Plan;

/// What is not as it should be, and gets better only by something that a glance sees: a request, or a
/// change of LVM's metadata. An LV that is open, a portal without its address, a group that is
/// on no disk get better unseen: while anything waits for that, every look is a real one.
const SEEN: [&str; 2] = [reason::DELETED, reason::DATA_MISSING];

/// The disks of all pools, if nothing is waited for that a glance would not see.
pub(super) fn disks(plan: &Plan, observed: &Observed) -> Option<BTreeSet<String>> {
    let mut disks = BTreeSet::new();
    for view in observed.pools.values() {
        match view {
            PoolView::Present(group) if group.missing == 0 => {
                disks.extend(group.devices.iter().cloned());
            }
            _ => return None,
        }
    }
    let pools = plan.pools.values().flat_map(|status| &status.conditions);
    let volumes = plan.volumes.values().flat_map(|status| &status.conditions);
    let tombstones = plan
        .tombstones
        .values()
        .flat_map(|status| &status.conditions);
    let waits = |condition: &Condition| {
        condition.status == Truth::False && !SEEN.contains(&condition.reason.as_str())
    };
    // Without a pool there is nothing to glance at, and one may turn up on any disk.
    (!disks.is_empty() && !pools.chain(volumes).chain(tombstones).any(waits)).then_some(disks)
}
