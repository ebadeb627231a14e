//! Bios: `block_bio_queue` and `block_bio_complete`.
//!
//! For a bio that a driver remaps, splits or resubmits, the kernel traces one queue event and one
//! completion (the flag `BIO_TRACE_COMPLETION`, block/bio.c); copies made by a split have another
//! address and no queue event, so they are not in the table.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use weir_agent_ebpf::layout::{
    BIO_CARRIED, BIO_OF_BIO, BIO_OF_DISK, BIO_OF_IMPORT, BIO_OF_REQUEST, BIO_OF_VOLUME, Common,
    DISK_BIOS, DISK_FLUSHES, Device, Failure, Loss, Op, Span, Stage, Start, VOLUME_CARRIED,
    VOLUME_EXPORTED, VOLUME_IMPORTED, VOLUME_LOCAL,
};

use super::facts::{self, op_of, read};
use super::originals::stamp_bio;
use super::typed::{BDEV_DEV, BIO_BDEV, BIO_OPF, BIO_PRIVATE, BIO_SIZE, BIO_STATUS, Typed};
use super::{Event, carried, common, device, now, on_duty_for, record, starts};

/// `BLK_STS_AGAIN` (include/linux/blk_types.h): a `REQ_NOWAIT` bio would have had to wait.
const STATUS_AGAIN: u8 = 12;

/// `block_bio_queue(struct bio *bio)`
#[btf_tracepoint(function = "block_bio_queue")]
pub(crate) fn bio_queue(ctx: BtfTracePointContext) -> i32 {
    let bio = Typed::argument(ctx.arg(0));
    if let Some(common) = common()
        && let Some(address) = on_duty_for(common, Event::BioQueue, bio)
        && let Some(device) = device(bio.pointer(BIO_BDEV).u32(BDEV_DEV))
    {
        queued(common, bio, address, &device);
    }
    0
}

/// `block_bio_complete(struct request_queue *q, struct bio *bio)`
#[btf_tracepoint(function = "block_bio_complete")]
pub(crate) fn bio_complete(ctx: BtfTracePointContext) -> i32 {
    let bio = Typed::argument(ctx.arg(1));
    if let Some(common) = common()
        && let Some(address) = on_duty_for(common, Event::BioComplete, bio)
    {
        let status = bio.u8(BIO_STATUS);
        if let Some((start, end)) = starts::take_bio(address, || status != 0) {
            completed(address, &start, end, status);
        }
    }
    0
}

#[inline(always)]
fn queued(common: *mut Common, of: Typed, bio: u64, device: &Device) {
    let mut start = Start {
        place: device.volume,
        kind: BIO_OF_VOLUME,
        ..Start::default()
    };
    if device.flags & (VOLUME_EXPORTED | VOLUME_LOCAL) != 0 {
        let private = of.number(BIO_PRIVATE);
        start.at_ns = now();
        if device.flags & VOLUME_EXPORTED != 0
            && starts::target_queued(private, device.volume, bio, start.at_ns)
        {
            // The target's requests are this volume's I/Os, its bios are parts of them. The first bio of a
            // request always carries its address; later ones are chained to it (drivers/nvme/target/io-cmd-bdev.c).
            start.owner = private;
            start.kind = BIO_OF_REQUEST;
            starts::bio(bio, &start);
            return;
        }
        let is_bio =
            || read(private, &facts::BIO_BDEV) == Some(of.pointer(BIO_BDEV).address(common));
        if let Some((kind, owner)) = starts::chained_to(private, device.volume, is_bio) {
            start.owner = owner;
            start.kind = kind;
            starts::bio(bio, &start);
            return;
        }
        if device.flags & VOLUME_EXPORTED != 0 {
            // Somebody on this node has the device open: these are no I/Os of the volume's host.
            return;
        }
    }
    let bytes = of.u32(BIO_SIZE);
    let Some(op) = op_of(of.u32(BIO_OPF), || Some(bytes)) else {
        return;
    };
    if device.flags & (VOLUME_IMPORTED | VOLUME_LOCAL) == 0 {
        return queued_on_disk(bio, device, op);
    }
    start.op = op as u8;
    start.bytes = bytes;
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
        stamp_bio(bio, issued(start.at_ns));
    } else if device.flags & DISK_FLUSHES != 0 && op == Op::Flush {
        stamp_bio(bio, issued(now()));
    }
}

#[inline(always)]
fn issued(now: u64) -> Span {
    Span {
        first_ns: now,
        last_ns: 0,
    }
}

#[inline(always)]
fn completed(bio: u64, start: &Start, end: u64, status: u8) {
    let op = u32::from(start.op);
    let ns = end.saturating_sub(start.at_ns);
    match start.kind {
        BIO_OF_BIO => return,
        BIO_OF_REQUEST => return starts::target_done(start.owner, bio, end),
        BIO_OF_DISK => {
            let disk = Span {
                first_ns: 0,
                last_ns: end,
            };
            stamp_bio(bio, disk);
            if status != STATUS_AGAIN {
                record::disk(start.place, op, Failure::of_block(status), ns);
            }
            return;
        }
        BIO_OF_IMPORT | BIO_CARRIED => return carried::end_io(start, status, end),
        _ => {}
    }
    let Some(counted) = record::counted(start.place, op) else {
        return record::lost(Loss::StaleSlot);
    };
    counted.ended();
    if status == STATUS_AGAIN {
        return;
    }
    if let Some(failure) = Failure::of_block(status) {
        return record::failed(start.place, op, failure, ns);
    }
    counted.stage(Stage::Local, ns);
    counted.size(op, start.bytes.into(), ns);
    if start.divided == 1 {
        counted.parts(start.at_ns, start.disk, end);
    }
}
