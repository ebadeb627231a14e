//! What is in flight, by the kernel object's address, which is unique until its completion. All meaning of the tables'
//! values stands in this file.
//!
//! An entry whose completion was missed is found when its address is used again, and is counted
//! ([`Loss::Superseded`]); the agent ages out those whose address is not.

use core::intrinsics::{AtomicOrdering, atomic_cxchg};

use weir_agent_ebpf::layout::{
    BIO_CARRIED, BIO_HELD_BACK, BIO_OF_BIO, BIO_OF_DISK, BIO_OF_IMPORT, BIO_OF_REQUEST,
    BIO_OF_VOLUME, DiskStart, IMPORT, Loss, Place, REQUEUED, RequestStart, Span, Start,
    ends_by_bytes, is_io_of_volume,
};

use super::record;
use super::tables::{Bios, Maps, Requests, Set, Targets, find, store, take};

/// The home of a key, and its value there, if it has one. `None` never, which the verifier does not know.
#[inline(always)]
fn entry<T: Maps>(key: u64) -> Option<(Set, Option<*mut T::Value>)> {
    let set = Set::home::<T>(key)?;
    let value = match set.find::<T>(key) {
        Some(place) => Some(place.value::<T>()?),
        None => None,
    };
    Some((set, value))
}

/// The value of a key.
#[inline(always)]
fn value<T: Maps>(key: u64) -> Option<*mut T::Value> {
    find::<T>(key)?.value::<T>()
}

/// Notes a new one. False if there is no room, which is counted.
#[inline(always)]
fn insert<T: Maps>(set: &Set, key: u64, start: &T::Value) -> bool {
    let is_put = set.put::<T>(key, start);
    if !is_put {
        record::lost(Loss::TableFull);
    }
    is_put
}

/// Notes a bio. False if there is no room, which is counted.
#[inline(always)]
pub(crate) fn bio(bio: u64, start: &Start) -> bool {
    let Some((set, old)) = entry::<Bios>(bio) else {
        return false;
    };
    let Some(old) = old else {
        return insert::<Bios>(&set, bio, start);
    };
    // SAFETY: the verifier has checked the pointer. The entry's bio is this one, which is only now being queued: nobody
    // completes it.
    let old = unsafe { &mut *old };
    if old.kind == BIO_HELD_BACK {
        if is_io_of_volume(start.kind) {
            let ns = start.at_ns.saturating_sub(old.at_ns);
            record::throttled(start.place, start.op.into(), ns);
        }
    } else {
        record::lost(Loss::Superseded);
        if is_io_of_volume(old.kind) {
            record::start_lost(old.place, old.op.into());
        }
    }
    store(old, start);
    true
}

/// Notes that a bio may be held back from now on, until it is queued.
#[inline(always)]
pub(crate) fn held_back(bio: u64, at_ns: u64) {
    let start = Start {
        at_ns,
        kind: BIO_HELD_BACK,
        ..Start::default()
    };
    match entry::<Bios>(bio) {
        None => {}
        Some((set, None)) => {
            insert::<Bios>(&set, bio, &start);
        }
        Some((_, Some(old))) => {
            // What is left of a bio after a split comes here again, and is in flight already.
            // SAFETY: the verifier has checked the pointer. Nobody else looks at this bio: its submitter is here.
            let old = unsafe { &mut *old };
            if old.kind == BIO_HELD_BACK {
                old.at_ns = at_ns;
            }
        }
    }
}

/// What a bio that is chained to this one belongs to, if this is a bio in flight of the same volume: a kind
/// and an owner.
#[inline(always)]
pub(crate) fn chained_to(
    bio: u64,
    volume: Place,
    is_bio: impl FnOnce() -> bool,
) -> Option<(u8, u64)> {
    // SAFETY: the verifier has checked the pointer. Should the entry be recycled meanwhile, then the bio that asks was not
    // its child.
    let parent = unsafe { &*value::<Bios>(bio)? };
    // What lost its end stands here still, and its memory may be anything's by now: where `submit_bio_wait` waits, for example.
    if parent.place != volume || !is_bio() {
        return None;
    }
    match parent.kind {
        BIO_OF_VOLUME => Some((BIO_OF_BIO, bio)),
        BIO_OF_DISK | BIO_OF_IMPORT | BIO_CARRIED | BIO_HELD_BACK => None,
        kind => Some((kind, parent.owner)),
    }
}

