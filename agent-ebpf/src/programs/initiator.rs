//! NVMe disks through which this node uses volumes: `nvme_setup_cmd` (h1) and `nvme_complete_rq` (h2).
//!
//! Requests carry these disks' bios: see [`super::carried`]. Each command that succeeds takes its part off. One that fails may
//! be sent again, also on another path, after this event; when it is given up, `block_rq_complete` says so.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_agent_ebpf::layout::{Loss, Span};

use super::carried::{each_bio, ended, owner_of};
use super::facts::{NVME_STATUS, RQ_BIO, RQ_SIZE, read, read_at};
use super::{Event, now, on_duty, record, starts};

/// `nvme_setup_cmd(struct request *req, struct nvme_command *cmd)`
#[raw_tracepoint(tracepoint = "nvme_setup_cmd")]
pub(crate) fn nvme_setup(ctx: RawTracePointContext) -> i32 {
    let request = ctx.arg(0);
    if on_duty(Event::CommandSetup, request) && began(request).is_none() {
        record::lost(Loss::Unreadable);
    }
    0
}

/// `nvme_complete_rq(struct request *req)`
#[raw_tracepoint(tracepoint = "nvme_complete_rq")]
pub(crate) fn nvme_complete(ctx: RawTracePointContext) -> i32 {
    let request = ctx.arg(0);
    if on_duty(Event::CommandComplete, request) && completed(request).is_none() {
        record::lost(Loss::Unreadable);
    }
    0
}

/// `None` if the request can't be read.
#[inline(always)]
fn began(request: u64) -> Option<()> {
    let first: u64 = read(request, &RQ_BIO)?;
    // A request holds bios of one disk: all of them are a measured volume's, or none is.
    if first == 0 || owner_of(first)?.is_none() {
        return Some(());
    }
    let now = now();
    starts::import_request(request, now);
    each_bio(request, |bio| {
        weir_begin_part(bio, now);
    })
}

/// Exported: see [`each_bio`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn weir_begin_part(bio: u64, now: u64) -> u64 {
    if let Some(Some(owner)) = owner_of(bio) {
        let disk = Span {
            first_ns: now,
            last_ns: 0,
        };
        starts::stamp(owner, disk);
    }
    0
}

/// `None` if the request can't be read.
#[inline(always)]
fn completed(request: u64) -> Option<()> {
    if !starts::is_import(request) {
        return Some(());
    }
    let behind = request.wrapping_add(u64::from(RQ_SIZE.load()));
    let status: u16 = read_at(behind.wrapping_add(u64::from(NVME_STATUS.load())))?;
    if status == 0 && starts::take_request(request).is_some() {
        return ended(request, now(), 0);
    }
    Some(())
}
