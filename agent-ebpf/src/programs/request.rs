//! A pool's disks: `block_rq_issue`, `block_rq_requeue` and `block_rq_complete`.
//!
//! They also stamp the I/Os that a request is a part of (t2, t3). A flush is none: the kernel's flush machinery
//! (block/blk-flush.c) makes one request of its own for several, so a flush counts as issued when its
//! bio is queued on the disk ([`super::bio`]); its own request is never issued, but it is completed.
//!
//! Where the kernel keeps statistics of a queue, as it does to throttle write-back, it notes itself when it issues a request
//! (`blk_mq_start_request`, block/blk-mq.c): then nothing is done at that moment, unless several copies of a program see ends. From 6.9 on it takes that time once for all
//! requests of a plug. While that is so of every disk, the agent does not even attach the program. Should a kernel stop noting, then what is
//! issued until the agent looks is in no figure of the disk ([`Loss::IssueUnseen`]), and what it carries is not divided.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use weir_agent_ebpf::layout::{
    Common, DISK_REQUESTS, Device, DiskStart, Failure, Loss, Span, UNSEEN_NS, VOLUME_CARRIED,
};

use super::carried::{self, BIOS};
use super::facts::{BIT_FUA, BIT_PREFLUSH, has, op_of};
use super::originals::stamp_bio;
use super::typed::{
    BIO_NEXT, BIO_OPF, BIO_SIZE, DISK_MAJOR, DISK_MINOR, QUEUE_DISK, RQ_BIO, RQ_FLAGS, RQ_LENGTH,
    RQ_QUEUE, RQ_STARTED, Typed,
};
use super::{
    Event, common, device_with_requests, is_first_copy, notes_requests, now, on_duty_for, record,
    starts,
};

/// Minor numbers have 20 bits inside the kernel (include/linux/kdev_t.h).
const MINOR_BITS: u32 = 20;

/// `block_rq_issue(struct request *rq)`
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn rq_issue(ctx: BtfTracePointContext) -> i32 {
    let request = Typed::argument(ctx.arg(0));
    if let Some(common) = common()
        && let Some(address) = on_duty_for(common, Event::RequestIssue, request)
    {
        issued(common, request, address);
    }
    0
}

/// `block_rq_requeue(struct request *rq)`
#[btf_tracepoint(function = "block_rq_requeue")]
pub(crate) fn rq_requeue(ctx: BtfTracePointContext) -> i32 {
    let request = Typed::argument(ctx.arg(0));
    if let Some(common) = common()
        && let Some(address) = on_duty_for(common, Event::RequestRequeue, request)
        && device_of(request).is_some()
    {
        starts::requeued(address, request.u64(RQ_STARTED));
    }
    0
}

/// `block_rq_complete(struct request *rq, blk_status_t error, unsigned int nr_bytes)`
#[btf_tracepoint(function = "block_rq_complete")]
pub(crate) fn rq_complete(ctx: BtfTracePointContext) -> i32 {
    let request = Typed::argument(ctx.arg(0));
    if let Some(common) = common()
        && let Some(address) = on_duty_for(common, Event::RequestComplete, request)
    {
        completed(common, request, address, ctx.arg(1), ctx.arg(2));
    }
    0
}

/// What a request's device stands for, if it is one whose requests are looked at; and where it is noted that the kernel
/// tells when they are issued.
#[inline(always)]
fn device_of(request: Typed) -> Option<(Device, *mut u32)> {
    // A queue without a disk gives 0: NVMe admin commands and the like. No device has that number.
    let disk = request.pointer(RQ_QUEUE).pointer(QUEUE_DISK);
    let number = disk.u32(DISK_MAJOR) << MINOR_BITS | disk.u32(DISK_MINOR);
    device_with_requests(number)
        .filter(|(device, _)| device.flags & (DISK_REQUESTS | VOLUME_CARRIED) != 0)
}

