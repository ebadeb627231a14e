//! What stands in LVM's tags, so that record and requests can be made again from them alone.

use weir_api::names::Generation;
use weir_api::pool::StoragePool;
use weir_api::volume::{Access, Phase};

use super::volumes::Verdict;
use super::{Planner, group_of};
use crate::lvm::report::Lv;
use crate::lvm::{
    MULTI_HOST_TAG, PORTAL_TAG, access_in, generation_in, generation_tag, node_in, node_tag,
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
        let mut marked = generation_in(&lv.tags);
        let mut is_multi_host = access_in(&lv.tags) == Access::MultiHost;
        let group = group_of(pool, view);
        let mut steps = Vec::new();
        let mut mark = |steps: &mut Vec<Step>, record: &VolumeRecord| {
            let new = highest(record);
            let is_wanted = record.access == Access::MultiHost && !is_multi_host;
            if marked >= Some(new) && !is_wanted {
                return;
            }
            let mut add = Vec::new();
            if is_wanted {
                add.push(MULTI_HOST_TAG.to_owned());
                is_multi_host = true;
            }
            let mut old = None;
            if marked < Some(new) {
                add.push(generation_tag(new));
                old = marked.replace(new);
            }
            steps.push(Step::RetagLv {
                group: group.clone(),
                lv: lv.name.clone(),
                uuid: lv.uuid.clone(),
                add,
                remove: old.map(generation_tag).into_iter().collect(),
            });
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
