//! How far a volume is that was asked for.

use weir_api::condition::{self, Condition, READY, REFUSED, SCHEDULED, Truth, reason};
use weir_api::crd::Volume;
use weir_api::units::Bytes;
use weir_api::volume::Phase;

use crate::failure::Failure;

/// How far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is there.
    Ready,
    /// No pool has room for it, and nothing of it is anywhere; says why, per filter.
    NoRoom(String),
    /// It takes its time; says what is waited for.
    Waiting(String),
}

/// How far a volume is.
///
/// # Errors
/// It will not be made.
pub fn of(volume: &Volume) -> Result<Progress, Failure> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    if volume.metadata.deletion_timestamp.is_some() {
        return Err(Failure::Busy(format!(
            "volume `{name}` is being deleted: try again"
        )));
    }
    let status = volume.status.as_ref();
    let phase = status.map_or(Phase::Pending, |status| status.phase);
    let conditions = status.map_or(&[][..], |status| &status.conditions[..]);
    let condition =
        |kind: &str| condition::get(conditions, kind).filter(|one| is_current(one, volume));
    let is_placed = volume.spec.pool_name.is_some();
    // Agents go on with what they recorded and refuse what was changed since: a volume that is Ready is.
    if is_placed && phase == Phase::Ready {
        return Ok(Progress::Ready);
    }
    if let Some(refused) = condition(REFUSED).filter(|one| one.status == Truth::True) {
        return Err(Failure::Precondition(format!(
            "volume `{name}` is refused: {}",
            refused.message
        )));
    }
    let scheduled = condition(SCHEDULED).filter(|one| one.status == Truth::False);
    if let Some(scheduled) = scheduled
        && scheduled.reason == reason::NO_POOL_FITS
        && is_nowhere(volume)
    {
        return Ok(Progress::NoRoom(scheduled.message.clone()));
    }
    let said = condition(READY).filter(|one| one.status != Truth::True);
    let why = match (said.or(scheduled), is_placed) {
        (Some(said), _) => said.message.clone(),
        (None, true) => format!("its pool's agent has not made it yet ({phase})"),
        (None, false) => {
            "the controller has not chosen a pool yet: see whether weir-controller runs".to_owned()
        }
    };
    Ok(Progress::Waiting(why))
}

/// Whether nothing of a volume is anywhere: it is in no pool, and nobody ever said that something was made of it. Somebody may have
/// cleared `spec.poolName` of a volume with data, and nothing but a person's order may end that one.
#[must_use]
pub fn is_nowhere(volume: &Volume) -> bool {
    let is_untouched = volume.status.as_ref().is_none_or(|status| {
        let is_unmade = matches!(status.phase, Phase::Pending | Phase::Failed);
        is_unmade && status.capacity_bytes == Bytes(0) && status.attachments.is_empty()
    });
    volume.spec.pool_name.is_none() && volume.spec.attachments.is_empty() && is_untouched
}

/// Whether a condition was said of the object as it is now. One that does not tell is taken as it is.
fn is_current(condition: &Condition, volume: &Volume) -> bool {
    match (condition.observed_generation, volume.metadata.generation) {
        (Some(seen), Some(now)) => seen >= now,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tonic::Code;

    use super::*;

    fn volume(json: Value) -> Volume {
        let mut whole = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "v", "generation": 3},
            "spec": {"id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "capacityBytes": 1},
        });
        for part in ["metadata", "spec", "status"] {
            for (name, value) in json[part].as_object().into_iter().flatten() {
                whole[part][name] = value.clone();
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!([{"type": kind, "status": status, "reason": reason, "message": "m", "observedGeneration": generation}])
    }

    /// Seen red with: `is_nowhere` without `is_untouched`: what is told as `NoRoom` is deleted.
    #[test]
    fn progress_is_read_from_the_object() {
        let placed = json!({"poolName": "p"});
        let no_room = condition("Scheduled", "False", "NoPoolFits", 3);
        let waiting = |text: &str| Ok(Progress::Waiting(text.to_owned()));
        for (json, progress) in [
            (
                json!({"spec": placed, "status": {"phase": "Ready"}}),
                Ok(Progress::Ready),
            ),
            // Somebody cleared the pool's name: it has data.
            (
                json!({"status": {"phase": "Ready", "conditions": no_room}}),
                waiting("m"),
            ),
            (
                json!({"status": {"capacityBytes": 4096, "conditions": no_room}}),
                waiting("m"),
            ),
            (
                json!({"status": {"conditions": no_room}}),
                Ok(Progress::NoRoom("m".to_owned())),
            ),
            // Said of what was asked before.
            (
                json!({"status": {"conditions": condition("Scheduled", "False", "NoPoolFits", 2)}}),
                waiting(
                    "the controller has not chosen a pool yet: see whether weir-controller runs",
                ),
            ),
            (
                json!({"spec": placed, "status": {"conditions": no_room}}),
                waiting("m"),
            ),
            (
                json!({"spec": placed, "status": {"phase": "Creating", "conditions": condition("Ready", "False", "Zeroing", 3)}}),
                waiting("m"),
            ),
            (
                json!({"spec": placed}),
                waiting("its pool's agent has not made it yet (Pending)"),
            ),
            (
                json!({"status": {"conditions": condition("Scheduled", "False", "Waiting", 3)}}),
                waiting("m"),
            ),
        ] {
            assert_eq!(of(&volume(json.clone())), progress, "{json}");
        }
        let going = volume(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        assert_eq!(of(&going).unwrap_err().code(), Code::Aborted);
        let refused = condition("Refused", "True", "NotImplemented", 3);
        let refused = volume(json!({"spec": placed, "status": {"conditions": refused}}));
        assert_eq!(of(&refused).unwrap_err().code(), Code::FailedPrecondition);
    }
}
