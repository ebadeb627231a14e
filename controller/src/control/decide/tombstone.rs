//! What is to be done about a tombstone: it goes once it has nothing to order any more.

use weir_api::crd::{Tombstone, TombstonePhase, Volume};
use weir_api::names::ObjectName;

/// What matters of a tombstone to a volume that has its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grave {
    /// The pool that it is about.
    pub pool: ObjectName,
    /// Whether it orders anything still: one that was carried out, or is being taken back, does not.
    pub stands: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tidy {
    /// It waits for its pool's agent.
    Wait,
    /// It was carried out, and may go.
    Delete,
    /// The volume of this name is not being deleted, and asks for what is to be destroyed: the order is taken back, so
    /// that it can't be followed later, when that object vanishes, which is no order.
    TakeBack(ObjectName),
}

/// What is to be done about a tombstone; `volumes` are those that have its id.
#[must_use]
pub fn tombstone<'a>(tombstone: &Tombstone, volumes: impl IntoIterator<Item = &'a Volume>) -> Tidy {
    if tombstone.metadata.deletion_timestamp.is_some() {
        return Tidy::Wait;
    }
    if is_done(tombstone) {
        return Tidy::Delete;
    }
    let mut claims = volumes.into_iter().filter(|volume| {
        volume.metadata.deletion_timestamp.is_none()
            && volume.spec.id == tombstone.spec.id
            && volume.spec.pool_name.as_ref() == Some(&tombstone.spec.pool_name)
    });
    let claim = claims.find_map(|volume| volume.metadata.name.as_deref()?.parse().ok());
    claim.map_or(Tidy::Wait, Tidy::TakeBack)
}

/// Whether its pool's agent says that nothing is left.
#[must_use]
pub fn is_done(tombstone: &Tombstone) -> bool {
    let status = tombstone.status.as_ref();
    status.is_some_and(|status| status.phase == TombstonePhase::Done)
}
