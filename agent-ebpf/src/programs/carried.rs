//! Bios that requests carry: of volumes that this node uses over NVMe, and of those whose device has requests.
//!
//! The kernel traces no end of such a bio. It ends with the last of its bytes: each request takes its part off.

use weir_agent_ebpf::layout::{BIO_CARRIED, Failure, Loss, Stage, Start};

use super::facts::{BIO_BDEV, BIO_NEXT, BIO_PRIVATE, BIO_SIZE, RQ_BIO, read};
use super::{record, starts};

/// Bios of one request that are looked at. Most disks take requests of 126 to 256 segments, but merged
/// ones of single pages are rare: file systems make bios as long as they can.
pub(crate) const BIOS: usize = 128;

/// What a request carries. `None` if it can't be read.
///
/// The verifier checks what is done with a bio in each round anew, unless it is a function of its own that it checks
/// once: that takes an exported one that gets and returns numbers alone.
#[inline(always)]
pub(crate) fn each_bio(request: u64, mut look: impl FnMut(u64)) -> Option<()> {
    let mut bio: u64 = read(request, &RQ_BIO)?;
    for _ in 0..BIOS {
        if bio == 0 {
            return Some(());
        }
        look(bio);
        bio = read(bio, &BIO_NEXT)?;
    }
    if bio != 0 {
        record::lost(Loss::LongRequest);
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
    end_part(bio, end, status as u8);
    0
}

/// Takes what a bio holds of an I/O off it, if it is one that requests carry.
#[inline(always)]
pub(crate) fn end_part(bio: u64, end: u64, status: u8) {
    if let Some(Some(owner)) = owner_of(bio) {
        match read::<u32>(bio, &BIO_SIZE) {
            Some(bytes) => {
                if let Some(start) = starts::carried_done(owner, u64::from(bytes), status) {
                    end_io(&start, start.status, end);
                }
            }
            None => record::lost(Loss::Unreadable),
        }
    }
}

/// An I/O has ended, all of it. `status`: a `blk_status_t`.
#[inline(always)]
pub(crate) fn end_io(start: &Start, status: u8, end: u64) {
    let (place, op) = (start.place, u32::from(start.op));
    let Some(counted) = record::counted(place, op) else {
        return record::lost(Loss::StaleSlot);
    };
    counted.ended();
    let total = end.saturating_sub(start.at_ns);
    if let Some(failure) = Failure::of_block(status) {
        return record::failed(place, op, failure, total);
    }
    counted.size(op, start.bytes.into(), total);
    if start.kind == BIO_CARRIED {
        counted.stage(Stage::Local, total);
        if start.divided == 1 && !counted.disk_parts(start.at_ns, start.disk) {
            record::lost(Loss::Undivided);
        }
        return;
    }
    counted.stage(Stage::Total, total);
    // A flush is sent by the kernel's flush machinery, in a command of its own.
    if start.disk.first_ns != 0 {
        let queued = start.disk.first_ns.saturating_sub(start.at_ns);
        counted.stage(Stage::HostQueue, queued);
    }
}

/// Parts of parts: the disk that stands for all paths may split a bio, and the path again.
const SPLITS: usize = 3;

/// The volume's bio that this one is, or was split off: what is split off is chained to the rest by
/// `bi_private` (block/bio.c, `bio_chain`). Of others that is no bio: it is taken for one only if it is such a
/// volume's, or has the same device. `None` if the bio can't be read.
#[inline(always)]
pub(crate) fn owner_of(bio: u64) -> Option<Option<u64>> {
    let mut part = bio;
    for _ in 0..SPLITS {
        if starts::is_carried(part) {
            return Some(Some(part));
        }
        let parent: u64 = read(part, &BIO_PRIVATE)?;
        if starts::is_carried(parent) {
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
