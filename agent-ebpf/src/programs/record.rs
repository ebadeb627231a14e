//! Histograms and counters, and who holds a slot.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use weir_agent_ebpf::layout::{
    Counts, Loss, Place, RawHistogram, Slot, Stage, per_op, volume_histogram,
};
use weir_agent_ebpf::scale::{BUCKETS, bucket_of};

#[map]
static VOLUMES: Array<Slot> = Array::with_max_entries(1, 0);
#[map]
static DISKS: Array<Slot> = Array::with_max_entries(1, 0);
#[map]
static INITIATORS: Array<Slot> = Array::with_max_entries(1, 0);
#[map]
static VOLUME_HIST: Array<RawHistogram> = Array::with_max_entries(1, 0);
#[map]
static DISK_HIST: Array<RawHistogram> = Array::with_max_entries(1, 0);
#[map]
static HOST_HIST: Array<RawHistogram> = Array::with_max_entries(1, 0);
#[map]
static COUNTS: Array<Counts> = Array::with_max_entries(1, 0);
#[map]
static DROPPED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Whether the volume that began the I/O still holds its slot.
#[inline(always)]
pub(crate) fn volume_holds(place: Place) -> bool {
    holds(&VOLUMES, place)
}

/// A volume's interval. The caller has checked [`volume_holds`].
#[inline(always)]
pub(crate) fn volume(place: Place, op: u32, stage: Stage, ns: u64) {
    add(&VOLUME_HIST, volume_histogram(place.slot, op, stage), ns);
}

/// A disk's interval.
#[inline(always)]
pub(crate) fn disk(place: Place, op: u32, ns: u64) {
    if holds(&DISKS, place) {
        add(&DISK_HIST, per_op(place.slot, op), ns);
    } else {
        lost(Loss::StaleSlot);
    }
}

/// The whole of a request, as one of its initiator's.
#[inline(always)]
pub(crate) fn initiator(place: Place, op: u32, ns: u64) {
    if holds(&INITIATORS, place) {
        add(&HOST_HIST, per_op(place.slot, op), ns);
    } else {
        lost(Loss::UnknownInitiator);
    }
}

/// Counts a start of a volume's I/O.
#[inline(always)]
pub(crate) fn started(place: Place, op: u32) {
    if let Some(counts) = COUNTS.get_ptr_mut(per_op(place.slot, op)) {
        // SAFETY: the verifier has checked the element's pointer.
        one_more(unsafe { &raw mut (*counts).started });
    }
}

/// Counts a started I/O whose end was not seen.
#[inline(always)]
pub(crate) fn start_lost(place: Place, op: u32) {
    if volume_holds(place)
        && let Some(counts) = COUNTS.get_ptr_mut(per_op(place.slot, op))
    {
        // SAFETY: as in `started`.
        one_more(unsafe { &raw mut (*counts).dropped });
    }
}

/// Counts a started I/O that its submitter will try again.
#[inline(always)]
pub(crate) fn retried(place: Place, op: u32) {
    if let Some(counts) = COUNTS.get_ptr_mut(per_op(place.slot, op)) {
        // SAFETY: as in `started`.
        one_more(unsafe { &raw mut (*counts).retried });
    }
}

/// Counts what could not be measured or attributed.
#[inline(always)]
pub(crate) fn lost(why: Loss) {
    if let Some(count) = DROPPED.get_ptr_mut(why as u32) {
        // Atomic although per CPU: programs of several kinds share it, and one may interrupt another.
        one_more(count);
    }
}

#[inline(always)]
fn holds(slots: &Array<Slot>, place: Place) -> bool {
    slots
        .get(place.slot)
        .is_some_and(|slot| slot.generation == place.generation)
}

#[inline(always)]
fn add(histograms: &Array<RawHistogram>, index: u32, ns: u64) {
    let Some(histogram) = histograms.get_ptr_mut(index) else {
        return;
    };
    // The compiler knows that the bucket is in bounds and would drop the check that the verifier wants.
    let bucket = core::hint::black_box(bucket_of(ns));
    if bucket >= BUCKETS {
        return;
    }
    // SAFETY: the verifier has checked the element's pointer.
    atomic_add(unsafe { &raw mut (*histogram).sum_ns }, ns);
    // SAFETY: as above.
    let buckets = unsafe { &raw mut (*histogram).buckets };
    // SAFETY: `bucket` is below BUCKETS, the array's length.
    let counter = unsafe { buckets.cast::<u64>().add(bucket) };
    one_more(counter);
}

#[inline(always)]
fn one_more(counter: *mut u64) {
    atomic_add(counter, 1);
}

/// (`AtomicU64::fetch_add` does not exist for the BPF target, whose oldest form has no compare-and-swap.)
#[inline(always)]
fn atomic_add(counter: *mut u64, amount: u64) {
    // SAFETY: a pointer into a map's value that the verifier checks; all who write it do so atomically.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, amount) };
}
