//! What is to be done about a volume.

use weir_api::condition::{self, Condition, REJECTED, SCHEDULED, Truth, reason};
use weir_api::crd::Volume;
use weir_api::names::{FINALIZER, ObjectName};
use weir_api::volume::{Phase, VolumeStatus};

use crate::place::{Placement, PoolView};

/// What the controller decided for a volume and does not see in its object yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The pool.
    pub pool: ObjectName,
    /// The version of the object that was looked at, and that the write asks for.
    pub version: String,
    /// Whether the API answered that it was done.
    pub is_written: bool,
}

/// Why a volume is not placed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// It is to begin as a copy of what is in one pool.
    HasSource,
    /// It is somewhere, and somebody cleared `poolName`.
    HasData,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// A pool is to be chosen.
    Place,
    /// The same bind once more: what came of the last is not known, and it may still be done.
    Repeat(ObjectName),
    /// It is to be bound, and given the finalizer.
    Bind(ObjectName),
    /// It is to be given the finalizer: it was bound without.
    Finalizer,
    /// Its agent refused it: it is to be in no pool.
    Unbind(ObjectName, String),
    /// It is to be told something in its status; a record goes with it where there is one.
    Show(Condition),
    /// There is nothing of it in any pool: its object may go.
    Release,
}

/// What is to be done about a volume. `held` is what was decided for it before.
#[must_use]
pub fn volume(volume: &Volume, held: Option<&Held>) -> Step {
    let nothing = VolumeStatus::default();
    let status = volume.status.as_ref().unwrap_or(&nothing);
    let is_deleted = volume.metadata.deletion_timestamp.is_some();
    let rejection = condition::get(&status.conditions, REJECTED);
    let rejection = rejection.filter(|rejection| rejection.status == Truth::True);
    // What was rejected was not made; an object that says both is left to a person.
    let rejection = rejection.filter(|_| !has_data(status));
    match (&volume.spec.pool_name, is_deleted) {
        (Some(pool), _) if rejection.is_some() => {
            let message = rejection.map(|rejection| rejection.message.clone());
            Step::Unbind(pool.clone(), message.unwrap_or_default())
        }
        (Some(_), true) if status.phase == Phase::Deleted && has_finalizer(volume) => Step::Release,
        (Some(_), true) => Step::Nothing,
        (Some(_), false) if !has_finalizer(volume) => Step::Finalizer,
        (Some(pool), false) => show(status, bound(pool)),
        (None, _) if has_data(status) => show(status, unfit(Unfit::HasData)),
        // A bind that is under way asks for a version without an order to delete: it can't be done any more.
        (None, true) if has_finalizer(volume) => Step::Release,
        (None, true) => Step::Nothing,
        // The next pool's agent must not find the last one's word.
        (None, false) if rejection.is_some() => Step::Show(forgotten(rejection)),
        (None, false) if volume.spec.source.is_some() => show(status, unfit(Unfit::HasSource)),
        (None, false) => match held {
            Some(held) if volume.metadata.resource_version.as_ref() == Some(&held.version) => {
                if held.is_written {
                    Step::Nothing
                } else {
                    Step::Repeat(held.pool.clone())
                }
            }
            // The object is another than the one that the bind asked for: it was not done and never will be.
            _ => Step::Place,
        },
    }
}

/// What is to be done about a volume that placement has an answer for.
#[must_use]
pub fn placed(volume: &Volume, placement: &Placement, pools: &[PoolView]) -> Step {
    match placement.winner.and_then(|winner| pools.get(winner)) {
        Some(pool) => Step::Bind(pool.name.clone()),
        None => {
            let nothing = VolumeStatus::default();
            let status = volume.status.as_ref().unwrap_or(&nothing);
            show(status, no_pool_fits(placement))
        }
    }
}

/// What is to be done about a volume that waits, and for which this is the reason.
#[must_use]
pub fn waits(volume: &Volume, why: Condition) -> Step {
    let nothing = VolumeStatus::default();
    show(volume.status.as_ref().unwrap_or(&nothing), why)
}

/// The condition, unless the object has it already.
fn show(status: &VolumeStatus, wanted: Condition) -> Step {
    if known(status, &wanted) {
        return Step::Nothing;
    }
    Step::Show(wanted)
}

/// Whether an object says already what a condition says.
fn known(status: &VolumeStatus, wanted: &Condition) -> bool {
    condition::get(&status.conditions, &wanted.kind).is_some_and(|there| {
        (there.status, &there.reason, &there.message)
            == (wanted.status, &wanted.reason, &wanted.message)
    })
}

fn bound(pool: &ObjectName) -> Condition {
    let message = format!("it belongs in pool `{pool}`");
    Condition::new(SCHEDULED, Truth::True, reason::BOUND, message)
}

fn no_pool_fits(placement: &Placement) -> Condition {
    let message = placement.explain();
    Condition::new(SCHEDULED, Truth::False, reason::NO_POOL_FITS, message)
}

fn unfit(why: Unfit) -> Condition {
    let message = match why {
        Unfit::HasSource => {
            "a volume with a source begins where the source is: name that pool in spec.poolName"
        }
        Unfit::HasData => {
            "its status says that it has data in a pool, and spec.poolName names none: set it to the pool that \
             status.placement names"
        }
    };
    Condition::new(SCHEDULED, Truth::False, reason::WAITING, message)
}

fn forgotten(rejection: Option<&Condition>) -> Condition {
    // A message has at most 4096 characters, this sentence included.
    let was = rejection.map_or("", |rejection| rejection.message.as_str());
    let was: String = was.chars().take(3000).collect();
    let message = format!("another pool is looked for; before: {was}");
    Condition::new(REJECTED, Truth::False, reason::UNBOUND, message)
}

/// Whether anything was made of it, as far as its status tells.
fn has_data(status: &VolumeStatus) -> bool {
    let is_made = !matches!(
        status.phase,
        Phase::Pending | Phase::Failed | Phase::Deleted
    );
    is_made || (status.capacity_bytes.0 > 0 && status.phase != Phase::Deleted)
}

fn has_finalizer(volume: &Volume) -> bool {
    let finalizers = volume.metadata.finalizers.iter().flatten();
    finalizers.into_iter().any(|one| one == FINALIZER)
}
