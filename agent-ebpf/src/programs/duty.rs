//! Whose programs act: see [`weir_agent_ebpf::handover`].

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use weir_agent_ebpf::handover::{Duty, EVENTS, Event, duty};
use weir_agent_ebpf::layout::Common;

use super::typed::Typed;
use super::{common, facts};

/// On each CPU what the programs of an object that is leaving handled of each kind, until those of the next one have seen it.
#[map]
static NOTES: PerCpuArray<u64> = PerCpuArray::with_max_entries(EVENTS, 0);

/// Whether this object's programs are the ones to handle an event. `about`: the address of what it is about.
#[inline(always)]
pub(crate) fn on_duty(event: Event, about: u64) -> bool {
    common().is_some_and(|common| acts(common, event, about))
}

/// The same of an event that is about a typed pointer: its address, if so.
#[inline(always)]
pub(crate) fn on_duty_for(common: *mut Common, event: Event, about: Typed) -> Option<u64> {
    let about = about.address(common);
    acts(common, event, about).then_some(about)
}

#[inline(always)]
fn acts(common: *mut Common, event: Event, about: u64) -> bool {
    // SAFETY: the verifier has checked the pointer.
    let gate = unsafe { (&raw const (*common).object).read_volatile() };
    gate == facts::OBJECT.load() || weir_hand_over(gate, event as u32, about) != 0
}

/// Exported, and not a part of every program: it runs only while one object hands over to another.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn weir_hand_over(gate: u64, event: u32, about: u64) -> u64 {
    let Some(note) = NOTES.get_ptr_mut(event) else {
        return 0;
    };
    // SAFETY: the verifier has checked the pointer; other CPUs have notes of their own.
    let note = unsafe { &mut *note };
    match duty(gate, facts::OBJECT.load()) {
        Duty::Act => 1,
        Duty::ActAndNote => {
            *note = about;
            1
        }
        Duty::ActUnlessNoted if *note != about => 1,
        Duty::ActUnlessNoted | Duty::Forget => {
            *note = 0;
            0
        }
    }
}

/// Whether each request of a disk is to be noted when it is issued.
#[inline(always)]
pub(crate) fn notes_requests() -> bool {
    // SAFETY: the verifier has checked the pointer.
    common()
        .is_some_and(|common| unsafe { (&raw const (*common).notes_requests).read_volatile() } != 0)
}
