//! NVMe disks through which this node uses volumes: `nvme_setup_cmd` (h1) and `nvme_complete_rq` (h2).
//!
//! Requests carry these disks' bios, and the kernel traces no end of such a bio. A bio ends with the last of its bytes:
//! each command that succeeds takes its part off. One that fails may be sent again, also on another path,
//! after this event; when it is given up, `block_rq_complete` says so.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_agent_ebpf::layout::{Failure, Loss, Stage, Start};

use super::facts::{BIO_BDEV, BIO_PRIVATE, BIO_SIZE, NVME_STATUS, RQ_BIO, RQ_SIZE, read, read_at};
use super::request::each_bio;
use super::starts::Stamp;
use super::{now, on_duty, record, starts};

/// `nvme_setup_cmd(struct request *req, struct nvme_command *cmd)`
#[raw_tracepoint(tracepoint = "nvme_setup_cmd")]
pub(crate) fn nvme_setup(ctx: RawTracePointContext) -> i32 {
    if on_duty() && began(ctx.arg(0)).is_none() {
        record::lost(Loss::Unreadable);
    }
    0
}

/// `nvme_complete_rq(struct request *req)`
#[raw_tracepoint(tracepoint = "nvme_complete_rq")]
pub(crate) fn nvme_complete(ctx: RawTracePointContext) -> i32 {
    if on_duty() && completed(ctx.arg(0)).is_none() {
        record::lost(Loss::Unreadable);
    }
    0
}

/// `None` if the request can't be read.
#[inline(always)]
fn began(request: u64) -> Option<()> {
    let first: u64 = read(request, &RQ_BIO)?;
    // A request holds bios of one disk: all of them are a measured volume's, or none is.
    if first == 0 || import_of(first)?.is_none() {
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
    if let Some(Some(import)) = import_of(bio) {
        starts::stamp(import, Stamp::Issued(now));
    }
    0
}

/// `None` if the request can't be read.
#[inline(always)]
fn completed(request: u64) -> Option<()> {
    if !starts::knows_request(request) {
        return Some(());
    }
    let behind = request.wrapping_add(u64::from(RQ_SIZE.load()));
    let status: u16 = read_at(behind.wrapping_add(u64::from(NVME_STATUS.load())))?;
    if status == 0 && starts::take_request(request).is_some() {
        return ended(request, now(), 0);
    }
    Some(())
}

/// Takes a request's part off each of its bios. `status`: how it ended, as a `blk_status_t`. `None` if it can't be read.
#[inline(always)]
pub(crate) fn ended(request: u64, end: u64, status: u8) -> Option<()> {
    each_bio(request, |bio| {
        weir_end_part(bio, end, status.into());
    })
}

/// Exported: see [`each_bio`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn weir_end_part(bio: u64, end: u64, status: u64) -> u64 {
    if let Some(Some(import)) = import_of(bio) {
        match read::<u32>(bio, &BIO_SIZE) {
            Some(bytes) => {
                if let Some(start) = starts::import_done(import, u64::from(bytes), status as u8) {
                    end_import(&start, start.status, end);
                }
            }
            None => record::lost(Loss::Unreadable),
        }
    }
    0
}

/// An imported volume's I/O has ended, all of it. `status`: a `blk_status_t`.
#[inline(always)]
pub(crate) fn end_import(start: &Start, status: u8, end: u64) {
    let (place, op) = (start.place, u32::from(start.op));
    if !record::volume_holds(place) {
        return record::lost(Loss::StaleSlot);
    }
    record::ended(place, op);
    let total = end.saturating_sub(start.at_ns);
    if let Some(failure) = Failure::of_block(status) {
        return record::failed(place, op, failure, total);
    }
    record::volume(place, op, Stage::Total, total);
    record::size(place, op, start.bytes.into(), total);
    // A flush is sent by the kernel's flush machinery, in a command of its own.
    if start.disk.first_ns != 0 {
        let queued = start.disk.first_ns.saturating_sub(start.at_ns);
        record::volume(place, op, Stage::HostQueue, queued);
    }
}

/// Parts of parts: the disk that stands for all paths may split a bio, and the path again.
const SPLITS: usize = 3;

/// The imported volume's bio that this one is, or was split off: what is split off is chained to the rest by
/// `bi_private` (block/bio.c, `bio_chain`). Of others that is no bio: it is taken for one only if it is an
/// imported volume's, or has the same device. `None` if the bio can't be read.
#[inline(always)]
fn import_of(bio: u64) -> Option<Option<u64>> {
    let mut part = bio;
    for _ in 0..SPLITS {
        if starts::is_import(part) {
            return Some(Some(part));
        }
        let parent: u64 = read(part, &BIO_PRIVATE)?;
        if starts::is_import(parent) {
            return Some(Some(parent));
        }
        let device: u64 = read(part, &BIO_BDEV)?;
        if read(parent, &BIO_BDEV) != Some(device) {
            break;
        }
        part = parent;
    }
    Some(None)
}
