//! The programs and what they share.

pub(crate) mod bio;
pub(crate) mod carried;
pub(crate) mod duty;
pub(crate) mod facts;
pub(crate) mod initiator;
pub(crate) mod limit;
pub(crate) mod originals;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod starts;
pub(crate) mod tables;
pub(crate) mod target;
pub(crate) mod typed;

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use weir_agent_ebpf::layout::{Common, Device, Meta};
use weir_agent_ebpf::table::key_of_device;

pub(crate) use duty::{notes_requests, on_duty, on_duty_for};
use tables::{Devices, find};
pub(crate) use weir_agent_ebpf::handover::Event;

#[map]
static COMMON: Array<Common> = Array::with_max_entries(1, BPF_F_MMAPABLE);

// The agent's own, declared here so that every map is made in one place. No program uses it.
#[map]
static META: Array<Meta> = Array::with_max_entries(1, 0);

/// Programs for ends are attached up to [`COPIES`](weir_agent_ebpf::layout::COPIES) times, since the kernel skips one that an interrupt
/// finds at work. Whoever comes first ends what was noted, by taking it out; the others find nothing. (The object's address is not used
/// again before all of them have run: it is given up after the event.) What was not noted is the first copy's alone.
#[inline(always)]
pub(crate) fn is_first_copy() -> bool {
    facts::COPY.load() == 1
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and is allowed in every program.
    unsafe { bpf_ktime_get_ns() }
}

/// What all programs look at. Always there, which the verifier wants to see.
#[inline(always)]
pub(crate) fn common() -> Option<*mut Common> {
    COMMON.get_ptr_mut(0)
}

/// What a device number stands for, if it is registered.
#[inline(always)]
pub(crate) fn device(dev: u32) -> Option<Device> {
    device_with_requests(dev).map(|(device, _)| device)
}

/// The same, and where it is noted that the kernel itself tells when the device's requests are issued.
#[inline(always)]
pub(crate) fn device_with_requests(dev: u32) -> Option<(Device, *mut u32)> {
    let value = find::<Devices>(key_of_device(dev))?.value::<Devices>()?;
    // SAFETY: the verifier has checked the pointer. The agent never gives a place to another device without waiting in
    // between until no program runs any more that could have found it.
    let (device, timed) = unsafe { (*value, &raw mut (*value).timed) };
    Some((device, timed))
}
