//! Reading all figures out of the maps.

use std::collections::HashMap;
use std::time::Duration;

use weir_agent_ebpf::layout::{
    self, Account, Counts, Failure, Loss, Op, Place, Size, Tally, is_io_of_volume, per_failure,
    per_op,
};
use weir_agent_ebpf::shapes::{Room, map_bytes};

use super::groups::Groups;
use super::maps::{Elements, Maps};
use super::snapshot::{
    DiskFigures, ImportFigures, InitiatorFigures, OpFigures, Snapshot, Stage, VolumeFigures,
};
use super::{Measured, ProbeError, monotonic};
use crate::histogram::Histogram;

pub(super) fn read(
    maps: &Maps,
    measured: &Measured,
    room: Room,
    groups: &Groups,
) -> Result<Snapshot, ProbeError> {
    let mut off = groups.off();
    off.extend(measured.off.iter().cloned());
    let mut snapshot = Snapshot {
        aged: maps.meta()?.aged,
        skipped: groups.skipped(),
        map_bytes: map_bytes(room, possible_cpus()),
        histograms: maps.histograms()?,
        off,
        ..Snapshot::default()
    };
    let oldest = oldest(maps);
    let now = monotonic()?;
    let age = |place: &Place| {
        let began = oldest.get(place)?;
        Some(now.saturating_sub(Duration::from_nanos(*began)))
    };
    for (volume, place) in &measured.volumes {
        snapshot.volumes.push(VolumeFigures {
            id: volume.id,
            name: volume.name.clone(),
            pool: volume.pool.clone(),
            ops: volume_ops(maps, *place, now)?,
            oldest: age(place),
        });
    }
    for (labels, place) in &measured.initiators {
        snapshot.initiators.push(InitiatorFigures {
            volume: labels.volume.clone(),
            initiator: labels.initiator.clone(),
            ops: ops(maps, &maps.host_figures, *place)?,
        });
    }
    for (disk, place) in &measured.disks {
        let mut failed = Vec::new();
        for op in Op::ALL {
            let failures = failures(&maps.disk_failures, *place, op)?;
            failed.extend(failures.into_iter().map(|(why, tally)| (op, why, tally)));
        }
        snapshot.disks.push(DiskFigures {
            pool: disk.pool.clone(),
            disk: disk.disk.clone(),
            ops: ops(maps, &maps.disk_figures, *place)?,
            failed,
        });
    }
    for (id, place) in &measured.imports {
        snapshot.imports.push(ImportFigures {
            id: *id,
            ops: volume_ops(maps, *place, now)?,
            oldest: age(place),
        });
    }
    for why in Loss::ALL {
        snapshot.dropped.push((why, maps.dropped(why)?));
    }
    Ok(snapshot)
}

/// When the oldest I/O in flight of each volume began, `CLOCK_MONOTONIC` in nanoseconds.
fn oldest(maps: &Maps) -> HashMap<Place, u64> {
    let bios = maps.bios.entries();
    let bios = bios.filter(|(_, start)| is_io_of_volume(start.kind));
    let targets = maps.targets.entries();
    let mut oldest = HashMap::new();
    for (place, at_ns) in bios
        .map(|(_, start)| (start.place, start.at_ns))
        .chain(targets.map(|(_, start)| (start.volume, start.init_ns)))
    {
        let first = oldest.entry(place).or_insert(at_ns);
        *first = at_ns.min(*first);
    }
    oldest
}

fn volume_ops(maps: &Maps, place: Place, now: Duration) -> Result<Vec<OpFigures>, ProbeError> {
    let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let mut ops = Vec::new();
    for op in Op::ALL {
        let index = per_op(place.slot, op as u32);
        let account = maps.accounts.get(index)?;
        let counts = account.counts;
        if counts.started == 0 {
            continue;
        }
        let in_flight = in_flight(counts);
        ops.push(OpFigures {
            op,
            in_flight,
            peak: counts.peak(now_ns).max(in_flight),
            stages: stages(maps, &account)?,
            sizes: sizes(&account),
            failed: failures(&maps.volume_failures, place, op)?,
            throttled: maps.throttled.get(index)?,
        });
    }
    Ok(ops)
}

fn in_flight(counts: Counts) -> u64 {
    counts.started.saturating_sub(counts.ended + counts.aged)
}

fn stages(maps: &Maps, account: &Account) -> Result<Vec<(Stage, Histogram)>, ProbeError> {
    let mut stages = Stage::ALL
        .map(|stage| (stage, Histogram::default()))
        .to_vec();
    for recorded in layout::Stage::ALL {
        let shown = shown_as(recorded);
        let histogram = maps.recorded(account.figure(recorded))?;
        for (_, sum) in stages.iter_mut().filter(|(stage, _)| shown.contains(stage)) {
            sum.merge(&histogram);
        }
    }
    stages.retain(|(stage, histogram)| *stage == Stage::Total || histogram.count() > 0);
    Ok(stages)
}

/// What the programs record of an I/O that is used on this node is all backend: it is recorded once.
const fn shown_as(recorded: layout::Stage) -> &'static [Stage] {
    match recorded {
        layout::Stage::Total => &[Stage::Total],
        layout::Stage::HostQueue => &[Stage::HostQueue],
        layout::Stage::FabricWait => &[Stage::FabricWait],
        layout::Stage::Queue => &[Stage::Queue],
        layout::Stage::Device => &[Stage::Device],
        layout::Stage::Dm => &[Stage::Dm],
        layout::Stage::Backend => &[Stage::Backend],
        layout::Stage::Response => &[Stage::Response],
        layout::Stage::Local => &[Stage::Total, Stage::Backend],
    }
}

fn sizes(account: &Account) -> Vec<(Size, layout::Sized)> {
    let sizes = Size::ALL.into_iter().zip(account.sizes);
    sizes.filter(|(_, sized)| sized.total.count > 0).collect()
}

fn failures(
    tallies: &Elements<Tally>,
    place: Place,
    op: Op,
) -> Result<Vec<(Failure, Tally)>, ProbeError> {
    let mut failed = Vec::new();
    for failure in Failure::ALL {
        let tally = tallies.get(per_failure(place.slot, op as u32, failure))?;
        if tally.count > 0 {
            failed.push((failure, tally));
        }
    }
    Ok(failed)
}

fn ops(
    maps: &Maps,
    figures: &Elements<layout::Figure>,
    place: Place,
) -> Result<Vec<(Op, Histogram)>, ProbeError> {
    let mut ops = Vec::new();
    for op in Op::ALL {
        let histogram = maps.recorded(figures.get(per_op(place.slot, op as u32))?)?;
        if histogram.count() > 0 {
            ops.push((op, histogram));
        }
    }
    Ok(ops)
}

/// The kernel makes room for every CPU that could ever appear, not only for those that are there.
fn possible_cpus() -> u32 {
    let cpus = aya::util::nr_cpus().unwrap_or(1);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_or_was_given_up_is_not_in_flight() {
        let counts = Counts {
            started: 10,
            ended: 6,
            aged: 1,
            ..Counts::default()
        };
        assert_eq!(in_flight(counts), 3);
        assert_eq!(in_flight(Counts { aged: 5, ..counts }), 0);
    }
}
