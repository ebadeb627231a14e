//! From what is wanted and what is there to what is to be done: pure.

use std::collections::BTreeMap;

use super::figures::is_local;
use super::region::{Listed, Owner};
use crate::probe::{DevT, Wanted};

/// A device of device mapper, and our regions on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) uuid: String,
    pub(super) regions: Vec<Listed>,
}

/// A region that counts for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// Its device's.
    pub(super) uuid: String,
    pub(super) number: u32,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Regions that count for whom they should.
    pub(super) found: BTreeMap<DevT, Region>,
    /// Regions that nobody wants: comes first.
    pub(super) delete: Vec<(DevT, u32)>,
    /// Regions that are missing.
    pub(super) create: Vec<(DevT, Owner)>,
    /// Wanted devices that are none of device mapper's.
    pub(super) foreign: Vec<DevT>,
}

pub(super) fn plan(wanted: &Wanted, seen: &BTreeMap<DevT, Seen>) -> Plan {
    let owners = owners(wanted);
    let mut plan = Plan::default();
    for (&dev, device) in seen {
        let owner = owners.get(&dev);
        for listed in &device.regions {
            let is_wanted = listed.is_current && Some(&listed.owner) == owner;
            if is_wanted && !plan.found.contains_key(&dev) {
                let region = Region {
                    uuid: device.uuid.clone(),
                    number: listed.number,
                };
                plan.found.insert(dev, region);
            } else {
                plan.delete.push((dev, listed.number));
            }
        }
    }
    for (dev, owner) in owners {
        if !seen.contains_key(&dev) {
            plan.foreign.push(dev);
        } else if !plan.found.contains_key(&dev) {
            plan.create.push((dev, owner));
        }
    }
    plan
}

fn owners(wanted: &Wanted) -> BTreeMap<DevT, Owner> {
    let devices = wanted.volumes.iter().flat_map(|volume| {
        let owner = Owner {
            volume: volume.id,
            is_local: is_local(volume),
        };
        volume.devices.iter().map(move |device| (device.dev, owner))
    });
    devices.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::fake::{measured, wanted};
    use proptest::prelude::*;
    use uuid::Uuid;
    use weir_api::names::VolumeId;

    fn listed(number: u32, volume: u128, is_local: bool, is_current: bool) -> Listed {
        let volume = VolumeId(Uuid::from_u128(volume));
        Listed {
            number,
            owner: Owner { volume, is_local },
            is_current,
        }
    }

    fn dev(minor: u32) -> DevT {
        DevT { major: 253, minor }
    }

    fn seen(devices: &[(u32, &[Listed])]) -> BTreeMap<DevT, Seen> {
        let devices = devices.iter().map(|(minor, regions)| {
            let seen = Seen {
                uuid: format!("LVM-{minor}"),
                regions: regions.to_vec(),
            };
            (dev(*minor), seen)
        });
        devices.collect()
    }

    /// Each row: what is on device 1, which volume 1 uses on this node; what is kept, deleted, made.
    #[test]
    fn a_region_counts_for_one_volume_and_one_use_of_it() {
        let wanted = wanted(vec![measured(1, &[dev(1)], true)]);
        type Row<'a> = (&'a [Listed], Option<u32>, &'a [u32], usize);
        let rows: [Row<'_>; 6] = [
            (&[], None, &[], 1),
            (&[listed(4, 1, true, true)], Some(4), &[], 0),
            (&[listed(4, 2, true, true)], None, &[4], 1),
            (&[listed(4, 1, false, true)], None, &[4], 1),
            (&[listed(4, 1, true, false)], None, &[4], 1),
            (
                &[listed(4, 1, true, true), listed(5, 1, true, true)],
                Some(4),
                &[5],
                0,
            ),
        ];
        for (there, kept, deleted, made) in rows {
            let plan = plan(&wanted, &seen(&[(1, there)]));
            let number = plan.found.get(&dev(1)).map(|region| region.number);
            assert_eq!(number, kept, "{there:?}");
            let numbers: Vec<u32> = plan.delete.iter().map(|(_, number)| *number).collect();
            assert_eq!(numbers, deleted, "{there:?}");
            assert_eq!((plan.create.len(), plan.foreign.len()), (made, 0));
        }
    }

    #[test]
    fn what_is_wanted_no_more_is_deleted_and_what_is_not_mapped_is_told() {
        let seen = seen(&[(1, &[listed(0, 1, true, true)]), (2, &[])]);
        let plan = plan(&wanted(vec![measured(1, &[dev(9)], true)]), &seen);
        assert_eq!(plan.delete, [(dev(1), 0)]);
        assert_eq!(plan.foreign, [dev(9)]);
        assert_eq!((plan.found.len(), plan.create.len()), (0, 0));
    }

    proptest! {
        /// Seen red with: `plan.delete.push` only if `listed.is_current`.
        #[test]
        fn a_plan_that_was_carried_out_leaves_nothing_to_do(
            there in proptest::collection::vec((0..3u32, 0..4u128, any::<bool>(), any::<bool>()), 0..12),
            asked in proptest::collection::vec((0..4u128, any::<bool>()), 0..4),
        ) {
            let volumes = asked.iter().zip(0..).map(|((volume, is_local), minor)| {
                measured(*volume, &[dev(minor)], *is_local)
            });
            let wanted = wanted(volumes.collect());
            let mut now = seen(&[(0, &[]), (1, &[]), (2, &[]), (3, &[])]);
            for (number, (minor, volume, is_local, is_current)) in (0..).zip(there) {
                let listed = listed(number, volume, is_local, is_current);
                now.get_mut(&dev(minor)).unwrap().regions.push(listed);
            }
            let first = plan(&wanted, &now);
            for (dev, number) in &first.delete {
                let regions = &mut now.get_mut(dev).unwrap().regions;
                regions.retain(|listed| listed.number != *number);
            }
            for (number, (dev, owner)) in (100..).zip(&first.create) {
                let listed = Listed { number, owner: *owner, is_current: true };
                now.get_mut(dev).unwrap().regions.push(listed);
            }
            let second = plan(&wanted, &now);
            prop_assert_eq!((second.delete, second.create), (Vec::new(), Vec::new()));
            prop_assert_eq!(second.found.len(), asked.len());
            let regions: usize = now.values().map(|seen| seen.regions.len()).sum();
            prop_assert_eq!(regions, asked.len());
        }
    }
}
