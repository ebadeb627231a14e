//! Rejecting a volume: somebody chose a pool for it that can't hold it, and may choose again once that is
//! said.
//!
//! The rejection is recorded before it is told. Whoever is told may give the volume to another pool, and its
//! data is there from then on: an agent that forgot what it said, in a power cut for example, and found room
//! meanwhile, would make a second, empty one. So a rejected volume is made here only after its object was
//! seen to name another pool or none.

use weir_api::volume::{Phase, Volume};

use super::volumes::Verdict;
use super::{Planner, Problem};
use crate::record::{Rejection, VolumeRecord, VolumeState};
use crate::step::Step;

impl Planner<'_> {
    /// A volume of which nothing is there, and which can't be made. Where a person chose the pool, in a
    /// file, nobody would choose again: it waits.
    pub(super) fn cannot_make(
        &self,
        request: &Volume,
        problem: Problem,
    ) -> Result<Verdict, Problem> {
        if self.requests.cluster.is_none() {
            return Err(problem);
        }
        let mut verdict = Verdict::waiting(Phase::Pending, "its rejection is being recorded");
        verdict.record(VolumeRecord {
            rejection: Some(Rejection {
                reason: problem.reason.to_owned(),
                message: problem.message,
            }),
            ..VolumeRecord::of(request, VolumeState::Rejected)
        });
        Ok(verdict)
    }

    /// A volume that was rejected: it stays so while its object names this pool, or while nobody knows.
    pub(super) fn rejected(&self, volume: &VolumeRecord, request: Option<&Volume>) -> Verdict {
        let stays = match request {
            Some(request) => !request.is_deleted() && request.spec.pool_name == volume.pool,
            None => {
                let is_unknown = self.requests.unreadable.is_some();
                is_unknown || self.requests.invalid_for("Volume", &volume.name).is_some()
            }
        };
        if !stays {
            let mut verdict = Verdict::waiting(Phase::Pending, "its rejection is being forgotten");
            verdict.steps.push(Step::RemoveVolume(volume.id));
            return verdict;
        }
        let message = "it was rejected, and waits for another pool";
        let mut verdict = Verdict::waiting(Phase::Pending, message);
        verdict.rejected.clone_from(&volume.rejection);
        verdict
    }
}
