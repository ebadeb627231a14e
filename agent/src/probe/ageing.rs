//! Giving up starts whose completion was lost.

use std::time::Duration;

use weir_agent_ebpf::layout::{BIO_OF_DISK, IMPORT, Meta, Place, is_io_of_volume, per_op};

use super::maps::Maps;
use super::{ProbeError, monotonic};

/// Removes every start that is older than `limit`; returns how many I/Os that were.
pub(super) fn age(maps: &mut Maps, limit: Duration) -> Result<u64, ProbeError> {
    let oldest = monotonic()?.saturating_sub(limit).as_nanos();
    let mut aged = 0;
    for (bio, start) in old(maps.bios.entries(), oldest, |start| start.at_ns) {
        if maps.bios.remove(bio).is_some() {
            // A bio that is a part of another I/O does not count: that one is as old, and does.
            let is_io = is_io_of_volume(start.kind);
            aged += u64::from(is_io || start.kind == BIO_OF_DISK);
            if is_io {
                count(maps, start.place, start.op.into());
            }
        }
    }
    for (request, start) in old(maps.targets.entries(), oldest, |start| start.init_ns) {
        if maps.targets.remove(request).is_some() {
            aged += 1;
            count(maps, start.volume, start.op);
        }
    }
    for (request, start) in old(maps.requests.entries(), oldest, |start| start.at_ns) {
        if maps.requests.remove(request).is_some() {
            // A request of an import is a part of its bios.
            aged += u64::from(start.state != IMPORT);
        }
    }
    if aged > 0 {
        let meta = maps.meta()?;
        maps.set_meta(Meta {
            aged: meta.aged + aged,
            ..meta
        })?;
    }
    Ok(aged)
}

/// The entries that began before a moment.
fn old<V>(
    entries: impl Iterator<Item = (u64, V)>,
    oldest: u128,
    began: impl Fn(&V) -> u64,
) -> Vec<(u64, V)> {
    entries
        .filter(|(_, start)| u128::from(began(start)) < oldest)
        .collect()
}

/// Takes an I/O out of its volume's in-flight count, if the volume still holds its slot.
fn count(maps: &mut Maps, place: Place, op: u32) {
    let slot = maps.volumes.get(place.slot);
    if slot.is_some_and(|slot| slot.generation == place.generation) {
        maps.shared.count_aged(per_op(place.slot, op));
    }
}
