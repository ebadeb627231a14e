//! Letting the programs of this object act in the place of another's.

use std::sync::atomic::Ordering;

use weir_agent_ebpf::handover::{entering, leaving, object_of};

use super::grace::wait_for_running_programs;
use super::shared::Shared;

/// All of this object's programs that there are to be are attached, after those of the object that acts. From whatever step an agent before left
/// it in, it is done; afterwards no program of the other object acts.
pub(super) fn take_over(shared: &Shared, object: u64) {
    let gate = shared.object().load(Ordering::SeqCst);
    if gate == object {
        return;
    }
    let acting = object_of(gate);
    if acting != 0 && acting != object {
        // Also if an agent ended while this one was entering: then both act on nothing but their own events.
        for step in [acting, leaving(acting), entering(object)] {
            shared.object().store(step, Ordering::SeqCst);
            wait_for_running_programs();
        }
    }
    shared.object().store(object, Ordering::SeqCst);
}
