//! The tables of what is in flight: hash maps keyed by the kernel object's address, which is unique
//! until its completion. Every access to them stands in this file.
//!
//! An entry whose completion was missed is found when its address is used again, and is counted
//! ([`Loss::Superseded`]); the agent ages out those whose address is not.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use weir_agent_ebpf::layout::{
    BIO_CARRIED, BIO_HELD_BACK, BIO_OF_BIO, BIO_OF_DISK, BIO_OF_IMPORT, BIO_OF_REQUEST,
    BIO_OF_VOLUME, DiskStart, IMPORT, Loss, Place, REQUEUED, RequestStart, Span, Start,
    ends_by_bytes, is_io_of_volume,
};

use super::record;

#[map]
static BIOS: HashMap<u64, Start> = HashMap::with_max_entries(1, 0);
#[map]
static REQUESTS: HashMap<u64, DiskStart> = HashMap::with_max_entries(1, 0);
#[map]
static TARGETS: HashMap<u64, RequestStart> = HashMap::with_max_entries(1, 0);

/// -EEXIST of `bpf_map_update_elem`.
const EXISTS: i32 = -17;

/// Notes a bio. False if there is no room, which is counted.
#[inline(always)]
pub(crate) fn bio(bio: u64, start: &Start) -> bool {
    match BIOS.insert(bio, start, u64::from(BPF_NOEXIST)) {
        Ok(()) => return true,
        Err(EXISTS) => {}
        Err(_) => {
            record::lost(Loss::TableFull);
            return false;
        }
    }
    // SAFETY: the entry's bio is this one, which is only now being queued: nobody completes it.
    if let Some(old) = unsafe { BIOS.get(bio) } {
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
    }
    replaced(BIOS.insert(bio, start, u64::from(BPF_ANY)))
}

/// Notes that a bio may be held back from now on, until it is queued.
#[inline(always)]
pub(crate) fn held_back(bio: u64, at_ns: u64) {
    let start = Start {
        at_ns,
        kind: BIO_HELD_BACK,
        ..Start::default()
    };
    if BIOS.insert(bio, &start, u64::from(BPF_NOEXIST)) == Err(EXISTS) {
        // What is left of a bio after a split comes here again, and is in flight already.
        if let Some(old) = BIOS.get_ptr_mut(bio)
            // SAFETY: the verifier has checked the pointer.
            && unsafe { (*old).kind } == BIO_HELD_BACK
        {
            // SAFETY: as above. Nobody else looks at this bio: its submitter is here.
            unsafe { (*old).at_ns = at_ns };
        }
    }
}

/// What a bio that is chained to this one belongs to, if this is a bio in flight of the same volume: a kind
/// and an owner.
#[inline(always)]
pub(crate) fn chained_to(bio: u64, volume: Place) -> Option<(u8, u64)> {
    // SAFETY: should the entry be recycled meanwhile, then the bio that asks was not its child.
    let parent = unsafe { BIOS.get(bio) }?;
    if parent.place != volume {
        return None;
    }
    match parent.kind {
        BIO_OF_VOLUME => Some((BIO_OF_BIO, bio)),
        BIO_OF_DISK | BIO_OF_IMPORT | BIO_CARRIED | BIO_HELD_BACK => None,
        kind => Some((kind, parent.owner)),
    }
}

/// A disk request of an I/O began or ended.
#[derive(Clone, Copy)]
pub(crate) enum Stamp {
    /// t2, unless an earlier one is there.
    Issued(u64),
    /// t3, until a later one comes.
    Completed(u64),
}

/// Stamps the I/O that a bio is, or is a part of. False if it is none that is known.
#[inline(always)]
pub(crate) fn stamp(bio: u64, stamp: Stamp) -> bool {
    let Some(start) = BIOS.get_ptr_mut(bio) else {
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
        note(unsafe { &raw mut (*start).disk }, stamp);
    } else if kind == BIO_OF_REQUEST {
        if let Some(request) = TARGETS.get_ptr_mut(owner) {
            // SAFETY: as above: the request waits for its bios.
            note(unsafe { &raw mut (*request).disk }, stamp);
        }
    } else if let Some(parent) = BIOS.get_ptr_mut(owner) {
        // SAFETY: as above: a bio waits for those that are chained to it.
        note(unsafe { &raw mut (*parent).disk }, stamp);
    }
    true
}

#[inline(always)]
fn note(span: *mut Span, stamp: Stamp) {
    match stamp {
        Stamp::Issued(now) => {
            // SAFETY: as in `stamp`.
            if unsafe { (*span).first_ns } == 0 {
                // SAFETY: as above.
                unsafe { (*span).first_ns = now };
            }
        }
        // SAFETY: as above.
        Stamp::Completed(now) => unsafe { (*span).last_ns = now },
    }
}

/// Whether this is a volume's bio in flight that requests carry.
#[inline(always)]
pub(crate) fn is_carried(bio: u64) -> bool {
    // SAFETY: the bio is in flight, so nobody takes its entry out.
    unsafe { BIOS.get(bio) }.is_some_and(|start| ends_by_bytes(start.kind))
}

