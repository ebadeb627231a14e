//! Destroying a volume whose deletion was ordered and recorded.

use weir_api::condition::reason;

use super::volumes::Verdict;
use super::{Planner, Problem, group_of};
use crate::lvm::{id_in, id_tag};
use crate::record::VolumeRecord;
use crate::step::Step;
use crate::zero::{ZeroJob, ZeroState};

impl Planner<'_> {
    pub(super) fn deleting(&mut self, volume: &VolumeRecord, mut verdict: Verdict) -> Verdict {
        verdict.capacity = volume.capacity_bytes;
        let wait = |mut verdict: Verdict, problem: Problem| {
            verdict.ready = Err(problem);
            verdict
        };
        match self.end_all(volume.id, &mut verdict) {
            Ok(false) => {}
            Ok(true) => return verdict,
            Err(problem) => return wait(verdict, problem),
        }
        let (pool, view) = match self.usable_pool(&volume.pool) {
            Ok(usable) => usable,
            Err(problem) => return wait(verdict, problem),
        };
        let group = group_of(pool, view);
        let Some(lv) = view.lvs.get(&volume.id.lv_name()) else {
            verdict.steps.push(Step::FlushDisks(group.devices));
            verdict.steps.push(Step::RemoveVolume(volume.id));
            return verdict;
        };
        if id_in(&lv.tags) != Some(volume.id) {
            let message = format!("LV `{}` does not carry this volume's tag", lv.name);
            return wait(verdict, Problem::new(reason::FOREIGN, message));
        }
        let job = ZeroJob {
            id: volume.id,
            lv_uuid: lv.uuid.clone(),
        };
        if matches!(self.observed.zeroing.get(&job), Some(ZeroState::Running(_))) {
            verdict.steps.push(Step::StopZeroing(job));
            return wait(
                verdict,
                Problem::new(reason::WAITING, "zeroing is being stopped"),
            );
        }
        if lv.is_open {
            return wait(verdict, self.in_use(lv));
        }
        if lv.is_origin {
            let name = &lv.name;
            let message = format!(
                "LV `{name}` has snapshots, which would be destroyed with it; remove those that \
                 `lvs --select 'origin={name}'` lists"
            );
            return wait(verdict, Problem::new(reason::IN_USE, message));
        }
        verdict.steps.push(Step::RemoveLv {
            lv: lv.name.clone(),
            uuid: lv.uuid.clone(),
            tag: id_tag(volume.id),
            group: group.clone(),
        });
        verdict.steps.push(Step::FlushDisks(group.devices));
        verdict.steps.push(Step::RemoveVolume(volume.id));
        verdict
    }
}
