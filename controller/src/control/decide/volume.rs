//! What is to be done about a volume.

use weir_api::condition::{self, Condition, NODE_AVAILABLE, REJECTED, SCHEDULED, Truth, reason};
use weir_api::crd::Volume;
use weir_api::names::{FINALIZER, ObjectName};
use weir_api::volume::{Phase, VolumeStatus};

use super::pool::AgentState;
use super::tombstone::Grave;
use weir_placement::{Placement, PoolView};

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

/// What there is to know around a volume.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// What was decided for it before.
    pub held: Option<&'a Held>,
    /// How the agent of the pool that it names is; `None`: there is no object of that pool, so nobody knows whose
    /// agent it would be.
    pub agent: Option<AgentState>,
    /// The tombstones of its id.
    pub graves: &'a [Grave],
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
    /// Its deletion was ordered, and nobody is heard who could carry that out: the order is to be written down as a
    /// tombstone for that pool.
    Bury(ObjectName),
    /// There is nothing of it in any pool, or a tombstone orders that there won't be: its object may go.
    Release,
}

/// What is to be done about a volume.
#[must_use]
pub fn volume(volume: &Volume, around: Around<'_>) -> Step {
    let held = around.held;
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
        (Some(_), true) if !has_finalizer(volume) => Step::Nothing,
        (Some(_), true) if status.phase == Phase::Deleted => Step::Release,
        (Some(pool), true) => match around.agent {
            Some(AgentState::Heard) => Step::Nothing,
            Some(AgentState::Silent | AgentState::Dead) | None => bury(pool, around.graves),
        },
        (Some(_), false) if !has_finalizer(volume) => Step::Finalizer,
        (Some(pool), false) => match show(status, bound(pool)) {
            Step::Nothing => show_available(status, pool, around.agent),
            told => told,
        },
        (None, _) if has_data(status) => show(status, unfit(Unfit::HasData)),
        // A bind that is under way asks for a version without an order to delete: it can't be done any more.
        (None, true) if has_finalizer(volume) => Step::Release,
        (None, true) => Step::Nothing,
        // The next pool's agent must not find the last one's word.
        (None, false) if rejection.is_some() => Step::Show(forgotten(rejection)),
        (None, false) if volume.spec.source.is_some() => show(status, unfit(Unfit::HasSource)),
        // Not in another pool either: until the agent was heard, the old data may be served under the same id there.
        (None, false) if !around.graves.is_empty() => show(status, buried(volume, around.graves)),
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

/// The order comes first: it is in the API, and with that durable, before the object may go.
fn bury(pool: &ObjectName, graves: &[Grave]) -> Step {
    let mut here = graves.iter().filter(|grave| grave.pool == *pool);
    match here.next() {
        Some(grave) if grave.stands => Step::Release,
        // One that orders nothing any more: it is on its way out, and a new one takes its name then.
        Some(_) => Step::Nothing,
        None => Step::Bury(pool.clone()),
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

/// Whether anybody is heard who could say how the volume is. Nothing is said where nothing was ever in doubt.
fn show_available(status: &VolumeStatus, pool: &ObjectName, agent: Option<AgentState>) -> Step {
    let (truth, reason, message) = match agent {
        Some(AgentState::Heard) => {
            if condition::get(&status.conditions, NODE_AVAILABLE).is_none() {
                return Step::Nothing;
            }
            let message = format!("the agent of its pool `{pool}` is heard");
            (Truth::True, reason::AGENT_HEARD, message)
        }
        Some(AgentState::Silent) => (
            Truth::Unknown,
            reason::AGENT_SILENT,
            format!(
                "the agent of its pool `{pool}` is not heard: what its status says is what it was then. Whoever uses \
                 it may be able to all the same. If it is deleted, a tombstone has its data destroyed when the agent \
                 is back"
            ),
        ),
        Some(AgentState::Dead) => (
            Truth::False,
            reason::NODE_DEAD,
            format!(
                "the node of its pool `{pool}` is out of service, as its Node object says, and its agent is not \
                 heard: it can't be used until the node is back. If it is deleted, a tombstone has its data \
                 destroyed then"
            ),
        ),
        None => (
            Truth::Unknown,
            reason::NOT_FOUND,
            format!(
                "there is no StoragePool `{pool}`, so nobody knows whose agent to listen to: create that object again"
            ),
        ),
    };
    show(
        status,
        Condition::new(NODE_AVAILABLE, truth, reason, message),
    )
}

fn buried(volume: &Volume, graves: &[Grave]) -> Condition {
    let id = volume.spec.id;
    let pools: Vec<String> = graves
        .iter()
        .map(|grave| format!("`{}` (tombstone {})", grave.pool, id.tombstone(&grave.pool)))
        .collect();
    let message = format!(
        "a volume of this id was deleted while its agent was not heard, and what is left of it is to be destroyed in \
         pool {}: it waits until that is done. To have it sooner, create it under another id; to have \
         the old data back, name that pool in spec.poolName",
        pools.join(", ")
    );
    Condition::new(SCHEDULED, Truth::False, reason::TOMBSTONE, message)
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
