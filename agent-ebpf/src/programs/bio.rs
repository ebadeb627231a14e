//! Bios: `block_bio_queue` and `block_bio_complete`.
//!
//! For a bio that a driver remaps, splits or resubmits, the kernel traces one queue event and one
//! completion (the flag `BIO_TRACE_COMPLETION`, block/bio.c); copies made by a split have another
//! address and no queue event, so they are not in the table.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use weir_agent_ebpf::layout::{
    BIO_CARRIED, BIO_OF_BIO, BIO_OF_DISK, BIO_OF_IMPORT, BIO_OF_REQUEST, BIO_OF_VOLUME, DISK_BIOS,
    DISK_FLUSHES, Device, End, Failure, Loss, Op, Stage, Start, VOLUME_CARRIED, VOLUME_EXPORTED,
    VOLUME_IMPORTED, VOLUME_LOCAL,
};

use super::facts::{BDEV_DEV, BIO_BDEV, BIO_OPF, BIO_PRIVATE, BIO_SIZE, BIO_STATUS, op_of, read};
use super::originals::stamp_bio;
use super::starts::Stamp;
use super::{carried, device, is_unhandled, now, on_duty, record, starts};

/// `BLK_STS_AGAIN` (include/linux/blk_types.h): a `REQ_NOWAIT` bio would have had to wait.
const STATUS_AGAIN: u8 = 12;

/// `block_bio_queue(struct bio *bio)`
#[raw_tracepoint(tracepoint = "block_bio_queue")]
pub(crate) fn bio_queue(ctx: RawTracePointContext) -> i32 {
    if on_duty() {
        let bio = ctx.arg::<u64>(0);
        if let Some(device) = device_of(bio)
            && queued(bio, &device).is_none()
        {
            record::lost(Loss::Unreadable);
        }
    }
    0
}

/// `block_bio_complete(struct request_queue *q, struct bio *bio)`
#[raw_tracepoint(tracepoint = "block_bio_complete")]
pub(crate) fn bio_complete(ctx: RawTracePointContext) -> i32 {
    let bio = ctx.arg::<u64>(1);
    if on_duty() && is_unhandled(End::Bio, bio) {
        let status = || read::<u8>(bio, &BIO_STATUS).unwrap_or(0);
        if let Some(start) = starts::take_bio(bio, || status() != 0) {
            completed(bio, &start, status);
        }
    }
    0
}

/// What a bio's device stands for, if it is registered.
#[inline(always)]
pub(crate) fn device_of(bio: u64) -> Option<Device> {
    let bdev: u64 = read(bio, &BIO_BDEV)?;
    device(read(bdev, &BDEV_DEV)?)
}

/// `None` if the bio can't be read.
#[inline(always)]
fn queued(bio: u64, device: &Device) -> Option<()> {
    let mut start = Start {
        place: device.volume,
        kind: BIO_OF_VOLUME,
        ..Start::default()
    };
    if device.flags & (VOLUME_EXPORTED | VOLUME_LOCAL) != 0 {
        let private = read(bio, &BIO_PRIVATE)?;
        start.at_ns = now();
        if device.flags & VOLUME_EXPORTED != 0
            && starts::target_queued(private, device.volume, bio, start.at_ns)
        {
            // The target's requests are this volume's I/Os, its bios are parts of them. The first bio of a
            // request always carries its address; later ones are chained to it (drivers/nvme/target/io-cmd-bdev.c).
            start.owner = private;
            start.kind = BIO_OF_REQUEST;
            starts::bio(bio, &start);
            return Some(());
        }
        if let Some((kind, owner)) = starts::chained_to(private, device.volume) {
            start.owner = owner;
            start.kind = kind;
            starts::bio(bio, &start);
            return Some(());
        }
        if device.flags & VOLUME_EXPORTED != 0 {
            // Somebody on this node has the device open: these are no I/Os of the volume's host.
            return Some(());
        }
    }
    let flags = read(bio, &BIO_OPF)?;
    let Some(op) = op_of(flags, || read(bio, &BIO_SIZE)) else {
        return Some(());
    };
    if device.flags & (VOLUME_IMPORTED | VOLUME_LOCAL) == 0 {
        queued_on_disk(bio, device, op);
        return Some(());
    }
    start.op = op as u8;
    start.bytes = read(bio, &BIO_SIZE)?;
    if device.flags & VOLUME_IMPORTED != 0 {
        // Sent on another path it is traced no second time: it keeps its BIO_TRACE_COMPLETION.
        start.kind = BIO_OF_IMPORT;
        start.owner = u64::from(start.bytes);
        start.at_ns = now();
    } else {
        start.divided = u8::from(record::is_divided(device.volume));
        if device.flags & VOLUME_CARRIED != 0 {
            start.kind = BIO_CARRIED;
            start.owner = u64::from(start.bytes);
            if op == Op::Flush {
                start.disk.first_ns = start.at_ns;
            }
        }
    }
    if starts::bio(bio, &start) {
        record::started(start.place, start.op.into(), start.at_ns);
    }
    Some(())
}

#[inline(always)]
fn queued_on_disk(bio: u64, device: &Device, op: Op) {
    if device.flags & DISK_BIOS != 0 {
        let start = Start {
            at_ns: now(),
            place: device.disk,
            op: op as u8,
            kind: BIO_OF_DISK,
            ..Start::default()
        };
        starts::bio(bio, &start);
        stamp_bio(bio, Stamp::Issued(start.at_ns));
    } else if device.flags & DISK_FLUSHES != 0 && op == Op::Flush {
        stamp_bio(bio, Stamp::Issued(now()));
    }
}

#[inline(always)]
fn completed(bio: u64, start: &Start, status: impl FnOnce() -> u8) {
    let end = now();
    let op = u32::from(start.op);
    match start.kind {
        BIO_OF_BIO => return,
        BIO_OF_REQUEST => return starts::target_done(start.owner, bio, end),
        BIO_OF_DISK => stamp_bio(bio, Stamp::Completed(end)),
        BIO_OF_IMPORT | BIO_CARRIED => return carried::end_io(start, status(), end),
        _ if !record::volume_holds(start.place) => return record::lost(Loss::StaleSlot),
        _ => record::ended(start.place, op),
    }
    let status = status();
    if status == STATUS_AGAIN {
        return;
    }
    let failure = Failure::of_block(status);
    let ns = end.saturating_sub(start.at_ns);
    if start.kind == BIO_OF_DISK {
        record::disk(start.place, op, failure, ns);
    } else if let Some(failure) = failure {
        record::failed(start.place, op, failure, ns);
    } else {
        record::volume(start.place, op, Stage::Local, ns);
        record::size(start.place, op, start.bytes.into(), ns);
        if start.divided == 1 {
            record::parts(start.place, op, start.at_ns, start.disk, end);
        }
    }
}
