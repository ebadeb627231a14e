//! A pool's disks: `block_rq_issue`, `block_rq_requeue` and `block_rq_complete`.
//!
//! They also stamp the I/Os that a request is a part of (t2, t3). A flush is none: the kernel's flush machinery
//! (block/blk-flush.c) makes one request of its own for several, so a flush counts as issued when its
//! bio is queued on the disk ([`super::bio`]); its own request is never issued, but it is completed.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_agent_ebpf::layout::{
    DISK_REQUESTS, DiskStart, End, Failure, IMPORT, Loss, Place, VOLUME_CARRIED,
};

use super::carried::{self, each_bio};
use super::facts::{
    BIO_OPF, BIO_SIZE, BIT_FUA, BIT_PREFLUSH, DISK_MAJOR, DISK_MINOR, QUEUE_DISK, RQ_BIO, RQ_FLAGS,
    RQ_LENGTH, RQ_QUEUE, has, op_of, read,
};
use super::originals::stamp_bio;
use super::starts::Stamp;
use super::{device, is_unhandled, now, on_duty, record, starts};

/// Minor numbers have 20 bits inside the kernel (include/linux/kdev_t.h).
const MINOR_BITS: u32 = 20;

/// `block_rq_issue(struct request *rq)`
#[raw_tracepoint(tracepoint = "block_rq_issue")]
pub(crate) fn rq_issue(ctx: RawTracePointContext) -> i32 {
    if on_duty() && issued(ctx.arg(0)).is_none() {
        record::lost(Loss::Unreadable);
    }
    0
}

/// `block_rq_requeue(struct request *rq)`
#[raw_tracepoint(tracepoint = "block_rq_requeue")]
pub(crate) fn rq_requeue(ctx: RawTracePointContext) -> i32 {
    if on_duty() {
        starts::requeued(ctx.arg(0));
    }
    0
}

/// `block_rq_complete(struct request *rq, blk_status_t error, unsigned int nr_bytes)`
#[raw_tracepoint(tracepoint = "block_rq_complete")]
pub(crate) fn rq_complete(ctx: RawTracePointContext) -> i32 {
    let request = ctx.arg(0);
    if on_duty()
        && is_unhandled(End::Request, request)
        && completed(request, ctx.arg(1), ctx.arg(2)).is_none()
    {
        record::lost(Loss::Unreadable);
    }
    0
}

/// Stamps all I/Os that a disk's request is a part of. `None` if it can't be read.
#[inline(always)]
fn stamp(request: u64, stamp: Stamp) -> Option<()> {
    each_bio(request, |bio| stamp_bio(bio, stamp))
}

/// `None` if the request can't be read.
#[inline(always)]
fn completed(request: u64, status: u8, bytes: u32) -> Option<()> {
    if starts::knows_request(request) {
        // A request may complete in parts; the last one covers what is left of it.
        let is_last = bytes >= read(request, &RQ_LENGTH)?;
        let end = now();
        let mut carries = false;
        if is_last {
            let Some(start) = starts::take_request(request) else {
                // Another copy of this program was faster.
                return Some(());
            };
            if start.state == IMPORT {
                // Its last command failed; one that succeeds is completed before.
                return carried::ended(request, end, status);
            }
            let ns = end.saturating_sub(start.at_ns);
            if start.place != Place::NONE {
                record::disk(start.place, start.op, Failure::of_block(status), ns);
            }
            carries = start.carries == 1;
        }
        stamp(request, Stamp::Completed(end))?;
        if carries {
            carried::ended(request, end, status)?;
        }
        return Some(());
    }
    // What goes through the flush machinery completes once more at its end. Its own flags are gone by then.
    let bio: u64 = read(request, &RQ_BIO)?;
    if bio != 0 {
        let flags = read(bio, &BIO_OPF)?;
        if has(flags, &BIT_PREFLUSH) || has(flags, &BIT_FUA) {
            let end = now();
            stamp(request, Stamp::Completed(end))?;
            if read::<u32>(bio, &BIO_SIZE)? == 0 {
                // Of a volume's an empty flush; data was completed by its own request.
                return carried::ended(request, end, status);
            }
        }
    }
    Some(())
}

/// `None` if the request can't be read.
#[inline(always)]
fn issued(request: u64) -> Option<()> {
    let queue: u64 = read(request, &RQ_QUEUE)?;
    let disk: u64 = read(queue, &QUEUE_DISK)?;
    if disk == 0 {
        // A queue without a disk: NVMe admin commands and the like.
        return Some(());
    }
    let major: u32 = read(disk, &DISK_MAJOR)?;
    let minor: u32 = read(disk, &DISK_MINOR)?;
    let Some(device) = device(major << MINOR_BITS | minor) else {
        return Some(());
    };
    if device.flags & (DISK_REQUESTS | VOLUME_CARRIED) == 0 {
        return Some(());
    }
    let flags = read(request, &RQ_FLAGS)?;
    if let Some(op) = op_of(flags, || read(request, &RQ_LENGTH)) {
        let start = DiskStart {
            at_ns: now(),
            place: device.disk,
            op: op as u32,
            state: 0,
            carries: u16::from(device.flags & VOLUME_CARRIED != 0),
        };
        starts::request(request, &start);
        stamp(request, Stamp::Issued(start.at_ns))?;
    }
    Some(())
}
