//! Letting the programs of this object act in the place of another's.

use weir_agent_ebpf::handover::{entering, leaving, object_of};
use weir_agent_ebpf::layout::Gate;

use super::ProbeError;
use super::grace::wait_for_running_programs;
use super::groups::set_gate;
use super::maps::Maps;

/// All of this object's programs that there are to be are attached, after those of the object that acts. From whatever step an agent before left
/// it in, it is done; afterwards no program of the other object acts.
pub(super) fn take_over(maps: &mut Maps, object: u64) -> Result<(), ProbeError> {
    let gate = maps.gate.get(Gate::Object as u32)?;
    if gate == object {
        return Ok(());
    }
    let acting = object_of(gate);
    if acting != 0 && acting != object {
        // Also if an agent ended while this one was entering: then both act on nothing but their own events.
        for step in [acting, leaving(acting), entering(object)] {
            set_gate(maps, Gate::Object, step)?;
            wait_for_running_programs();
        }
    }
    set_gate(maps, Gate::Object, object)
}