#[inline(always)]
fn completed(common: *mut Common, request: Typed, address: u64, status: u8, bytes: u32) {
    let Some((device, timed)) = device_of(request) else {
        // Over NVMe a volume may be used through disks that are hidden behind the one that is known.
        if !starts::is_import(address) {
            return flushed(common, request, true, status);
        }
        // Its last command failed; one that succeeds is completed before.
        if starts::take_request(address).is_some()
            && carried::ended(address, now(), status).is_none()
        {
            record::lost(Loss::Unreadable);
        }
        return;
    };
    let end = now();
    let carries = device.flags & VOLUME_CARRIED != 0;
    let op = op_of(request.u32(RQ_FLAGS), || Some(request.u32(RQ_LENGTH)));
    let noted = starts::issued_at(address);
    let started = request.u64(RQ_STARTED);
    // An I/O that the kernel notes no time of, whatever was true of the ones before it.
    if started == 0 && bytes != 0 && op.is_some() {
        set(timed, 0);
    }
    let first_ns = noted.unwrap_or(started);
    // The second end of what goes through the flush machinery, of which nothing is left; or no I/O.
    if bytes == 0 && noted.is_none() || first_ns == 0 && op.is_none() {
        return flushed(common, request, carries, status);
    }
    if noted.is_none() && !is_first_copy() {
        return;
    }
    // A request may complete in parts; the last one covers what is left of it.
    let is_last = bytes >= request.u32(RQ_LENGTH);
    if is_last {
        if noted.is_some() && starts::take_request(address).is_none() {
            // Another copy of this program was faster.
            return;
        }
        if started != 0 {
            set(timed, 1);
        }
        if device.flags & DISK_REQUESTS != 0
            && let Some(op) = op
        {
            if first_ns == 0 {
                record::lost(Loss::IssueUnseen);
            } else {
                let ns = end.saturating_sub(first_ns);
                record::disk(device.disk, op as u32, Failure::of_block(status), ns);
            }
        }
    }
    let disk = Span {
        first_ns: first_ns.max(UNSEEN_NS),
        last_ns: end,
    };
    let ends = carries && is_last;
    let bio = request.pointer(RQ_BIO);
    let address = bio.address(common);
    if ends {
        let bytes = bio.u32(BIO_SIZE).into();
        if let Some(start) = starts::carried_whole(address, bytes, status, disk) {
            carried::end_io(&start, start.status, end);
            return each_bio(common, bio.pointer(BIO_NEXT), disk, Some(status));
        }
    }
    each_bio(common, bio, disk, ends.then_some(status));
}

/// Notes whether the kernel tells when a device's requests are issued.
#[inline(always)]
fn set(timed: *mut u32, value: u32) {
    // SAFETY: the verifier has checked the pointer; all CPUs read it, so it is written only where it changes.
    unsafe {
        if *timed != value {
            *timed = value;
        }
    }
}

/// What goes through the flush machinery completes once more at its end. Its own flags are gone by then.
#[inline(always)]
fn flushed(common: *mut Common, request: Typed, carries: bool, status: u8) {
    let bio = request.pointer(RQ_BIO);
    // No bio gives 0.
    let flags = bio.u32(BIO_OPF);
    if has(flags, &BIT_PREFLUSH) || has(flags, &BIT_FUA) {
        let end = now();
        // Of a volume's an empty flush; data was completed by its own request.
        let is_empty = bio.u32(BIO_SIZE) == 0;
        let disk = Span {
            first_ns: 0,
            last_ns: end,
        };
        each_bio(common, bio, disk, (carries && is_empty).then_some(status));
    }
}

#[inline(always)]
fn issued(common: *mut Common, request: Typed, address: u64) {
    let Some((device, timed)) = device_of(request) else {
        return;
    };
    // SAFETY: the verifier has checked the pointer.
    if unsafe { *timed } == 1 && !notes_requests() {
        return;
    }
    if let Some(op) = op_of(request.u32(RQ_FLAGS), || Some(request.u32(RQ_LENGTH))) {
        let start = DiskStart {
            at_ns: now(),
            place: device.disk,
            op: op as u32,
            ..DiskStart::default()
        };
        starts::request(address, &start);
        let disk = Span {
            first_ns: start.at_ns,
            last_ns: 0,
        };
        each_bio(common, request.pointer(RQ_BIO), disk, None);
    }
}

/// Stamps all I/Os that a disk's request carries from this bio on, and ends that part of them that it is if `status` says how.
#[inline(always)]
fn each_bio(common: *mut Common, first: Typed, disk: Span, status: Option<u8>) {
    let how = status.map_or(NOT_ENDED, u64::from);
    let mut bio = first;
    let mut address = bio.address(common);
    for _ in 0..BIOS {
        if address == 0 {
            return;
        }
        weir_part(address, disk.first_ns, disk.last_ns, how);
        bio = bio.pointer(BIO_NEXT);
        address = bio.address(common);
    }
    if address != 0 {
        record::lost(Loss::LongRequest);
    }
}

/// No `blk_status_t`.
const NOT_ENDED: u64 = 1 << 8;

/// Exported: see [`carried::each_bio`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn weir_part(bio: u64, first_ns: u64, last_ns: u64, how: u64) -> u64 {
    stamp_bio(bio, Span { first_ns, last_ns });
    if how != NOT_ENDED {
        carried::end_part(bio, last_ns, how as u8);
    }
    0
}
