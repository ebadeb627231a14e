//! The programs and what they share.

pub(crate) mod bio;
pub(crate) mod carried;
pub(crate) mod facts;
pub(crate) mod initiator;
pub(crate) mod limit;
pub(crate) mod originals;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod starts;
pub(crate) mod target;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use weir_agent_ebpf::layout::{Device, Meta};

/// The number of the object whose programs act. An upgrade attaches the new object's programs
/// beside the old ones and then changes this one number: no I/O is missed and none counted twice,
/// but for those whose event is just being handled at that moment.
#[map]
static GATE: Array<u64> = Array::with_max_entries(1, 0);

#[map]
static DEVICES: HashMap<u32, Device> = HashMap::with_max_entries(1, 0);

// The agent's own, declared here so that every map is made in one place. No program uses it.
#[map]
static META: Array<Meta> = Array::with_max_entries(1, 0);

/// Whether this object's programs are the ones to act.
#[inline(always)]
pub(crate) fn on_duty() -> bool {
    GATE.get(0)
        .is_some_and(|object| *object == facts::OBJECT.load())
}

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and is allowed in every program.
    unsafe { bpf_ktime_get_ns() }
}

/// What a device number stands for, if it is registered.
#[inline(always)]
pub(crate) fn device(dev: u32) -> Option<Device> {
    // SAFETY: the agent never deletes and inserts entries without waiting in between until no
    // program runs any more that could have looked the old one up.
    unsafe { DEVICES.get(dev) }.copied()
}
