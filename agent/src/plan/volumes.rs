//! Volumes: which part of the plan is each one's, and what is told about it.

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::names::ObjectName;
use weir_api::units::Bytes;
use weir_api::volume::{AttachmentStatus, Phase, Provisioning, TargetStatus, Volume, VolumeStatus};

use super::{Planner, Problem};
use crate::lvm::id_in;
use crate::lvm::report::{Lv, LvKind};
use crate::record::{Rejection, VolumeRecord, VolumeState};
use crate::step::{Step, Subject};

/// What was decided about a volume.
pub(super) struct Verdict {
    pub(super) steps: Vec<Step>,
    pub(super) phase: Phase,
    pub(super) ready: Result<(), Problem>,
    pub(super) exported: Option<Result<Problem, Problem>>,
    pub(super) refused: Option<Problem>,
    pub(super) capacity: Bytes,
    pub(super) device_path: Option<String>,
    pub(super) target: Option<TargetStatus>,
    pub(super) attachments: Vec<AttachmentStatus>,
    /// Somebody on this node has the volume open besides its exports.
    pub(super) opened_locally: Option<Problem>,
    /// It is not made here, as is recorded.
    pub(super) rejected: Option<Rejection>,
    /// A tombstone stands for the request that is not there.
    pub(super) is_buried: bool,
}

impl Verdict {
    pub(super) fn new(phase: Phase, ready: Result<(), Problem>) -> Self {
        Verdict {
            steps: Vec::new(),
            phase,
            ready,
            exported: None,
            refused: None,
            capacity: Bytes(0),
            device_path: None,
            target: None,
            attachments: Vec::new(),
            opened_locally: None,
            rejected: None,
            is_buried: false,
        }
    }

    pub(super) fn waiting(phase: Phase, message: &str) -> Self {
        Verdict::new(phase, Err(Problem::new(reason::WAITING, message)))
    }

    fn refuse(problem: Problem) -> Self {
        let mut verdict = Verdict::new(Phase::Pending, Err(problem.clone()));
        verdict.refused = Some(problem);
        verdict
    }

    /// Records something, before the steps that follow it.
    pub(super) fn record(&mut self, volume: VolumeRecord) -> VolumeRecord {
        self.steps.push(Step::WriteVolume(volume.clone()));
        volume
    }
}

impl<'a> Planner<'a> {
    pub(super) fn volumes(&mut self) {
        for (name, request) in &self.requests.volumes {
            let verdict = self.requested(request);
            self.volume_done(name, Some(request), verdict);
        }
        for volume in self.records.volumes.values() {
            // One that a request names by its id was planned above. The request may go by another
            // name, or its name may be taken by another id: either is refused there.
            let named = self.requests.volumes.get(&volume.name);
            if named.is_some_and(|request| request.spec.id == volume.id) {
                continue;
            }
            let verdict = self.recorded(volume, None);
            self.volume_done(&volume.name, None, verdict);
        }
    }

    fn volume_done(&mut self, name: &ObjectName, request: Option<&Volume>, verdict: Verdict) {
        let status = self.volume_status(name, request, &verdict);
        // A request under the same name tells its own story: that the name is taken.
        self.plan.volumes.entry(name.clone()).or_insert(status);
        self.work(Subject::Volume(name.clone()), verdict.steps);
    }

    fn requested(&mut self, request: &'a Volume) -> Verdict {
        let id = request.spec.id;
        let name = &request.metadata.name;
        if let Some(broken) = self.records.broken_volumes.get(&id) {
            let message = format!(
                "{}: {}; restore the file",
                broken.path.display(),
                broken.reason
            );
            return Verdict::new(
                Phase::Failed,
                Err(Problem::new(reason::RECORD_BROKEN, message)),
            );
        }
        if let Some(volume) = self.records.volumes.get(&id) {
            if volume.name == *name {
                return self.recorded(volume, Some(request));
            }
            let message = format!("spec.id is that of volume `{}`", volume.name);
            return Verdict::refuse(Problem::new(reason::ID_IN_USE, message));
        }
        let mut others = self.requests.volumes.values();
        if let Some(other) =
            others.find(|other| other.spec.id == id && other.metadata.name != *name)
        {
            let message = format!("spec.id is that of volume `{}` too", other.metadata.name);
            return Verdict::refuse(Problem::new(reason::ID_IN_USE, message));
        }
        let mut recorded = self.records.held();
        if let Some(other) = recorded.find(|volume| volume.name == *name)
            && !request.is_deleted()
        {
            let message = format!(
                "metadata.name is that of volume {}, which has to be deleted first",
                other.id
            );
            return Verdict::refuse(Problem::new(reason::NAME_IN_USE, message));
        }
        self.new_volume(request)
            .unwrap_or_else(|problem| Verdict::new(Phase::Pending, Err(problem)))
    }

