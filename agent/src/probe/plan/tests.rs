//! Against maps in memory.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use uuid::Uuid;
use weir_agent_ebpf::layout::{VOLUME_EXPORTED, VOLUME_IMPORTED, VOLUME_LOCAL};
use weir_api::names::VolumeId;

use super::super::resolve::{Lacks, resolve};
use super::super::wanted::{
    DevT, MeasuredDevice, MeasuredDisk, MeasuredImport, MeasuredVolume, Mode, Wanted,
};
use super::*;

fn sysfs(minors: u32) -> tempfile::TempDir {
    let sysfs = tempfile::tempdir().unwrap();
    for minor in 0..minors {
        std::fs::create_dir_all(sysfs.path().join(format!("dev/block/253:{minor}"))).unwrap();
    }
    std::fs::create_dir_all(sysfs.path().join("dev/block/8:0/mq")).unwrap();
    sysfs
}

fn dev(minor: u32) -> DevT {
    DevT { major: 253, minor }
}

fn volume(id: u128, minor: u32, hosts: &[&str]) -> MeasuredVolume {
    let mode = match hosts {
        [] => Mode::Local,
        hosts => Mode::Exported {
            initiators: hosts
                .iter()
                .map(|host| (format!("nqn.x:{host}"), host[..1].parse().unwrap()))
                .collect(),
        },
    };
    MeasuredVolume {
        id: VolumeId(Uuid::from_u128(id)),
        name: format!("v{id}").parse().unwrap(),
        pool: "p".parse().unwrap(),
        devices: vec![MeasuredDevice {
            dev: dev(minor),
            mode,
        }],
    }
}

fn empty() -> Have {
    Have {
        volumes: vec![Slot::default(); 4],
        disks: vec![Slot::default(); 4],
        initiators: vec![Slot::default(); 4],
        ..Have::default()
    }
}

fn carry_out(have: &mut Have, plan: &Plan) {
    for (slots, assignment) in [
        (&mut have.volumes, &plan.volumes),
        (&mut have.disks, &plan.disks),
        (&mut have.initiators, &plan.initiators),
    ] {
        for (number, slot) in assignment.freed.iter().chain(&assignment.taken) {
            slots[*number as usize] = *slot;
        }
    }
    for (number, slot) in &plan.divided {
        have.volumes[*number as usize] = *slot;
    }
    have.devices
        .retain(|dev, _| !plan.devices.remove.contains(dev));
    have.devices.extend(plan.devices.insert.iter().copied());
    have.hosts.retain(|key, _| !plan.hosts.remove.contains(key));
    have.hosts.extend(plan.hosts.insert.iter().copied());
}

fn planned(have: &Have, wanted: &Wanted, sysfs: &Path) -> Plan {
    plan(have, &resolve(wanted, sysfs, Lacks::default()))
}

fn volumes(volumes: Vec<MeasuredVolume>) -> Wanted {
    Wanted {
        volumes,
        disks: Vec::new(),
        ..Wanted::default()
    }
}

#[test]
fn a_volume_that_changes_its_mode_keeps_its_slot_and_leaves_its_device_once() {
    let sysfs = sysfs(2);
    let mut have = empty();
    let local = planned(&have, &volumes(vec![volume(1, 0, &[])]), sysfs.path());
    carry_out(&mut have, &local);
    let exported = planned(&have, &volumes(vec![volume(1, 0, &["a1"])]), sysfs.path());
    assert_eq!(exported.volumes.places, local.volumes.places);
    assert_eq!(exported.devices.remove, [dev(0).in_kernel()]);
    assert_eq!(exported.devices.insert[0].1.flags, VOLUME_EXPORTED);
    assert!(exported.takes_away());
}

#[test]
fn a_device_number_that_passes_to_another_volume_leads_to_another_generation() {
    let sysfs = sysfs(2);
    let mut have = empty();
    let first = planned(&have, &volumes(vec![volume(1, 0, &[])]), sysfs.path());
    carry_out(&mut have, &first);
    let second = planned(&have, &volumes(vec![volume(2, 0, &[])]), sysfs.path());
    carry_out(&mut have, &second);
    let (old, new) = (first.devices.insert[0].1, second.devices.insert[0].1);
    assert_ne!(old.volume, new.volume);
    assert_eq!(new.flags, VOLUME_LOCAL);
}

#[test]
fn a_node_keeps_its_histogram_over_generations_of_its_host_nqn() {
    let sysfs = sysfs(2);
    let mut have = empty();
    let first = planned(&have, &volumes(vec![volume(1, 0, &["a1"])]), sysfs.path());
    carry_out(&mut have, &first);
    let second = planned(
        &have,
        &volumes(vec![volume(1, 0, &["a2", "b1"])]),
        sysfs.path(),
    );
    carry_out(&mut have, &second);
    assert!(second.initiators.freed.is_empty());
    assert_eq!(second.initiators.places.len(), 2);
    assert_eq!(have.hosts.len(), 2);
    assert!(
        have.hosts
            .values()
            .any(|place| *place == first.hosts.insert[0].1)
    );
}

