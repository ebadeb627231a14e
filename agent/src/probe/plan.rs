//! What has to change in the maps: a pure function of what they say and of what can be measured.

use std::collections::{BTreeMap, BTreeSet};

use weir_agent_ebpf::layout::{Device, HostKey, Place, Slot, VOLUME_IMPORTED};

use super::resolve::Resolved;
use super::slots::{Assignment, HolderId, assign};

/// What the maps say now.
#[derive(Debug, Default)]
pub(super) struct Have {
    pub(super) volumes: Vec<Slot>,
    pub(super) disks: Vec<Slot>,
    pub(super) initiators: Vec<Slot>,
    pub(super) devices: BTreeMap<u32, Device>,
    pub(super) hosts: BTreeMap<HostKey, Place>,
}

/// What to do, in the order of [`super::sync`].
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) volumes: Assignment,
    pub(super) disks: Assignment,
    pub(super) initiators: Assignment,
    pub(super) devices: Edits<u32, Device>,
    pub(super) hosts: Edits<HostKey, Place>,
    /// Slots of volumes whose I/Os are divided from now on, or no more.
    pub(super) divided: Vec<(u32, Slot)>,
}

/// Changes of a hash map. A changed entry stands in both lists: it is never replaced, since a program
/// may be reading it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edits<K, V> {
    pub(super) remove: Vec<K>,
    pub(super) insert: Vec<(K, V)>,
}

impl Plan {
    /// Whether something is taken away that a running program may have seen.
    pub(super) fn takes_away(&self) -> bool {
        let freed = [&self.volumes, &self.disks, &self.initiators];
        !self.devices.remove.is_empty()
            || !self.hosts.remove.is_empty()
            || freed.iter().any(|assignment| !assignment.freed.is_empty())
    }
}

pub(super) fn plan(have: &Have, wanted: &Resolved) -> Plan {
    let volumes = assign(&have.volumes, &wanted.holders().collect());
    let disks = assign(&have.disks, &wanted.disks.iter().map(|d| d.id).collect());
    // The initiators of a volume that found no room need none.
    let hosts: BTreeSet<HolderId> = wanted
        .initiators
        .iter()
        .filter(|i| volumes.places.contains_key(&i.volume))
        .map(|i| i.id)
        .collect();
    let initiators = assign(&have.initiators, &hosts);
    Plan {
        devices: edits(&have.devices, &devices(wanted, &volumes, &disks)),
        hosts: edits(&have.hosts, &host_entries(wanted, &volumes, &initiators)),
        divided: divided(have, wanted, &volumes),
        volumes,
        disks,
        initiators,
    }
}

fn devices(wanted: &Resolved, volumes: &Assignment, disks: &Assignment) -> BTreeMap<u32, Device> {
    let mut devices: BTreeMap<u32, Device> = BTreeMap::new();
    let nothing = Device {
        volume: Place::NONE,
        disk: Place::NONE,
        flags: 0,
        timed: 0,
    };
    for volume in &wanted.volumes {
        if let Some(place) = volumes.places.get(&volume.id) {
            for (dev, flag) in &volume.devices {
                let device = devices.entry(*dev).or_insert(nothing);
                device.volume = *place;
                device.flags |= flag;
            }
        }
    }
    for import in &wanted.imports {
        if let Some(place) = volumes.places.get(&import.id) {
            let device = devices.entry(import.dev).or_insert(nothing);
            device.volume = *place;
            device.flags |= VOLUME_IMPORTED;
        }
    }
    for disk in &wanted.disks {
        if let Some(place) = disks.places.get(&disk.id) {
            for (dev, flags) in &disk.devices {
                let device = devices.entry(*dev).or_insert(nothing);
                device.disk = *place;
                device.flags |= flags;
            }
        }
    }
    devices
}

fn divided(have: &Have, wanted: &Resolved, volumes: &Assignment) -> Vec<(u32, Slot)> {
    let mut changed = Vec::new();
    for volume in &wanted.volumes {
        let Some(place) = volumes.places.get(&volume.id) else {
            continue;
        };
        let kept = have.volumes.get(place.slot as usize);
        let kept = kept.filter(|slot| slot.id == volume.id && slot.held == 1);
        let divided = u32::from(volume.is_divided);
        if kept.map_or(0, |slot| slot.divided) != divided {
            let slot = Slot {
                id: volume.id,
                generation: place.generation,
                held: 1,
                divided,
                reserved: 0,
            };
            changed.push((place.slot, slot));
        }
    }
    changed
}

fn host_entries(
    wanted: &Resolved,
    volumes: &Assignment,
    initiators: &Assignment,
) -> BTreeMap<HostKey, Place> {
    let mut hosts = BTreeMap::new();
    for initiator in &wanted.initiators {
        let volume = volumes.places.get(&initiator.volume);
        let place = initiators.places.get(&initiator.id);
        if let (Some(volume), Some(place)) = (volume, place) {
            for nqn in &initiator.nqns {
                let key = HostKey {
                    volume: *volume,
                    nqn: *nqn,
                };
                hosts.insert(key, *place);
            }
        }
    }
    hosts
}

fn edits<K: Ord + Copy, V: PartialEq + Copy>(
    have: &BTreeMap<K, V>,
    want: &BTreeMap<K, V>,
) -> Edits<K, V> {
    let differ = |a: &BTreeMap<K, V>, b: &BTreeMap<K, V>| -> Vec<(K, V)> {
        a.iter()
            .filter(|(key, value)| b.get(key) != Some(value))
            .map(|(key, value)| (*key, *value))
            .collect()
    };
    Edits {
        remove: differ(have, want).into_iter().map(|(key, _)| key).collect(),
        insert: differ(want, have),
    }
}

#[cfg(test)]
mod tests;