    fn recorded(&mut self, volume: &VolumeRecord, request: Option<&Volume>) -> Verdict {
        let is_buried = self.is_buried(volume);
        let mut verdict = self.recorded_with(volume, request, is_buried);
        verdict.is_buried = is_buried;
        if let (Phase::Deleting, Err(problem)) = (verdict.phase, &verdict.ready) {
            self.deletions.insert(volume.id, problem.clone());
        }
        verdict
    }

    fn recorded_with(
        &mut self,
        volume: &VolumeRecord,
        request: Option<&Volume>,
        is_buried: bool,
    ) -> Verdict {
        let is_held = matches!(volume.state, VolumeState::Creating | VolumeState::Ready);
        let is_ordered = is_buried || request.is_some_and(Volume::is_deleted);
        if is_held && is_ordered {
            let mut verdict = Verdict::waiting(Phase::Deleting, "its deletion is recorded");
            let volume = verdict.record(VolumeRecord {
                state: VolumeState::Deleting,
                attachments: Vec::new(),
                revoked: true,
                ..volume.clone()
            });
            return self.deleting(&volume, verdict);
        }
        let mut verdict = match volume.state {
            VolumeState::Creating => self.creating(volume, request),
            VolumeState::Ready if volume.adopting.is_some() => self.adopting(volume),
            VolumeState::Ready => {
                let mut verdict = self.ready(volume, request);
                self.mark_generation(volume, &mut verdict);
                verdict
            }
            VolumeState::Rejected => return self.rejected(volume, request),
            VolumeState::Deleting => {
                let waiting = Verdict::waiting(Phase::Deleting, "it is being removed");
                return self.deleting(volume, waiting);
            }
        };
        verdict.capacity = volume.capacity_bytes;
        verdict
    }

    fn volume_status(
        &self,
        name: &ObjectName,
        request: Option<&Volume>,
        verdict: &Verdict,
    ) -> VolumeStatus {
        let mut conditions = vec![match &verdict.ready {
            Ok(()) => Condition::new(
                condition::READY,
                Truth::True,
                reason::AS_ASKED,
                "it is there",
            ),
            Err(problem) => problem.condition(condition::READY, Truth::False),
        }];
        match &verdict.exported {
            Some(Ok(said)) => conditions.push(said.condition(condition::EXPORTED, Truth::True)),
            Some(Err(said)) => conditions.push(said.condition(condition::EXPORTED, Truth::False)),
            None => {}
        }
        if let Some(opened) = &verdict.opened_locally {
            conditions.push(opened.condition(condition::OPENED_LOCALLY, Truth::True));
        }
        if let Some(Rejection { reason, message }) = &verdict.rejected {
            let said = Condition::new(condition::REJECTED, Truth::True, reason, message);
            conditions.push(said);
        }
        if let Some(refused) = &verdict.refused {
            let said = refused.condition(condition::REFUSED, Truth::True);
            condition::add(&mut conditions, said);
        }
        if let Some(invalid) = self.requests.invalid_for("Volume", name) {
            let message = format!("{}: {}", invalid.file, invalid.error);
            let said = Problem::new(reason::INVALID_REQUEST, message);
            let said = said.condition(condition::REFUSED, Truth::True);
            condition::add(&mut conditions, said);
        } else if request.is_none() && self.requests.unreadable.is_none() && !verdict.is_buried {
            let message = "nobody asks for it any more; it is served as recorded";
            let said = Problem::new(reason::NO_REQUEST, message);
            conditions.push(said.condition(condition::ORPHANED, Truth::True));
        }
        VolumeStatus {
            phase: verdict.phase,
            capacity_bytes: verdict.capacity,
            device_path: verdict.device_path.clone(),
            target: verdict.target.clone(),
            attachments: verdict.attachments.clone(),
            conditions,
            ..VolumeStatus::default()
        }
    }
}

/// Why an LV is not the recorded volume's.
pub(super) fn mismatch(volume: &VolumeRecord, lv: &Lv) -> Option<Problem> {
    let foreign = |message: String| Some(Problem::new(reason::FOREIGN, message));
    let kind = match volume.provisioning {
        Provisioning::Thick => LvKind::Linear,
        Provisioning::Thin => LvKind::Thin,
    };
    if id_in(&lv.tags) != Some(volume.id) {
        return foreign(format!("LV `{}` does not carry this volume's tag", lv.name));
    }
    if lv.kind != kind {
        return foreign(format!("LV `{}` is of another kind than recorded", lv.name));
    }
    None
}