/// Stamps the I/O that a bio is, or is a part of: a disk request of it began, or ended, or both (0 for what did not). False if it
/// is none that is known.
#[inline(always)]
pub(crate) fn stamp(bio: u64, disk: Span) -> bool {
    let Some(start) = value::<Bios>(bio) else {
        return false;
    };
    // SAFETY: the verifier has checked the pointer. The bio can't complete before its disk requests
    // have, and this one is only now being issued or completed.
    let (kind, owner) = unsafe { ((*start).kind, (*start).owner) };
    if kind == BIO_OF_DISK || kind == BIO_HELD_BACK {
        return false;
    }
    if is_io_of_volume(kind) {
        // SAFETY: as above.
        note(unsafe { &raw mut (*start).disk }, disk);
    } else if kind == BIO_OF_REQUEST {
        if let Some(request) = value::<Targets>(owner) {
            // SAFETY: as above: the request waits for its bios.
            note(unsafe { &raw mut (*request).disk }, disk);
        }
    } else if let Some(parent) = value::<Bios>(owner) {
        // SAFETY: as above: a bio waits for those that are chained to it.
        note(unsafe { &raw mut (*parent).disk }, disk);
    }
    true
}

/// t2 is the earliest beginning, whoever tells it first; t3 the end that comes last.
#[inline(always)]
fn note(span: *mut Span, new: Span) {
    if new.first_ns != 0 {
        // SAFETY: as in `stamp`.
        lower(unsafe { &raw mut (*span).first_ns }, new.first_ns);
    }
    if new.last_ns != 0 {
        // SAFETY: as in `stamp`.
        unsafe { (*span).last_ns = new.last_ns };
    }
}

/// Makes a time at most this, or this if there is none.
#[inline(always)]
fn lower(time: *mut u64, value: u64) {
    // SAFETY: as in `stamp`.
    let mut seen = unsafe { time.read_volatile() };
    // Who loses this often has met as many others who lowered it at this very moment.
    for _ in 0..4 {
        if seen != 0 && seen <= value {
            return;
        }
        // SAFETY: as above.
        let (before, done) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                time, seen, value,
            )
        };
        if done {
            return;
        }
        seen = before;
    }
}

/// Whether this is a volume's bio in flight that requests carry.
#[inline(always)]
pub(crate) fn is_carried(bio: u64) -> bool {
    // SAFETY: the verifier has checked the pointer; the bio is in flight, so nobody takes its entry out.
    value::<Bios>(bio).is_some_and(|start| ends_by_bytes(unsafe { (*start).kind }))
}

/// Takes so many bytes off what a carried bio waits for, and takes the bio out if that was
/// all of it. `status`: how these bytes ended, as a `blk_status_t`.
#[inline(always)]
pub(crate) fn carried_done(bio: u64, bytes: u64, status: u8) -> Option<Start> {
    let place = find::<Bios>(bio)?;
    let start = place.value::<Bios>()?;
    if status != 0 {
        // SAFETY: the verifier has checked the pointer. Of several parts that fail, any one's status will do.
        unsafe { (*start).status = status };
    }
    // SAFETY: the verifier has checked the pointer; all who write it from here on do so atomically.
    let left = record::take_off(unsafe { &raw mut (*start).owner }, bytes);
    if left > bytes {
        return None;
    }
    take::<Bios>(&place, bio)
}

/// Takes a carried bio out, whose disk request was this, if that was all that it waits for. `status`: how it ended, as a
/// `blk_status_t`.
#[inline(always)]
pub(crate) fn carried_whole(bio: u64, bytes: u64, status: u8, disk: Span) -> Option<Start> {
    let place = find::<Bios>(bio)?;
    let start = place.value::<Bios>()?;
    // SAFETY: the verifier has checked the pointer. If it waits for no more than these bytes, nobody else ends a part of it.
    if unsafe { (*start).kind != BIO_CARRIED || (*start).owner != bytes } {
        return None;
    }
    let mut start = take::<Bios>(&place, bio)?;
    if status != 0 {
        start.status = status;
    }
    if start.disk.first_ns == 0 || disk.first_ns < start.disk.first_ns {
        start.disk.first_ns = disk.first_ns;
    }
    start.disk.last_ns = disk.last_ns;
    Some(start)
}

/// Takes a bio out, at its completion. One that requests carry only if it has failed (`BIO_STATUS`), which is how it ends
/// when there is no path to send it on: with several paths the kernel traces an end of the bio with each request that holds a
/// part of it, before it knows of any error (`nvme_trace_bio_complete`, drivers/nvme/host/nvme.h).
#[inline(always)]
pub(crate) fn take_bio(bio: u64, has_failed: impl FnOnce() -> bool) -> Option<(Start, u64)> {
    let place = find::<Bios>(bio)?;
    let end = super::now();
    let start = place.value::<Bios>()?;
    // SAFETY: the verifier has checked the pointer.
    if ends_by_bytes(unsafe { (*start).kind }) && !has_failed() {
        return None;
    }
    Some((take::<Bios>(&place, bio)?, end))
}

