//! A pool's disks: `block_rq_issue`, `block_rq_requeue` and `block_rq_complete`.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_agent_ebpf::layout::{DISK_REQUESTS, Loss, Start};

use super::facts::{
    DISK_MAJOR, DISK_MINOR, QUEUE_DISK, RQ_FLAGS, RQ_LENGTH, RQ_QUEUE, op_of, read,
};
use super::{device, on_duty, record, starts};

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
    if on_duty() {
        let request = ctx.arg::<u64>(0);
        // A request may complete in parts; the last one covers what is left of it.
        if starts::knows_request(request)
            && let Some(left) = read::<u32>(request, &RQ_LENGTH)
            && ctx.arg::<u32>(2) >= left
            && let Some(start) = starts::take_request(request)
        {
            // SAFETY: the helper takes nothing and is allowed in every program.
            let end = unsafe { bpf_ktime_get_ns() };
            record::disk(start.place, start.op, end.saturating_sub(start.at_ns));
        }
    }
    0
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
    if device.flags & DISK_REQUESTS == 0 {
        return Some(());
    }
    let flags = read(request, &RQ_FLAGS)?;
    if let Some(op) = op_of(flags, || read(request, &RQ_LENGTH)) {
        let start = Start {
            // SAFETY: the helper takes nothing and is allowed in every program.
            at_ns: unsafe { bpf_ktime_get_ns() },
            request: 0,
            place: device.disk,
            op: op as u32,
            kind: 0,
        };
        starts::request(request, &start);
    }
    Some(())
}