/// Takes so many bytes off what a carried bio waits for, and takes the bio out if that was
/// all of it. `status`: how these bytes ended, as a `blk_status_t`.
#[inline(always)]
pub(crate) fn carried_done(bio: u64, bytes: u64, status: u8) -> Option<Start> {
    let start = BIOS.get_ptr_mut(bio)?;
    if status != 0 {
        // SAFETY: the verifier has checked the pointer. Of several parts that fail, any one's status will do.
        unsafe { (*start).status = status };
    }
    // SAFETY: the verifier has checked the pointer; all who write it from here on do so atomically.
    let left = record::take_off(unsafe { &raw mut (*start).owner }, bytes);
    if left > bytes {
        return None;
    }
    take(&BIOS, bio)
}

/// Takes a bio out, at its completion. One that requests carry only if it has failed (`BIO_STATUS`), which is how it ends
/// when there is no path to send it on: with several paths the kernel traces an end of the bio with each request that holds a
/// part of it, before it knows of any error (`nvme_trace_bio_complete`, drivers/nvme/host/nvme.h).
#[inline(always)]
pub(crate) fn take_bio(bio: u64, has_failed: impl FnOnce() -> bool) -> Option<Start> {
    take_if(&BIOS, bio, |start| {
        !ends_by_bytes(start.kind) || has_failed()
    })
}

/// Notes a disk's request. One that was put back and is issued again keeps its first start.
#[inline(always)]
pub(crate) fn request(request: u64, start: &DiskStart) {
    match REQUESTS.insert(request, start, u64::from(BPF_NOEXIST)) {
        Ok(()) => return,
        Err(EXISTS) => {}
        Err(_) => return record::lost(Loss::TableFull),
    }
    if let Some(old) = REQUESTS.get_ptr_mut(request) {
        // SAFETY: the verifier has checked the pointer; the request is only now being issued.
        if unsafe { (*old).state } == REQUEUED {
            // SAFETY: as above.
            unsafe { (*old).state = 0 };
            return;
        }
        record::lost(Loss::Superseded);
    }
    replaced(REQUESTS.insert(request, start, u64::from(BPF_ANY)));
}

/// Notes a request to an NVMe disk through which this node uses volumes, also if it is sent again.
#[inline(always)]
pub(crate) fn import_request(request: u64, at_ns: u64) {
    let start = DiskStart {
        at_ns,
        place: Place::NONE,
        op: 0,
        state: IMPORT,
        carries: 1,
    };
    replaced(REQUESTS.insert(request, start, u64::from(BPF_ANY)));
}

/// Remembers that a disk's request went back into its queue.
#[inline(always)]
pub(crate) fn requeued(request: u64) {
    if let Some(start) = REQUESTS.get_ptr_mut(request) {
        // SAFETY: the verifier has checked the pointer; a request is requeued by one CPU at a time.
        if unsafe { (*start).state } != IMPORT {
            // SAFETY: as above.
            unsafe { (*start).state = REQUEUED };
        }
    }
}

/// Whether this request of a disk is noted.
#[inline(always)]
pub(crate) fn knows_request(request: u64) -> bool {
    REQUESTS.get_ptr(request).is_some()
}

/// Takes a disk's request out, at its completion.
#[inline(always)]
pub(crate) fn take_request(request: u64) -> Option<DiskStart> {
    take(&REQUESTS, request)
}

/// Notes a request of the target. False if there is no room, which is counted.
#[inline(always)]
pub(crate) fn target(request: u64, start: &RequestStart) -> bool {
    match TARGETS.insert(request, start, u64::from(BPF_NOEXIST)) {
        Ok(()) => return true,
        Err(EXISTS) => {}
        Err(_) => {
            record::lost(Loss::TableFull);
            return false;
        }
    }
    // SAFETY: the entry's request is this one, which is only now beginning: nobody completes it.
    if let Some(old) = unsafe { TARGETS.get(request) } {
        record::lost(Loss::Superseded);
        record::start_lost(old.volume, old.op);
    }
    replaced(TARGETS.insert(request, start, u64::from(BPF_ANY)))
}

/// Notes t1 and the bio, if `request` is the address of a request of this volume whose first bio this
/// is.
#[inline(always)]
pub(crate) fn target_queued(request: u64, volume: Place, bio: u64, now: u64) -> bool {
    let Some(start) = TARGETS.get_ptr_mut(request) else {
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
    if let Some(start) = TARGETS.get_ptr_mut(request) {
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
    take(&TARGETS, request)
}

/// Copies an entry, then removes it. Only who removed it may use the copy: the agent may age the
/// entry out at the same moment, and its memory may then belong to another one.
#[inline(always)]
fn take<V: Copy>(table: &HashMap<u64, V>, key: u64) -> Option<V> {
    take_if(table, key, |_| true)
}

/// [`take`], of entries that are such.
#[inline(always)]
fn take_if<V: Copy>(
    table: &HashMap<u64, V>,
    key: u64,
    is_such: impl FnOnce(&V) -> bool,
) -> Option<V> {
    // SAFETY: as said above.
    let copy = *unsafe { table.get(key) }?;
    if !is_such(&copy) {
        return None;
    }
    table.remove(key).ok().map(|()| copy)
}

#[inline(always)]
fn replaced(insertion: Result<(), i32>) -> bool {
    if insertion.is_err() {
        record::lost(Loss::TableFull);
    }
    insertion.is_ok()
}