/// Notes a disk's request, if there is room: else its end is counted ([`Loss::IssueUnseen`]). One that was put back and is issued again keeps its first start.
#[inline(always)]
pub(crate) fn request(request: u64, start: &DiskStart) {
    let Some((set, old)) = entry::<Requests>(request) else {
        return;
    };
    let Some(old) = old else {
        set.put::<Requests>(request, start);
        return;
    };
    // SAFETY: the verifier has checked the pointer; the request is only now being issued.
    let old = unsafe { &mut *old };
    if old.state == REQUEUED {
        old.state = 0;
        return;
    }
    record::lost(Loss::Superseded);
    *old = *start;
}

/// Notes a request to an NVMe disk through which this node uses volumes, also if it is sent again.
#[inline(always)]
pub(crate) fn import_request(request: u64, at_ns: u64) {
    let start = DiskStart {
        at_ns,
        state: IMPORT,
        ..DiskStart::default()
    };
    match entry::<Requests>(request) {
        None => {}
        Some((set, None)) => {
            insert::<Requests>(&set, request, &start);
        }
        // SAFETY: the verifier has checked the pointer; the request is only now being sent.
        Some((_, Some(old))) => unsafe { *old = start },
    }
}

/// Remembers that a disk's request went back into its queue. `first_ns`: when it was issued, if the kernel notes that, else 0.
#[inline(always)]
pub(crate) fn requeued(request: u64, first_ns: u64) {
    match entry::<Requests>(request) {
        Some((_, Some(start))) => {
            // SAFETY: the verifier has checked the pointer; a request is requeued by one CPU at a time.
            let start = unsafe { &mut *start };
            if start.state != IMPORT {
                start.state = REQUEUED;
            }
        }
        Some((set, None)) if first_ns != 0 => {
            let start = DiskStart {
                at_ns: first_ns,
                state: REQUEUED,
                ..DiskStart::default()
            };
            insert::<Requests>(&set, request, &start);
        }
        _ => {}
    }
}

/// When a disk's request was first issued, if that is noted.
#[inline(always)]
pub(crate) fn issued_at(request: u64) -> Option<u64> {
    // SAFETY: the verifier has checked the pointer; the request is in flight.
    value::<Requests>(request).map(|start| unsafe { (*start).at_ns })
}

/// Whether this is a request to an NVMe disk through which this node uses volumes.
#[inline(always)]
pub(crate) fn is_import(request: u64) -> bool {
    // SAFETY: the verifier has checked the pointer; the request is in flight.
    value::<Requests>(request).is_some_and(|start| unsafe { (*start).state } == IMPORT)
}

/// Takes a disk's request out, at its completion.
#[inline(always)]
pub(crate) fn take_request(request: u64) -> Option<DiskStart> {
    take::<Requests>(&find::<Requests>(request)?, request)
}

/// Notes a request of the target. False if there is no room, which is counted.
#[inline(always)]
pub(crate) fn target(request: u64, start: &RequestStart) -> bool {
    let Some((set, old)) = entry::<Targets>(request) else {
        return false;
    };
    let Some(old) = old else {
        return insert::<Targets>(&set, request, start);
    };
    // SAFETY: the verifier has checked the pointer. The entry's request is this one, which is only now beginning: nobody
    // completes it.
    let old = unsafe { &mut *old };
    record::lost(Loss::Superseded);
    record::start_lost(old.volume, old.op);
    *old = *start;
    true
}

/// Notes t1 and the bio, if `request` is the address of a request of this volume whose first bio this
/// is.
#[inline(always)]
pub(crate) fn target_queued(request: u64, volume: Place, bio: u64, now: u64) -> bool {
    let Some(start) = value::<Targets>(request) else {
        return false;
    };
    // SAFETY: the verifier has checked the pointer. The request can't complete before its bio, which
    // is only now being queued.
    let start = unsafe { &mut *start };
    if start.queued_ns != 0 || start.volume != volume {
        return false;
    }
    start.queued_ns = now;
    start.bio = bio;
    true
}

/// Notes t4.
#[inline(always)]
pub(crate) fn target_done(request: u64, bio: u64, now: u64) {
    if let Some(start) = value::<Targets>(request) {
        // SAFETY: the verifier has checked the pointer. The kernel completes the request after this.
        let start = unsafe { &mut *start };
        if start.bio == bio {
            start.done_ns = now;
        }
    }
}

/// Takes a request of the target out, at its completion.
#[inline(always)]
pub(crate) fn take_target(request: u64) -> Option<RequestStart> {
    take::<Targets>(&find::<Targets>(request)?, request)
}
