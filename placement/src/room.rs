//! A pool's space, and whether a volume fits into it.

use weir_api::condition::{self, Truth};
use weir_api::crd::{PoolEngine, StoragePoolSpec};
use weir_api::pool::{PoolStatus, ThinUsage};
use weir_api::units::{Bytes, Ratio};

use super::usage::Usage;

/// What of a pool's space is whose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Its size.
    pub capacity: Bytes,
    /// What its agent says is free.
    pub free: Bytes,
    /// What placement leaves free.
    pub reserved: Bytes,
    /// The part that only thin volumes use.
    pub set_aside: Bytes,
    /// How much may be promised to thin volumes; none: the pool takes none.
    pub promise: Option<Bytes>,
    /// Whether thin and thick volumes take their space from the same place.
    pub is_shared: bool,
    /// Whether the thin pool is too full for another volume.
    pub is_thin_full: bool,
}

/// The space that a volume fits into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// What there was for it.
    pub(super) before: Bytes,
    /// What is left with it.
    pub(super) after: Bytes,
    /// The whole of which this is a part.
    pub(super) of: Bytes,
}

impl Space {
    /// A pool's space, as its objects tell.
    #[must_use]
    pub fn of(spec: &StoragePoolSpec, status: &PoolStatus) -> Self {
        let PoolEngine { kernel, spdk } = &spec.engine;
        let thin_pool = kernel.as_ref().and_then(|kernel| kernel.thin_pool.as_ref());
        let set_aside = thin_pool.map(|thin| thin.capacity_bytes);
        let is_shared = spdk.is_some();
        let promised_from = if is_shared {
            Some(status.capacity_bytes)
        } else {
            set_aside
        };
        // A broken one has no figures, and says so.
        let said = condition::get(&status.conditions, condition::THIN_POOL_FULL);
        let is_said = said.is_some_and(|said| said.status == Truth::True);
        Space {
            capacity: status.capacity_bytes,
            free: status.free_bytes,
            reserved: spec.reserved_bytes,
            set_aside: set_aside.unwrap_or_default(),
            promise: promised_from.map(|size| times(size, spec.overprovision_ratio)),
            is_shared,
            is_thin_full: is_said || status.thin.as_ref().is_some_and(ThinUsage::is_over),
        }
    }

    /// Whether `wanted` fits beside what is `booked` and `held`.
    pub(super) fn room(&self, booked: &Usage, held: &Usage, wanted: &Usage) -> Option<Room> {
        if wanted.thin > Bytes(0) {
            self.thin_room(booked, held, wanted)
        } else {
            self.thick_room(booked, held, wanted)
        }
    }

    fn thick_room(&self, booked: &Usage, held: &Usage, wanted: &Usage) -> Option<Room> {
        let told = self.free.0.checked_sub(booked.unshown.0);
        let told = told.and_then(|left| left.checked_sub(held.unshown.0));
        let counted = self.capacity.0.checked_sub(self.set_aside.0);
        let counted = counted.and_then(|left| left.checked_sub(booked.thick.0));
        let counted = counted.and_then(|left| left.checked_sub(held.thick.0));
        let before = told?.min(counted?).checked_sub(self.reserved.0)?;
        Some(Room {
            before: Bytes(before),
            after: Bytes(before.checked_sub(wanted.thick.0)?),
            of: self.capacity,
        })
    }

    fn thin_room(&self, booked: &Usage, held: &Usage, wanted: &Usage) -> Option<Room> {
        let promise = self.promise?;
        let promised = |usage: &Usage| {
            let thick = if self.is_shared { usage.thick.0 } else { 0 };
            usage.thin.0.saturating_add(thick)
        };
        let before = promise.0.checked_sub(promised(booked))?;
        let before = before.checked_sub(promised(held))?;
        Some(Room {
            before: Bytes(before),
            after: Bytes(before.checked_sub(wanted.thin.0)?),
            of: promise,
        })
    }
}

fn times(size: Bytes, ratio: Ratio) -> Bytes {
    let product = u128::from(size.0) * u128::from(ratio.0) / 100;
    Bytes(u64::try_from(product).unwrap_or(u64::MAX))
}
