//! Making an LV that is somebody else's a volume, with its data as it is.
//!
//! The order is a request that names the LV. What is recorded then is the LV's UUID: from there on the
//! record alone leads to the end, and no other LV can take the place of the one that was ordered.

use weir_api::condition::reason;
use weir_api::names::{Generation, VolumeId};
use weir_api::volume::{Phase, Provisioning, Source, Volume};

use super::volumes::Verdict;
use super::{Planner, Problem, group_of};
use crate::lvm::report::{Lv, LvKind};
use crate::lvm::{THIN_POOL, generation_tag, id_in, id_tag, is_ours, name_tag};
use crate::observed::GroupView;
use crate::record::{PoolRecord, PoolState, VolumeRecord, VolumeState};
use crate::step::Step;

impl Planner<'_> {
    /// A request of which nothing is recorded, for a volume that an LV is to become.
    pub(super) fn adopt(
        &mut self,
        request: &Volume,
        source: &Source,
        pool: &PoolRecord,
        view: &GroupView,
    ) -> Result<Verdict, Problem> {
        let (spec, id) = (&request.spec, request.spec.id);
        if pool.state != PoolState::Ready {
            let message = format!("pool `{}` is being given up", pool.name);
            return Err(Problem::new(reason::POOL_UNAVAILABLE, message));
        }
        let Some(lv) = view.lvs.get(&source.logical_volume) else {
            let (vg, lv) = (&pool.volume_group, &source.logical_volume);
            let message = format!("spec.source.logicalVolume: there is no LV `{vg}/{lv}`");
            return Err(Problem::new(reason::DATA_MISSING, message));
        };
        check(id, spec.provisioning, lv)?;
        if spec.capacity_bytes.round_up(view.vg.extent) != Some(lv.size) {
            let message = format!(
                "spec.capacityBytes: LV `{}` has {}, no more and no less",
                lv.name, lv.size.0
            );
            return Err(Problem::new(reason::FOREIGN, message));
        }
        let limit = self.node.max_volumes;
        if self.volume_count >= limit {
            let message = format!("this node has {limit} volumes, as many as it may");
            return Err(Problem::new(reason::NO_SPACE, message));
        }
        self.volume_count += 1;
        let mut verdict = Verdict::waiting(Phase::Creating, "its LV is being adopted");
        verdict.record(VolumeRecord {
            capacity_bytes: lv.size,
            adopting: Some(lv.uuid.clone()),
            ..VolumeRecord::of(request, VolumeState::Ready)
        });
        Ok(verdict)
    }

    /// A recorded volume that an LV is becoming: it gets its tags, then its name.
    pub(super) fn adopting(&self, volume: &VolumeRecord) -> Verdict {
        let mut verdict = Verdict::waiting(Phase::Creating, "its LV is being adopted");
        match self.adopting_steps(volume) {
            Ok(steps) => verdict.steps = steps,
            Err(problem) => verdict.ready = Err(problem),
        }
        verdict
    }

    fn adopting_steps(&self, volume: &VolumeRecord) -> Result<Vec<Step>, Problem> {
        let (pool, view) = self.usable_pool(&volume.pool)?;
        let (group, lv_name) = (group_of(pool, view), volume.id.lv_name());
        let flush = Step::FlushDisks(group.devices.clone());
        let mut lvs = view.lvs.values();
        let Some(lv) = lvs.find(|lv| volume.adopting.as_ref() == Some(&lv.uuid)) else {
            let message = "the LV that was to become it is gone; order its deletion";
            return Err(Problem::new(reason::DATA_MISSING, message));
        };
        let is_tagged = id_in(&lv.tags) == Some(volume.id);
        if is_tagged && lv.name == lv_name {
            let adopted = VolumeRecord {
                adopting: None,
                ..volume.clone()
            };
            return Ok(vec![flush, Step::WriteVolume(adopted)]);
        }
        check(volume.id, volume.provisioning, lv)?;
        if !is_tagged {
            let tags = [
                id_tag(volume.id),
                name_tag(&volume.name),
                generation_tag(Generation(0)),
            ];
            let retag = Step::RetagLv {
                group,
                lv: lv.name.clone(),
                uuid: lv.uuid.clone(),
                add: tags.into(),
                remove: Vec::new(),
            };
            return Ok(vec![retag, flush]);
        }
        if view.lvs.contains_key(&lv_name) {
            let message = format!("LV `{lv_name}` is there already; rename it");
            return Err(Problem::new(reason::FOREIGN, message));
        }
        let rename = Step::RenameLv {
            group,
            from: lv.name.clone(),
            uuid: lv.uuid.clone(),
            to: lv_name,
        };
        Ok(vec![rename, flush])
    }
}

/// Checks that an LV may become a volume.
fn check(id: VolumeId, provisioning: Provisioning, lv: &Lv) -> Result<(), Problem> {
    let foreign = |message: String| Err(Problem::new(reason::FOREIGN, message));
    let name = &lv.name;
    if id_in(&lv.tags) != Some(id) && lv.tags.iter().any(|tag| is_ours(tag)) {
        return foreign(format!(
            "LV `{name}` carries Weir's tags: it is not foreign"
        ));
    }
    let is_right = match (provisioning, lv.kind) {
        (Provisioning::Thick, LvKind::Linear) => true,
        (Provisioning::Thin, LvKind::Thin) => lv.pool.as_deref() == Some(THIN_POOL),
        _ => false,
    };
    if !is_right {
        return foreign(format!(
            "LV `{name}` can't become a volume: only a plain LV can (spec.provisioning: thick), or \
             one of thin pool {THIN_POOL} (thin)"
        ));
    }
    if lv.is_open {
        let message = format!("LV `{name}` is open on this node; unmount or close it");
        return Err(Problem::new(reason::IN_USE, message));
    }
    Ok(())
}
