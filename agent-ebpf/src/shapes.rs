//! How big each map is, and all of them together.

use crate::layout::{
    Counts, Device, DiskStart, ENDS, FAILURES, Figure, HostKey, LOSSES, MAX_DISKS, MAX_STARTS,
    Mapper, Meta, OPS, Place, RawHistogram, RequestStart, SIZED_OPS, SIZES, STAGES, Sized, Slot,
    Start, Tally, maps,
};

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
pub const MAPS: usize = 25;

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

/// All maps for a number of volumes.
#[must_use]
pub const fn shapes(max_volumes: u32) -> [MapShape; MAPS] {
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
    let initiators = max_initiators(max_volumes);
    [
        array::<Meta>(maps::META, 1),
        array::<u64>(maps::GATE, 1),
        hash::<u32, Device>(maps::DEVICES, max_devices(max_volumes)),
        array::<Slot>(maps::VOLUMES, max_volumes),
        array::<Slot>(maps::DISKS, MAX_DISKS),
        array::<Slot>(maps::INITIATORS, initiators),
        hash::<HostKey, Place>(maps::HOSTS, initiators),
        array::<Figure>(maps::VOLUME_FIGURES, max_volumes * OPS * STAGES),
        array::<Figure>(maps::DISK_FIGURES, MAX_DISKS * OPS),
        array::<Figure>(maps::HOST_FIGURES, initiators * OPS),
        array::<RawHistogram>(maps::HISTOGRAMS, max_histograms(max_volumes)),
        array::<u32>(maps::GIVEN, 1),
        array::<Mapper>(maps::MAPPER, 1),
        array::<Counts>(maps::COUNTS, max_volumes * OPS),
        array::<u64>(maps::AGED, max_volumes * OPS),
        array::<Tally>(maps::VOLUME_FAILURES, max_volumes * OPS * FAILURES),
        array::<Tally>(maps::DISK_FAILURES, MAX_DISKS * OPS * FAILURES),
        array::<Sized>(maps::BY_SIZE, max_volumes * SIZED_OPS * SIZES),
        array::<Tally>(maps::THROTTLED, max_volumes * OPS),
        per_cpu::<u64>(maps::DROPPED, LOSSES),
        hash::<u64, Start>(maps::BIOS, MAX_STARTS),
        hash::<u64, DiskStart>(maps::REQUESTS, MAX_STARTS),
        hash::<u64, RequestStart>(maps::TARGETS, MAX_STARTS),
        per_cpu::<HostKey>(maps::SCRATCH, 1),
        per_cpu::<u64>(maps::HANDLED, ENDS),
    ]
}

/// The kernel memory that all maps take, in bytes. Hash maps: an element has a header of 48 bytes
/// (`struct htab_elem`), each of the buckets (a power of two) 16 bytes, and each CPU one element to
/// spare (kernel/bpf/hashtab.c). Maps are preallocated, so this does not grow with use.
#[must_use]
pub const fn map_bytes(max_volumes: u32, cpus: u32) -> u64 {
    const HASH_HEADER: u64 = 48;
    const BUCKET: u64 = 16;
    let shapes = shapes(max_volumes);
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
        let bytes = map_bytes(1000, 64);
        assert!(bytes <= 64 << 20, "{bytes}");
        assert!(bytes > 50 << 20, "{bytes}: has something been left out?");
    }
}
