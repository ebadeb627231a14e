//! How big each map is, and all of them together.

use crate::handover::EVENTS;
use crate::layout::{
    Account, Common, Device, DiskStart, FAILURES, Figure, HostKey, LOSSES, MAX_DISKS, Mapper, Meta,
    OPS, Place, RawHistogram, RequestStart, Slot, Start, Tally, maps,
};
use crate::table::{Keys, WAYS, sets};

/// A map as it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// One of [`maps`].
    pub name: &'static str,
    /// How many elements.
    pub entries: u32,
    /// Bytes of a key that take room: 0 for arrays, which have none.
    pub key_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Whether each CPU has its own values.
    pub per_cpu: bool,
}

/// The number of maps.
pub const MAPS: usize = 27;

/// Initiators for `max_volumes` volumes: one each, and a quarter more for volumes with several hosts
/// and for handovers.
#[must_use]
pub const fn max_initiators(max_volumes: u32) -> u32 {
    max_volumes + max_volumes / 4 + 16
}

/// Histograms in the pool: for each volume eight stages of three operations, a quarter more for its
/// initiators, and some for disks. Whoever comes when all are given out has sums and counts only.
#[must_use]
pub const fn max_histograms(max_volumes: u32) -> u32 {
    max_volumes * 30 + MAX_DISKS * 3
}

/// Device numbers that mean something: a volume has several devices if several hosts use it, and a disk
/// may be a partition.
#[must_use]
pub const fn max_devices(max_volumes: u32) -> u32 {
    max_initiators(max_volumes) + 2 * MAX_DISKS
}

/// What maps are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Volumes.
    pub volumes: u32,
    /// I/Os that may be in flight at once, in each of the three tables of starts. (There are twice as many places; a start whose
    /// sixteen places are taken is counted as dropped, [`crate::layout::Loss::TableFull`].)
    pub starts: u32,
}

impl Room {
    /// For a node with so many volumes.
    #[must_use]
    pub const fn of_volumes(volumes: u32) -> Self {
        Room {
            volumes,
            starts: 16_384,
        }
    }

    /// The sets of each table of starts.
    #[must_use]
    pub const fn start_sets(self) -> u32 {
        sets(self.starts)
    }

    /// The sets of the table of devices: half as full as the others at most, since its keys are given once and then stay.
    #[must_use]
    pub const fn device_sets(self) -> u32 {
        sets(2 * max_devices(self.volumes))
    }
}

/// All maps.
#[must_use]
pub const fn shapes(room: Room) -> [MapShape; MAPS] {
    const fn array<V>(name: &'static str, entries: u32) -> MapShape {
        MapShape {
            name,
            entries,
            key_bytes: 0,
            value_bytes: size_of::<V>(),
            per_cpu: false,
        }
    }
    const fn per_cpu<V>(name: &'static str, entries: u32) -> MapShape {
        MapShape {
            per_cpu: true,
            ..array::<V>(name, entries)
        }
    }
    const fn hash<K, V>(name: &'static str, entries: u32) -> MapShape {
        MapShape {
            key_bytes: size_of::<K>(),
            ..array::<V>(name, entries)
        }
    }
    let max_volumes = room.volumes;
    let initiators = max_initiators(max_volumes);
    let (start_sets, device_sets) = (room.start_sets(), room.device_sets());
    [
        array::<Meta>(maps::META, 1),
        array::<Common>(maps::COMMON, 1),
        per_cpu::<u64>(maps::NOTES, EVENTS),
        array::<Keys>(maps::DEVICE_KEYS, device_sets),
        array::<Device>(maps::DEVICES, device_sets * WAYS),
        array::<Slot>(maps::VOLUMES, max_volumes),
        array::<Slot>(maps::DISKS, MAX_DISKS),
        array::<Slot>(maps::INITIATORS, initiators),
        hash::<HostKey, Place>(maps::HOSTS, initiators),
        array::<Account>(maps::ACCOUNTS, max_volumes * OPS),
        array::<Figure>(maps::DISK_FIGURES, MAX_DISKS * OPS),
        array::<Figure>(maps::HOST_FIGURES, initiators * OPS),
        array::<RawHistogram>(maps::HISTOGRAMS, max_histograms(max_volumes)),
        array::<u32>(maps::GIVEN, 1),
        array::<Mapper>(maps::MAPPER, 1),
        array::<Tally>(maps::VOLUME_FAILURES, max_volumes * OPS * FAILURES),
        array::<Tally>(maps::DISK_FAILURES, MAX_DISKS * OPS * FAILURES),
        array::<Tally>(maps::THROTTLED, max_volumes * OPS),
        per_cpu::<u64>(maps::DROPPED, LOSSES),
        array::<Keys>(maps::BIO_KEYS, start_sets),
        array::<Start>(maps::BIOS, start_sets * WAYS),
        array::<Keys>(maps::REQUEST_KEYS, start_sets),
        array::<DiskStart>(maps::REQUESTS, start_sets * WAYS),
        array::<Keys>(maps::TARGET_KEYS, start_sets),
        array::<RequestStart>(maps::TARGETS, start_sets * WAYS),
        per_cpu::<u64>(maps::NUMBER, 1),
        per_cpu::<HostKey>(maps::SCRATCH, 1),
    ]
}

/// The kernel memory that all maps take, in bytes. Hash maps: an element has a header of 48 bytes
/// (`struct htab_elem`), each of the buckets (a power of two) 16 bytes, and each CPU one element to
/// spare (kernel/bpf/hashtab.c). Maps are preallocated, so this does not grow with use.
#[must_use]
pub const fn map_bytes(room: Room, cpus: u32) -> u64 {
    const HASH_HEADER: u64 = 48;
    const BUCKET: u64 = 16;
    let shapes = shapes(room);
    let mut total = 0;
    let mut i = 0;
    while i < MAPS {
        let shape = shapes[i];
        let entries = shape.entries as u64;
        let value = round_up_8(shape.value_bytes);
        let bytes = if shape.key_bytes > 0 {
            let element = HASH_HEADER + round_up_8(shape.key_bytes) + value;
            (entries + cpus as u64) * element + entries.next_power_of_two() * BUCKET
        } else if shape.per_cpu {
            entries * value * cpus as u64
        } else {
            entries * value
        };
        total += bytes;
        i += 1;
    }
    total
}

const fn round_up_8(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_volumes_on_64_cpus_take_at_most_64_mib() {
        let bytes = map_bytes(Room::of_volumes(1000), 64);
        assert!(bytes <= 64 << 20, "{bytes}");
        assert!(bytes > 50 << 20, "{bytes}: has something been left out?");
    }
}
