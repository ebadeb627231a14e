//! Making a volume: its space, its LV, its zeroes; or claiming what is there already.

use weir_api::condition::reason;
use weir_api::units::Bytes;
use weir_api::volume::{Phase, Provisioning, Volume};

use super::marks::{Marks, granted};
use super::thin::thin_pool_problem;
use super::volumes::{Verdict, mismatch};
use super::{Planner, Problem, group_of};
use crate::lvm::report::{Lv, LvKind};
use crate::lvm::{THIN_POOL, UNZEROED_TAG, extents, id_in};
use crate::observed::GroupView;
use crate::record::{PoolRecord, PoolState, VolumeRecord, VolumeState};
use crate::step::Step;
use crate::zero::{ZeroJob, ZeroState};

impl Planner<'_> {
    /// A request of which nothing is recorded. Its data may be there: then the record was lost, and
    /// the volume is claimed again as its LV's tags say.
    pub(super) fn new_volume(&mut self, request: &Volume) -> Result<Verdict, Problem> {
        let (spec, id) = (&request.spec, request.spec.id);
        let (pool, view) = self.usable_pool(&spec.pool_name)?;
        let foreign = |message: String| Problem::new(reason::FOREIGN, message);
        let lv_name = id.lv_name();
        if let Some(source) = spec.source.as_ref().filter(|_| !request.is_deleted())
            && !view.lvs.contains_key(&lv_name)
        {
            return self.adopt(request, source, pool, view);
        }
        if let Some(lv) = view.marked(id).filter(|lv| lv.name != lv_name) {
            let message = format!(
                "LV `{}` carries this volume's id; rename it {lv_name}",
                lv.name
            );
            return Err(foreign(message));
        }
        if let Some(lv) = view.lvs.get(&lv_name) {
            if id_in(&lv.tags) != Some(id) {
                return Err(foreign(format!(
                    "LV `{lv_name}` is there without this volume's tag"
                )));
            }
            return self.claim(request, pool, view, lv);
        }
        if request.is_deleted() {
            let gone = Problem::new(reason::DELETED, "nothing is left of it");
            return Ok(Verdict::new(Phase::Deleted, Err(gone)));
        }
        if self.requests.made.contains(&id) {
            let message = format!(
                "its status says that it was in pool `{}`, and nothing of it is there: it was deleted after this \
                 object was saved, or its LV is lost. No empty volume takes its place: delete this object, and \
                 create one with another id if an empty one is wanted",
                pool.name
            );
            let mut verdict = Verdict::new(
                Phase::Failed,
                Err(Problem::new(reason::DATA_MISSING, message)),
            );
            // It says so again, whoever saves the object with this.
            verdict.capacity = spec.capacity_bytes;
            return Ok(verdict);
        }
        if pool.state != PoolState::Ready {
            let message = format!("pool `{}` is being given up", pool.name);
            let problem = Problem::new(reason::POOL_UNAVAILABLE, message);
            return self.cannot_make(request, problem);
        }
        if let Err(problem) = self.reserve(spec.provisioning, spec.capacity_bytes, pool, view) {
            return self.cannot_make(request, problem);
        }
        let mut verdict = Verdict::waiting(Phase::Creating, "its LV is being made");
        let unit = view.vg.extent;
        let volume = verdict.record(VolumeRecord {
            capacity_bytes: spec
                .capacity_bytes
                .round_up(unit)
                .unwrap_or(spec.capacity_bytes),
            ..VolumeRecord::of(request, VolumeState::Creating)
        });
        self.create(&volume, pool, view, &mut verdict);
        Ok(verdict)
    }

    /// Takes a new volume's space off what this plan can still give.
    fn reserve(
        &mut self,
        provisioning: Provisioning,
        size: Bytes,
        pool: &PoolRecord,
        view: &GroupView,
    ) -> Result<(), Problem> {
        let no_space = |message: String| Problem::new(reason::NO_SPACE, message);
        let limit = self.node.max_volumes;
        if self.volume_count >= limit {
            return Err(no_space(format!(
                "this node has {limit} volumes, as many as it may"
            )));
        }
        let rounded = size.round_up(view.vg.extent);
        match provisioning {
            Provisioning::Thick => {
                let free = self.free.entry(pool.name.clone()).or_default();
                let Some(rounded) = rounded.filter(|rounded| rounded <= free) else {
                    let message = format!("it needs {size}, and pool `{}` has {free}", pool.name);
                    return Err(no_space(message));
                };
                free.0 -= rounded.0;
            }
            Provisioning::Thin => {
                let missing = Problem::new(
                    reason::NO_THIN_POOL,
                    format!("pool `{}` has no thin pool; give it one", pool.name),
                );
                if pool.thin_pool.is_none() || !view.lvs.contains_key(THIN_POOL) {
                    return Err(missing);
                }
                if let Some(problem) = thin_pool_problem(view) {
                    return Err(problem);
                }
                rounded.ok_or_else(|| no_space("it is larger than a device can be".to_owned()))?;
            }
        }
        self.volume_count += 1;
        Ok(())
    }

    fn create(
        &self,
        volume: &VolumeRecord,
        pool: &PoolRecord,
        view: &GroupView,
        verdict: &mut Verdict,
    ) {
        let group = group_of(pool, view);
        let (id, name, size) = (volume.id, volume.name.clone(), volume.capacity_bytes);
        let disks = Step::FlushDisks(group.devices.clone());
        match volume.provisioning {
            Provisioning::Thick => {
                let count = extents(size, view.vg.extent).unwrap_or(0);
                verdict
                    .steps
                    .push(Step::CreateLinear(group, id, name, count));
                verdict.steps.push(disks);
            }
            Provisioning::Thin => {
                verdict.steps.push(Step::CreateThin(group, id, name, size));
                verdict.steps.push(disks);
                let ready = VolumeRecord {
                    state: VolumeState::Ready,
                    ..volume.clone()
                };
                verdict.record(ready);
            }
        }
    }

    fn claim(
        &self,
        request: &Volume,
        pool: &PoolRecord,
        view: &GroupView,
        lv: &Lv,
    ) -> Result<Verdict, Problem> {
        let (provisioning, state) = match lv.kind {
            LvKind::Thin => (Provisioning::Thin, VolumeState::Ready),
            LvKind::Linear if lv.tags.contains(UNZEROED_TAG) => {
                (Provisioning::Thick, VolumeState::Creating)
            }
            LvKind::Linear => (Provisioning::Thick, VolumeState::Ready),
            LvKind::ThinPool | LvKind::Other => {
                let message = format!("LV `{}` is of a kind that Weir doesn't make", lv.name);
                return Err(Problem::new(reason::FOREIGN, message));
            }
        };
        let (attachments, highest_generation) = self.seen_grants(request)?;
        let mut verdict = Verdict::waiting(Phase::Creating, "it is being claimed again");
        verdict
            .steps
            .push(Step::FlushDisks(group_of(pool, view).devices));
        let state = if request.is_deleted() {
            VolumeState::Deleting
        } else {
            state
        };
        verdict.record(VolumeRecord {
            capacity_bytes: lv.size,
            provisioning,
            attachments,
            highest_generation: highest_generation.max(granted(lv)),
            ..VolumeRecord::of(request, state)
        });
        Ok(verdict)
    }

    pub(super) fn creating(&mut self, volume: &VolumeRecord, request: Option<&Volume>) -> Verdict {
        let mut verdict = Verdict::waiting(Phase::Creating, "its LV is being made");
        let (pool, view) = match self.usable_pool(&volume.pool) {
            Ok(usable) => usable,
            Err(problem) => return Verdict::new(Phase::Creating, Err(problem)),
        };
        let group = group_of(pool, view);
        let Some(lv) = view.lvs.get(&volume.id.lv_name()) else {
            self.create(volume, pool, view, &mut verdict);
            return verdict;
        };
        if let Some(problem) = mismatch(volume, lv) {
            return Verdict::new(Phase::Failed, Err(problem));
        }
        let ready = VolumeRecord {
            state: VolumeState::Ready,
            ..volume.clone()
        };
        if !lv.tags.contains(UNZEROED_TAG) {
            verdict.steps.push(Step::FlushDisks(group.devices));
            verdict.record(ready);
            return verdict;
        }
        if lv.number.is_none() {
            verdict
                .steps
                .push(Step::Activate(group.clone(), lv.name.clone()));
        }
        let job = ZeroJob {
            id: volume.id,
            lv_uuid: lv.uuid.clone(),
        };
        let start = Step::StartZeroing(job.clone(), lv.dm_path.clone().into(), lv.size);
        let zeroing = |message: String| Err(Problem::new(reason::ZEROING, message));
        match self.observed.zeroing.get(&job) {
            None => verdict.steps.push(start),
            Some(ZeroState::Running(done)) => {
                verdict.ready = zeroing(format!("{done} of {} are zeroed", lv.size));
            }
            Some(ZeroState::Failed(error)) => {
                verdict.ready = zeroing(format!("{error}; it is tried again"));
                verdict.steps.push(start);
            }
            Some(ZeroState::Done) => {
                // One change of LVM's metadata takes off the mark and says what the grants to come say: a
                // generation that an LV tells too early keeps nobody out but those before it, and there were none.
                let asked = request.iter().flat_map(|request| &request.spec.attachments);
                let asked = asked.map(|attachment| attachment.generation).max();
                let mut marks = Marks::missing(&lv.tags, volume.access, asked.unwrap_or_default());
                marks.remove.push(UNZEROED_TAG.to_owned());
                verdict.steps.push(marks.step(&group, lv));
                verdict.steps.push(Step::FlushDisks(group.devices));
                verdict.record(ready);
            }
        }
        verdict
    }
}