#[test]
fn what_cannot_be_measured_is_named_and_left_out() {
    let sysfs = sysfs(2);
    let wanted = Wanted {
        volumes: vec![
            volume(1, 0, &[]),
            volume(2, 0, &[]),
            volume(3, 9, &[]),
            MeasuredVolume {
                devices: vec![MeasuredDevice {
                    dev: DevT { major: 8, minor: 0 },
                    mode: Mode::Exported {
                        initiators: Vec::new(),
                    },
                }],
                ..volume(4, 0, &[])
            },
        ],
        disks: vec![MeasuredDisk {
            pool: "p".parse().unwrap(),
            disk: "dm".to_owned(),
            dev: dev(0),
        }],
        ..Wanted::default()
    };
    let resolved = resolve(&wanted, sysfs.path(), Lacks::default());
    assert_eq!(resolved.volumes.len(), 1);
    assert!(resolved.disks.is_empty());
    let off = resolved.off.iter();
    let reasons: BTreeSet<_> = off.map(|off| off.reason.as_str()).collect();
    assert_eq!(
        Vec::from_iter(reasons),
        [
            "disk dm: its bios are already measured as a volume's",
            "pool p: disk dm: its bios are already measured as a volume's",
            "volume v2: its device 253:0 is also that of v1",
            "volume v3: there is no device 253:9",
            "volume v4: device 8:0 is no logical volume",
        ]
    );
}

fn sda() -> MeasuredDisk {
    MeasuredDisk {
        pool: "p".parse().unwrap(),
        disk: "sda".to_owned(),
        dev: DevT { major: 8, minor: 0 },
    }
}

/// Whether volume 1 is divided once a plan for it is carried out.
fn is_divided(have: &mut Have, disks: Vec<MeasuredDisk>, undivided: Option<&str>) -> bool {
    let sysfs = sysfs(2);
    let volumes = vec![volume(1, 0, &[])];
    let wanted = Wanted {
        volumes,
        disks,
        imports: Vec::new(),
    };
    let lacks = Lacks {
        division: undivided,
        ..Lacks::default()
    };
    let resolved = resolve(&wanted, sysfs.path(), lacks);
    let plan = plan(have, &resolved);
    assert!(plan.devices.remove.is_empty(), "nothing goes uncounted");
    carry_out(have, &plan);
    assert!(super::plan(have, &resolved).divided.is_empty());
    have.volumes[0].divided == 1
}

/// Seen red with: `has_disks` in `Resolved::divide` always true.
#[test]
fn a_volume_is_divided_only_while_all_disks_of_its_pool_are_measured() {
    let mut have = empty();
    let gone = MeasuredDisk {
        disk: "sdb".to_owned(),
        dev: DevT {
            major: 8,
            minor: 16,
        },
        ..sda()
    };
    assert!(!is_divided(&mut have, vec![], None));
    assert!(is_divided(&mut have, vec![sda()], None));
    assert!(!is_divided(&mut have, vec![sda()], Some("no tracepoint")));
    assert!(is_divided(&mut have, vec![sda()], None));
    let sysfs = sysfs(2);
    let wanted = Wanted {
        volumes: vec![volume(1, 0, &[])],
        disks: vec![sda(), gone],
        ..Wanted::default()
    };
    let resolved = resolve(&wanted, sysfs.path(), Lacks::default());
    assert!(!resolved.volumes[0].is_divided);
}

/// Their beginnings would be noted, and nothing would ever take them out.
///
/// Seen red with: `lacks.imports` ignored in `resolve`.
#[test]
fn nothing_is_imported_whose_ends_are_not_seen() {
    let (sysfs, have) = (sysfs(2), empty());
    let import = MeasuredImport {
        id: VolumeId(Uuid::from_u128(1)),
        dev: dev(1),
    };
    let wanted = Wanted {
        imports: vec![import],
        ..Wanted::default()
    };
    let seen = planned(&have, &wanted, sysfs.path());
    assert_eq!(seen.devices.insert[0].1.flags, VOLUME_IMPORTED);
    let lacks = Lacks {
        imports: Some("no tracepoint"),
        ..Lacks::default()
    };
    let resolved = resolve(&wanted, sysfs.path(), lacks);
    assert!(plan(&have, &resolved).devices.insert.is_empty());
    assert!(resolved.off[0].reason.ends_with("no tracepoint"));
}

proptest! {
    #[test]
    fn every_device_leads_to_the_volume_that_was_wanted_and_repeating_changes_nothing(
        rounds in proptest::collection::vec(
            proptest::collection::btree_map(0..6u32, (1..9u128, 0..4usize), 0..6), 1..12),
    ) {
        let sysfs = sysfs(6);
        let mut have = empty();
        for round in rounds {
            let wanted = volumes(
                round
                    .into_iter()
                    .map(|(minor, (id, hosts))| volume(id, minor, &["a1", "b1", "b2"][..hosts]))
                    .collect(),
            );
            let resolved = resolve(&wanted, sysfs.path(), Lacks::default());
            let plan = plan(&have, &resolved);
            carry_out(&mut have, &plan);
            for found in &resolved.volumes {
                match have.devices.get(&found.devices[0].0) {
                    Some(device) => {
                        let slot = have.volumes[device.volume.slot as usize];
                        prop_assert_eq!(slot.id, found.id);
                        prop_assert_eq!(slot.generation, device.volume.generation);
                    }
                    None => prop_assert!(plan.volumes.without.contains(&found.id)),
                }
            }
            for (key, place) in &have.hosts {
                let slot = have.initiators[place.slot as usize];
                prop_assert_eq!((slot.generation, slot.held), (place.generation, 1));
                prop_assert_eq!(have.volumes[key.volume.slot as usize].generation, key.volume.generation);
            }
            let again = super::plan(&have, &resolved);
            prop_assert!(!again.takes_away());
            prop_assert!(again.devices.insert.is_empty() && again.hosts.insert.is_empty());
        }
    }
}
