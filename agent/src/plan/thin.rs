//! A pool's thin pool.

use weir_api::condition::reason;
use weir_api::volume::Provisioning;

use super::{Planner, Problem, group_of};
use crate::lvm::report::LvKind;
use crate::lvm::{THIN_POOL, THIN_TAG, extents};
use crate::observed::GroupView;
use crate::record::{PoolRecord, VolumeRecord, VolumeState};
use crate::step::Step;

impl Planner<'_> {
    pub(super) fn thin_pool(
        &mut self,
        pool: &PoolRecord,
        view: &GroupView,
    ) -> Result<Option<Step>, Problem> {
        let Some(size) = pool.thin_pool else {
            return Ok(None);
        };
        if let Some(problem) = thin_pool_problem(view) {
            return Err(problem);
        }
        if view.lvs.contains_key(THIN_POOL) {
            return Ok(None);
        }
        let group = group_of(pool, view);
        let made_before = |volume: &&VolumeRecord| {
            volume.pool == pool.name
                && volume.provisioning == Provisioning::Thin
                && volume.state == VolumeState::Ready
        };
        if self
            .records
            .volumes
            .values()
            .any(|volume| made_before(&volume))
        {
            let message = format!("thin pool `{}/{THIN_POOL}` is gone", pool.volume_group);
            return Err(Problem::new(reason::DATA_MISSING, message));
        }
        let free = self.free.entry(pool.name.clone()).or_default();
        let rounded = size.round_up(view.vg.extent).filter(|size| size <= free);
        let (Some(rounded), Some(count)) = (rounded, extents(size, view.vg.extent)) else {
            let message = format!("the thin pool needs {size}, and {free} are free");
            return Err(Problem::new(reason::NO_SPACE, message));
        };
        free.0 -= rounded.0;
        Ok(Some(Step::CreateThinPool(group, count)))
    }
}

/// Why thin volumes can't be made in a group, if it has a thin pool at all.
pub(super) fn thin_pool_problem(view: &GroupView) -> Option<Problem> {
    let lv = view.lvs.get(THIN_POOL)?;
    let problem = |message: &str| {
        Some(Problem::new(
            reason::NO_THIN_POOL,
            format!("LV `{THIN_POOL}` {message}"),
        ))
    };
    if lv.kind != LvKind::ThinPool {
        return problem("is not a thin pool; rename or remove it");
    }
    if !lv.tags.contains(THIN_TAG) {
        return problem("does not carry Weir's tag; rename or remove it");
    }
    if !lv.zeroes_blocks {
        return problem("hands out blocks with old data; run `lvchange --zero y` on it");
    }
    None
}
