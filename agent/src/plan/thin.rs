//! A pool's thin pool.

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::names::VgName;
use weir_api::units::Bytes;
use weir_api::volume::Provisioning;

use super::{Planner, Problem, group_of};
use crate::dm::thin_pool::{Fill, Level};
use crate::lvm::report::LvKind;
use crate::lvm::{THIN_POOL, THIN_TAG, extents, id_in};
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

/// What was promised to the volumes in a group, thin ones with their full size.
pub(super) fn allocated(view: &GroupView) -> Bytes {
    let of_volumes = view.lvs.values().filter(|lv| id_in(&lv.tags).is_some());
    let sizes = of_volumes.map(|lv| lv.size.0);
    Bytes(sizes.fold(0, u64::saturating_add))
}

/// What there is to say of a thin pool that has not enough room: what that means, and what to do.
pub(super) fn full_condition(group: &VgName, fill: &Fill) -> Option<Condition> {
    let lv = format!("{group}/{THIN_POOL}");
    let usage = fill.usage.unwrap_or_default();
    let full = format!(
        "thin pool `{lv}` is {} % full of data and {} % of metadata",
        usage.data_percent, usage.metadata_percent
    );
    let mut ways = vec![
        "delete volumes",
        "have their users discard what they don't need (fstrim)",
    ];
    let (data, metadata) = (
        format!("`lvextend --size +SIZE {lv}`"),
        format!("`lvextend --poolmetadatasize +SIZE {lv}`"),
    );
    // Where the kernel says that nothing is left, it is so of the data, whatever the figures of a moment ago say.
    let is_metadata = usage.is_metadata_over();
    if usage.is_data_over() || !is_metadata {
        ways.push(&data);
    }
    if is_metadata {
        ways.push(&metadata);
    }
    let ways = ways.join(", or ");
    let (reason, message) = match fill.level {
        Level::Room => return None,
        Level::NearlyFull => (
            reason::THIN_POOL_NEARLY_FULL,
            format!(
                "{full}: no more thin volumes are put there, and at 100 % those in it stop; {ways}"
            ),
        ),
        Level::OutOfSpace => (
            reason::THIN_POOL_OUT_OF_SPACE,
            format!("{full}: writes to its volumes wait for space, and fail in the end; {ways}"),
        ),
        Level::Broken => (
            reason::THIN_POOL_BROKEN,
            format!(
                "the kernel lets nobody write to thin pool `{lv}`: stop its users, deactivate it, and run `lvconvert \
                 --repair {lv}`; the kernel's log says what happened"
            ),
        ),
    };
    Some(Condition::new(
        condition::THIN_POOL_FULL,
        Truth::True,
        reason,
        message,
    ))
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
