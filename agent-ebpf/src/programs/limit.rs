//! Limits of cgroups (`io.max`): `__blk_throtl_bio`, which the kernel calls only where there are any.
//!
//! A bio that is over its limit waits there, before it is queued (`submit_bio_noacct`, block/blk-core.c), so no stage
//! contains that time: it is the submitter's, not the device's. There is no tracepoint.

use aya_ebpf::macros::kprobe;
use aya_ebpf::programs::ProbeContext;
use weir_agent_ebpf::layout::{VOLUME_IMPORTED, VOLUME_LOCAL};

use super::facts::{BDEV_DEV, BIO_BDEV, read};
use super::{Event, device, now, on_duty, starts};

/// `bool __blk_throtl_bio(struct bio *bio)`
#[kprobe(function = "__blk_throtl_bio")]
pub(crate) fn throttle(ctx: ProbeContext) -> u32 {
    if let Some(bio) = ctx.arg::<u64>(0)
        && on_duty(Event::Throttle, bio)
        && let Some(bdev) = read::<u64>(bio, &BIO_BDEV)
        && let Some(device) = read(bdev, &BDEV_DEV).and_then(device)
        && device.flags & (VOLUME_LOCAL | VOLUME_IMPORTED) != 0
    {
        starts::held_back(bio, now());
    }
    0
}
