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
pub(crate) mod tables;
pub(crate) mod target;
pub(crate) mod typed;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use weir_agent_ebpf::layout::{COPIES, Device, End, HANDLED_AT_ONCE, Handled, Meta};
use weir_agent_ebpf::table::key_of_device;

use tables::{Devices, find};

/// The number of the object whose programs act. An upgrade attaches the new object's programs
/// beside the old ones and then changes this one number: no I/O is missed and none counted twice,
/// but for those whose event is just being handled at that moment.
#[map]
static GATE: Array<u64> = Array::with_max_entries(1, 0);

/// For each element of the table of devices, whether the kernel itself notes when the device's requests are issued.
#[map]
static TIMED: Array<u32> = Array::with_max_entries(1, 0);

// The agent's own, declared here so that every map is made in one place. No program uses it.
#[map]
static META: Array<Meta> = Array::with_max_entries(1, 0);

/// For each kind of end, what this CPU handles in the events of the moment, one of which may have interrupted another.
#[map]
static HANDLED: PerCpuArray<Handled> = PerCpuArray::with_max_entries(1, 0);

/// Whether nobody has handled this end yet: programs for ends are attached up to [`COPIES`] times, in this order, since the kernel
/// skips one that an interrupt finds at work. Whoever acts notes it, and the last copy forgets it, so that
/// an address that is used again is not taken for handled.
#[inline(always)]
pub(crate) fn is_unhandled(end: End, object: u64) -> bool {
    let Some(handled) = HANDLED.get_ptr_mut(end as u32) else {
        return true;
    };
    let copy = facts::COPY.load();
    let mut room = 0;
    let mut is_handled = false;
    for number in (0..HANDLED_AT_ONCE).rev() {
        // SAFETY: the verifier has checked the pointer. Who interrupts writes too, but leaves what it found.
        let place = unsafe { (*handled).0.as_mut_ptr().add(number) };
        // SAFETY: as above.
        let noted = unsafe { place.read_volatile() };
        if noted == 0 {
            room = number;
        } else if noted == object {
            is_handled = true;
            if copy == COPIES {
                // SAFETY: as above.
                unsafe { place.write_volatile(0) };
            }
        }
    }
    let acts = copy == 1 || !is_handled;
    if acts && !is_handled && copy != COPIES {
        // SAFETY: as above; `room` is one of the places.
        unsafe { (*handled).0.as_mut_ptr().add(room).write_volatile(object) };
    }
    acts
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
    let value = find::<Devices>(key_of_device(dev))?.value::<Devices>()?;
    // SAFETY: the verifier has checked the pointer. The agent never gives a place to another device without waiting in
    // between until no program runs any more that could have found it.
    Some(unsafe { *value })
}

/// The same, and where it is noted that the kernel itself tells when the device's requests are issued.
#[inline(always)]
pub(crate) fn device_with_requests(dev: u32) -> Option<(Device, *mut u32)> {
    let place = find::<Devices>(key_of_device(dev))?;
    let value = place.value::<Devices>()?;
    let timed = TIMED.get_ptr_mut(place.index())?;
    // SAFETY: as above.
    Some((unsafe { *value }, timed))
}
