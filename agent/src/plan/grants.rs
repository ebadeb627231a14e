//! Who may use a volume: what the request and the record say together.

use weir_api::condition::reason;
use weir_api::units::Bytes;
use weir_api::volume::{Attachment, Volume};

use super::{Planner, Problem};
use crate::observed::PoolView;
use crate::record::VolumeRecord;

/// Who may use a volume.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants {
    /// Recorded, and not asked away.
    pub(super) keep: Vec<Attachment>,
    /// Asked for, with generations that were never granted.
    pub(super) new: Vec<Attachment>,
    /// Whether somebody says so. If not, what else is there is not asked away either.
    pub(super) ordered: bool,
}

impl Grants {
    /// As it is recorded: there is no request, or it is refused.
    fn as_recorded(volume: &VolumeRecord) -> Self {
        Grants {
            keep: volume.attachments.clone(),
            ..Grants::default()
        }
    }
}

impl Planner<'_> {
    /// What a request wants of a recorded volume, and what of it is refused. A refused request changes
    /// nothing.
    pub(super) fn grants(
        &self,
        volume: &VolumeRecord,
        request: Option<&Volume>,
    ) -> (Option<Problem>, Grants) {
        let Some(request) = request else {
            return (None, Grants::as_recorded(volume));
        };
        if let Some(problem) = self.refused_change(volume, request) {
            return (Some(problem), Grants::as_recorded(volume));
        }
        let asked = &request.spec.attachments;
        let (keep, new): (Vec<_>, Vec<_>) = asked
            .iter()
            .cloned()
            .partition(|attachment| volume.attachments.contains(attachment));
        let highest = volume.highest_generation;
        let is_stale = |a: &&Attachment| highest.is_some_and(|highest| a.generation <= highest);
        if let (Some(stale), Some(highest)) = (new.iter().find(is_stale), highest) {
            let message = format!(
                "spec.attachments: generation {} of node `{}` was used, the next is {} or higher",
                stale.generation,
                stale.node_name,
                highest.0.saturating_add(1)
            );
            let problem = if volume.unclean_stop {
                let why = "this node stopped without a word, and writes that were acknowledged and \
                           not flushed may be lost";
                Problem::new(reason::UNCLEAN_STOP, format!("{why}; {message}"))
            } else {
                Problem::new(reason::STALE_GENERATION, message)
            };
            return (Some(problem), Grants::as_recorded(volume));
        }
        let grants = Grants {
            keep,
            new,
            ordered: true,
        };
        (self.not_yet(volume, request), grants)
    }

    /// Why a request for a recorded volume is refused as a whole.
    fn refused_change(&self, volume: &VolumeRecord, request: &Volume) -> Option<Problem> {
        let spec = &request.spec;
        let immutable = |message: String| Some(Problem::new(reason::IMMUTABLE_FIELD, message));
        if spec.pool_name != volume.pool {
            let pool = &volume.pool;
            return immutable(format!("spec.poolName can't be changed from `{pool}`"));
        }
        if spec.provisioning != volume.provisioning {
            return immutable("spec.provisioning can't be changed".to_owned());
        }
        if spec.access != volume.access {
            return immutable("spec.access can't be changed".to_owned());
        }
        let had = volume.capacity_bytes;
        (self.asked_size(volume, request) < had).then(|| {
            let message = format!("spec.capacityBytes can't be made smaller than {}", had.0);
            Problem::new(reason::SHRINK_REFUSED, message)
        })
    }

    /// What of a request is not done although the rest of it is.
    fn not_yet(&self, volume: &VolumeRecord, request: &Volume) -> Option<Problem> {
        let had = volume.capacity_bytes;
        (self.asked_size(volume, request) > had).then(|| {
            let message = format!("spec.capacityBytes: it stays at {} for now", had.0);
            Problem::new(reason::RESIZE_NOT_SUPPORTED, message)
        })
    }

    fn asked_size(&self, volume: &VolumeRecord, request: &Volume) -> Bytes {
        let extent = match self.observed.pools.get(&volume.pool) {
            Some(PoolView::Present(view)) => view.vg.extent,
            _ => Bytes(1),
        };
        let asked = request.spec.capacity_bytes;
        asked.round_up(extent).unwrap_or(asked)
    }
}
