//! Who holds which slot of the arrays: pure.

use std::collections::{BTreeMap, BTreeSet};

use weir_agent_ebpf::layout::{Place, Slot};

/// Who may hold a slot.
pub(super) type HolderId = [u8; 16];

/// What has to change so that everybody who is wanted holds a slot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    /// Everybody's place when all is done.
    pub(super) places: BTreeMap<HolderId, Place>,
    /// Slots whose holders are not wanted any more, and what to write there: first.
    pub(super) freed: Vec<(u32, Slot)>,
    /// Slots with new holders, and what to write there: after nobody can see the old ones any more
    /// and their figures were cleared.
    pub(super) taken: Vec<(u32, Slot)>,
    /// For whom there was no room.
    pub(super) without: BTreeSet<HolderId>,
}

/// Keeps everybody in his slot, frees what is not wanted, and gives free slots to who has none.
pub(super) fn assign(slots: &[Slot], wanted: &BTreeSet<HolderId>) -> Assignment {
    let mut assignment = Assignment::default();
    let mut free = Vec::new();
    for (number, slot) in (0u32..).zip(slots) {
        if slot.held == 1 && wanted.contains(&slot.id) {
            let place = place(number, slot);
            assignment.places.insert(slot.id, place);
            continue;
        }
        let mut generation = slot.generation;
        if slot.held == 1 {
            generation = generation.wrapping_add(1);
            let freed = Slot {
                generation,
                ..Slot::default()
            };
            assignment.freed.push((number, freed));
        }
        free.push((number, generation));
    }
    let mut free = free.into_iter();
    for id in wanted {
        if assignment.places.contains_key(id) {
            continue;
        }
        let Some((number, generation)) = free.next() else {
            assignment.without.insert(*id);
            continue;
        };
        let slot = Slot {
            id: *id,
            generation,
            held: 1,
            ..Slot::default()
        };
        assignment.places.insert(*id, place(number, &slot));
        assignment.taken.push((number, slot));
    }
    assignment
}

fn place(number: u32, slot: &Slot) -> Place {
    Place {
        slot: number,
        generation: slot.generation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(slots: &mut [Slot], assignment: &Assignment) {
        for (number, slot) in assignment.freed.iter().chain(&assignment.taken) {
            slots[*number as usize] = *slot;
        }
    }

    fn ids(numbers: &BTreeSet<u8>) -> BTreeSet<HolderId> {
        numbers.iter().map(|n| [*n; 16]).collect()
    }

    #[test]
    fn who_stays_keeps_slot_and_generation() {
        let mut slots = [Slot::default(); 4];
        let first = assign(&slots, &ids(&[1, 2, 3].into()));
        apply(&mut slots, &first);
        let second = assign(&slots, &ids(&[2, 3].into()));
        apply(&mut slots, &second);
        assert_eq!(second.places[&[2; 16]], first.places[&[2; 16]]);
        assert_eq!(second.freed.len(), 1);
        assert!(second.taken.is_empty());
    }

    /// Seen red with: `generation` not raised in `assign`.
    #[test]
    fn a_slot_that_changes_hands_changes_its_generation() {
        let mut slots = [Slot::default(); 1];
        let first = assign(&slots, &ids(&[1].into()));
        apply(&mut slots, &first);
        let second = assign(&slots, &ids(&[2].into()));
        assert_eq!(second.places[&[2; 16]].slot, 0);
        assert_ne!(
            second.places[&[2; 16]].generation,
            first.places[&[1; 16]].generation
        );
    }

    #[test]
    fn who_finds_no_room_is_named() {
        let assignment = assign(&[Slot::default()], &ids(&[1, 2].into()));
        assert_eq!(assignment.places.len(), 1);
        assert_eq!(assignment.without, ids(&[2].into()));
    }

    proptest! {
        #[test]
        fn no_place_is_ever_given_twice(
            rounds in proptest::collection::vec(proptest::collection::btree_set(0..12u8, 0..8), 1..20),
        ) {
            let mut slots = [Slot::default(); 6];
            let mut owners = BTreeMap::new();
            for wanted in rounds {
                let wanted = ids(&wanted);
                let assignment = assign(&slots, &wanted);
                let mut seen = BTreeSet::new();
                for (id, place) in &assignment.places {
                    prop_assert!(wanted.contains(id));
                    prop_assert!(seen.insert(place.slot));
                    let owner = owners.entry((place.slot, place.generation)).or_insert(*id);
                    prop_assert_eq!(&*owner, id);
                }
                prop_assert_eq!(assignment.places.len() + assignment.without.len(), wanted.len());
                apply(&mut slots, &assignment);
                prop_assert!(assign(&slots, &wanted).freed.is_empty());
                prop_assert!(assign(&slots, &wanted).taken.is_empty());
            }
        }
    }
}
