//! What stands in LVM's tags, so that record and requests can be made again from them alone.

use std::collections::BTreeSet;

use weir_api::names::Generation;
use weir_api::pool::StoragePool;
use weir_api::volume::{Access, Phase};

use super::volumes::Verdict;
use super::{Planner, group_of};
use crate::lvm::report::Lv;
use crate::lvm::{
    Group, MULTI_HOST_TAG, PORTAL_TAG, access_in, generation_in, generation_tag, node_in, node_tag,
    portal_tag,
};
use crate::observed::{GroupView, PoolView};
use crate::record::{PoolRecord, VolumeRecord};
use crate::step::Step;

/// The highest generation that an LV says it was granted with.
pub(super) fn granted(lv: &Lv) -> Option<Generation> {
    generation_in(&lv.tags).filter(|generation| generation.0 > 0)
}

/// Whether a tag is one of those that [`Planner::mark_pool`] puts on a volume group.
pub(super) fn is_pool_mark(tag: &str) -> bool {
    tag.starts_with(PORTAL_TAG) || node_in([&tag.to_owned()]).is_some()
}

/// Tags that an LV gets and loses.
pub(super) struct Marks {
    pub(super) add: Vec<String>,
    pub(super) remove: Vec<String>,
}

impl Marks {
    /// Those that say which generation is the highest granted, and whether several nodes may use it.
    pub(super) fn missing(tags: &BTreeSet<String>, access: Access, highest: Generation) -> Self {
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        if access == Access::MultiHost && access_in(tags) != Access::MultiHost {
            add.push(MULTI_HOST_TAG.to_owned());
        }
        let marked = generation_in(tags);
        if marked < Some(highest) {
            add.push(generation_tag(highest));
            remove.extend(marked.map(generation_tag));
        }
        Marks { add, remove }
    }

    /// The step that makes it so.
    pub(super) fn step(self, group: &Group, lv: &Lv) -> Step {
        Step::RetagLv {
            group: group.clone(),
            lv: lv.name.clone(),
            uuid: lv.uuid.clone(),
            add: self.add,
            remove: self.remove,
        }
    }
}

impl Planner<'_> {
    /// Puts the highest generation, and whether several nodes may use it, on the LV, on stable storage, between the step that records a grant
    /// and those that make it.
    pub(super) fn mark_generation(&self, volume: &VolumeRecord, verdict: &mut Verdict) {
        let pool = self.records.pools.get(&volume.pool);
        let (Some(pool), Some(PoolView::Present(view))) =
            (pool, self.observed.pools.get(&volume.pool))
        else {
            return;
        };
        let Some(lv) = view.lvs.get(&volume.id.lv_name()) else {
            return;
        };
        if verdict.phase != Phase::Ready {
            return;
        }
        let highest = |record: &VolumeRecord| record.highest_generation.unwrap_or(Generation(0));
        let mut tags = lv.tags.clone();
        let group = group_of(pool, view);
        let mut steps = Vec::new();
        let mut mark = |steps: &mut Vec<Step>, record: &VolumeRecord| {
            let missing = Marks::missing(&tags, record.access, highest(record));
            if missing.add.is_empty() {
                return;
            }
            tags.extend(missing.add.iter().cloned());
            tags.retain(|tag| !missing.remove.contains(tag));
            steps.push(missing.step(&group, lv));
            steps.push(Step::FlushDisks(group.devices.clone()));
        };
        mark(&mut steps, volume);
        for step in verdict.steps.drain(..) {
            let record = match &step {
                Step::WriteVolume(record) => Some(record.clone()),
                // The tag that is read may be one that an agent, killed since, could not flush.
                Step::Export { want, .. } if !want.subsystems.is_empty() => {
                    steps.push(Step::FlushDisks(group.devices.clone()));
                    None
                }
                _ => None,
            };
            steps.push(step);
            if let Some(record) = record {
                mark(&mut steps, &record);
            }
        }
        verdict.steps = steps;
    }

    /// Names a pool's node and portals on its volume group. A portal that is asked for stays named there:
    /// a pool whose record was lost is claimed before its portals are.
    pub(super) fn mark_pool(
        &self,
        pool: &PoolRecord,
        view: &GroupView,
        request: Option<&StoragePool>,
    ) -> Vec<Step> {
        let asked = request.iter().flat_map(|request| &request.spec.portals);
        let asked: Vec<String> = asked.map(portal_tag).collect();
        let portals = pool.portals.iter().filter(|portal| !portal.retiring);
        let mut wanted: Vec<String> = portals.map(|portal| portal_tag(&portal.portal)).collect();
        wanted.push(node_tag(&self.node.name));
        let group = group_of(pool, view);
        let stale = view.vg.tags.iter();
        let kept = |tag: &String| wanted.contains(tag) || asked.contains(tag);
        let stale = stale.filter(|tag| is_pool_mark(tag) && !kept(tag));
        let stale = stale.map(|tag| Step::UntagGroup(group.clone(), tag.clone()));
        let new = wanted.iter().filter(|tag| !view.vg.tags.contains(*tag));
        let new = new.map(|tag| Step::TagGroup(group.clone(), tag.clone()));
        stale.chain(new).collect()
    }
}
