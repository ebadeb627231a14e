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
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use weir_agent_ebpf::layout::{COPIES, Device, End, Meta};

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

/// For each kind of end, what this CPU handles in the event of the moment.
#[map]
static HANDLED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Whether nobody has handled this end yet, as far as is known: programs for ends are attached [`COPIES`] times, in
/// this order, since the kernel skips one that an interrupt finds at work. The last copy forgets what the first one noted, so that
/// an address that is used again is not taken for handled. Whoever acts in vain finds nothing to end.
#[inline(always)]
pub(crate) fn is_unhandled(end: End, object: u64) -> bool {
    let Some(handled) = HANDLED.get_ptr_mut(end as u32) else {
        return true;
    };
    let copy = facts::COPY.load();
    if copy == 1 {
        // SAFETY: the verifier has checked the pointer. Who interrupts writes it too, and then others act once more.
        unsafe { handled.write_volatile(object) };
        return true;
    }
    // SAFETY: as above.
    let is_handled = unsafe { handled.read_volatile() } == object;
    if copy == COPIES {
        // SAFETY: as above.
        unsafe { handled.write_volatile(0) };
    }
    !is_handled
}

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
