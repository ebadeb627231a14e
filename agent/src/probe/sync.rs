//! Making the maps say what is wanted.
//!
//! The order is what keeps intervals from landing at the wrong volume, also if the agent is killed in
//! between: first nothing leads to what is given up, then its generations are raised, then the
//! programs that may have seen the old state end, then slots are cleared and given anew, and last
//! the new ways in are written.

use std::path::Path;

use weir_agent_ebpf::layout::{Failure, Figure, Op, Place, Slot, Tally, per_failure, per_op};
use weir_agent_ebpf::table::key_of_device;

use super::maps::{Elements, Maps, has_requests};
use super::owned::Owned;
use super::plan::{Have, Plan, plan};
use super::resolve::{Lacks, Resolved, resolve};
use super::slots::{Assignment, HolderId};
use super::snapshot::StageOff;
use super::wanted::Wanted;
use super::{Measured, ProbeError, grace};

/// What is to be done.
pub(super) struct Planned {
    resolved: Resolved,
    plan: Plan,
}

pub(super) fn plan_sync(
    maps: &Maps,
    sysfs: &Path,
    wanted: &Wanted,
    lacks: Lacks<'_>,
) -> Result<Planned, ProbeError> {
    let resolved = resolve(wanted, sysfs, lacks);
    let have = Have {
        volumes: maps.volumes.all().to_vec(),
        disks: maps.disks.all().to_vec(),
        initiators: maps.initiators.all().to_vec(),
        devices: maps.devices().collect(),
        hosts: maps.hosts.all()?.into_iter().collect(),
    };
    let plan = plan(&have, &resolved);
    Ok(Planned { resolved, plan })
}

impl Planned {
    /// Whether a device comes whose requests may have to be noted when they are issued.
    pub(super) fn brings_requests(&self) -> bool {
        let mut new = self.plan.devices.insert.iter();
        new.any(|(_, device)| has_requests(device))
    }

    pub(super) fn carry_out(self, maps: &mut Maps) -> Result<Measured, ProbeError> {
        carry_out(maps, &self.plan)?;
        Ok(measured(self.resolved, &self.plan))
    }
}

fn carry_out(maps: &mut Maps, plan: &Plan) -> Result<(), ProbeError> {
    // Nothing is divided before its disks are measured, nor after.
    let divided = |divided| {
        let changes = plan.divided.iter();
        let changes = changes.filter(move |(_, slot)| slot.divided == divided);
        changes.copied().collect::<Vec<_>>()
    };
    write(&mut maps.volumes, &divided(0))?;
    for dev in &plan.devices.remove {
        maps.devices.remove(key_of_device(*dev));
    }
    for key in &plan.hosts.remove {
        maps.hosts.remove(key)?;
    }
    let freed = [
        ("volume", &mut maps.volumes, &plan.volumes),
        ("disk", &mut maps.disks, &plan.disks),
        ("initiator", &mut maps.initiators, &plan.initiators),
    ];
    for (holder, slots, Assignment { freed, .. }) in freed {
        for (slot, _) in freed {
            tracing::info!(holder, slot, "not measured any more");
        }
        write(slots, freed)?;
    }
    if plan.takes_away() {
        grace::wait_for_running_programs();
    }

    for (slot, _) in &plan.volumes.taken {
        clear_volume(maps, *slot)?;
    }
    for (slot, _) in &plan.disks.taken {
        clear(maps, |maps| &mut maps.disk_figures, *slot)?;
        clear_failures(&mut maps.disk_failures, *slot)?;
    }
    for (slot, _) in &plan.initiators.taken {
        clear(maps, |maps| &mut maps.host_figures, *slot)?;
    }
    write(&mut maps.volumes, &plan.volumes.taken)?;
    write(&mut maps.disks, &plan.disks.taken)?;
    write(&mut maps.initiators, &plan.initiators.taken)?;

    for (key, place) in &plan.hosts.insert {
        maps.hosts.insert(key, place)?;
    }
    for (dev, device) in &plan.devices.insert {
        maps.add_device(*dev, device)?;
    }
    write(&mut maps.volumes, &divided(1))
}

fn measured(resolved: Resolved, plan: &Plan) -> Measured {
    let mut measured = Measured {
        off: resolved.off,
        ..Measured::default()
    };
    let mut place_of =
        |assignment: &Assignment, id: HolderId, stage: &str, what: String| -> Option<Place> {
            let place = assignment.places.get(&id).copied();
            if place.is_none() {
                measured.off.push(StageOff {
                    stage: stage.to_owned(),
                    reason: format!("{what}: the maps are full"),
                });
            }
            place
        };
    for volume in resolved.volumes {
        let what = format!("volume {}", volume.wanted.name);
        let place = place_of(&plan.volumes, volume.id, "backend", what);
        measured
            .volumes
            .extend(place.map(|place| (volume.wanted, place)));
    }
    for import in resolved.imports {
        let what = format!("volume {} over NVMe", import.volume);
        let place = place_of(&plan.volumes, import.id, "import", what);
        measured
            .imports
            .extend(place.map(|place| (import.volume, place)));
    }
    for disk in resolved.disks {
        let what = format!("disk {}", disk.wanted.disk);
        let place = place_of(&plan.disks, disk.id, "disk", what);
        measured
            .disks
            .extend(place.map(|place| (disk.wanted, place)));
    }
    for initiator in resolved.initiators {
        let labels = initiator.labels;
        let what = format!("initiator {} of volume {}", labels.initiator, labels.volume);
        let place = place_of(&plan.initiators, initiator.id, "initiator", what);
        measured
            .initiators
            .extend(place.map(|place| (labels, place)));
    }
    measured
}

fn write(slots: &mut Owned<Slot>, changes: &[(u32, Slot)]) -> Result<(), ProbeError> {
    changes
        .iter()
        .try_for_each(|(number, slot)| slots.set(*number, slot))
}

fn clear_volume(maps: &mut Maps, slot: u32) -> Result<(), ProbeError> {
    for op in Op::ALL {
        let index = per_op(slot, op as u32);
        maps.clear_account(index)?;
        maps.throttled.set(index, &Tally::default())?;
    }
    clear_failures(&mut maps.volume_failures, slot)
}

fn clear(
    maps: &mut Maps,
    figures: impl Fn(&mut Maps) -> &mut Elements<Figure>,
    slot: u32,
) -> Result<(), ProbeError> {
    Op::ALL
        .into_iter()
        .try_for_each(|op| maps.clear(&figures, per_op(slot, op as u32)))
}

fn clear_failures(tallies: &mut Elements<Tally>, slot: u32) -> Result<(), ProbeError> {
    for op in Op::ALL {
        for failure in Failure::ALL {
            let index = per_failure(slot, op as u32, failure);
            tallies.set(index, &Tally::default())?;
        }
    }
    Ok(())
}
