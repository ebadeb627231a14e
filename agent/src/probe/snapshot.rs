//! All figures at one moment: pure data.

use weir_agent_ebpf::layout::{self, Counts, Loss, Op, Place, per_op, volume_figure};
use weir_agent_ebpf::shapes::map_bytes;
use weir_api::names::{NodeName, ObjectName, VolumeId};

use super::groups::Groups;
use super::maps::{Elements, Maps};
use super::{Measured, ProbeError};
use crate::histogram::Histogram;

/// All figures, of everything that is measured.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every measured volume.
    pub volumes: Vec<VolumeFigures>,
    /// Every announced initiator of an exported volume.
    pub initiators: Vec<InitiatorFigures>,
    /// Every disk of the pools.
    pub disks: Vec<DiskFigures>,
    /// Every volume that this node uses over NVMe.
    pub imports: Vec<ImportFigures>,
    /// What was lost since the maps were made, by reason.
    pub dropped: Vec<(Loss, u64)>,
    /// I/Os given up by [`super::Probes::age`] since the maps were made.
    pub aged: u64,
    /// How often the kernel skipped each program since it was loaded, for any device: the I/Os that may be
    /// missing from all other figures.
    pub skipped: Vec<(String, u64)>,
    /// Kernel memory that the maps take, in bytes (computed).
    pub map_bytes: u64,
    /// Histograms that are given out, and all that there are. Beyond them only sums and counts are kept.
    pub histograms: (u32, u32),
    /// What is not measured.
    pub off: Vec<StageOff>,
}

/// A stage of an I/O of a volume: an interval of wall time between stamps (`agent-ebpf/README.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The whole of it, as this node sees it.
    Total,
    /// Of a volume that this node uses over NVMe: until its first command is made.
    HostQueue,
    /// Over the NVMe target only: until the first bio is queued on the volume.
    FabricWait,
    /// From there until the first disk request is issued: device mapper's work, thin allocation, the disk's queue.
    Queue,
    /// From there until the last disk request is completed.
    Device,
    /// From there until the bio is complete. All of the backend's time, if no disk was asked.
    Dm,
    /// From the first bio queued on the volume until it is complete: `Queue`, `Device` and `Dm`.
    Backend,
    /// Over the NVMe target only: from there until the target has completed the request.
    Response,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 8] = [
        Stage::Total,
        Stage::HostQueue,
        Stage::FabricWait,
        Stage::Queue,
        Stage::Device,
        Stage::Dm,
        Stage::Backend,
        Stage::Response,
    ];

    /// The value of the label `stage`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Stage::Total => "total",
            Stage::HostQueue => "host_queue",
            Stage::FabricWait => "fabric_wait",
            Stage::Queue => "queue",
            Stage::Device => "device",
            Stage::Dm => "dm",
            Stage::Backend => "backend",
            Stage::Response => "response",
        }
    }
}

/// A volume's figures.
#[derive(Clone, Debug)]
pub struct VolumeFigures {
    /// Its identity.
    pub id: VolumeId,
    /// Its name.
    pub name: ObjectName,
    /// Its pool.
    pub pool: ObjectName,
    /// One for each operation that was ever begun.
    pub ops: Vec<OpFigures>,
}

/// The figures of one operation of a volume.
#[derive(Clone, Debug)]
pub struct OpFigures {
    /// The operation.
    pub op: Op,
    /// I/Os that have begun and not ended. One that ends while the figures are read still shows here.
    pub in_flight: u64,
    /// Each stage that has intervals, in the order of [`Stage::ALL`]; `Total` always.
    pub stages: Vec<(Stage, Histogram)>,
}

impl OpFigures {
    /// A stage's histogram, if it has any intervals.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Option<&Histogram> {
        let mut stages = self.stages.iter();
        stages
            .find(|(this, _)| *this == stage)
            .map(|(_, histogram)| histogram)
    }
}

/// Whose figures [`InitiatorFigures`] are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InitiatorLabels {
    pub(super) volume: ObjectName,
    pub(super) initiator: NodeName,
}

/// The `total` of one initiator's I/Os on one volume.
#[derive(Clone, Debug)]
pub struct InitiatorFigures {
    /// The volume.
    pub volume: ObjectName,
    /// The initiator's node.
    pub initiator: NodeName,
    /// One for each operation that was completed.
    pub ops: Vec<(Op, Histogram)>,
}

/// The figures of a pool's disk.
#[derive(Clone, Debug)]
pub struct DiskFigures {
    /// The pool.
    pub pool: ObjectName,
    /// The disk.
    pub disk: String,
    /// From issue to completion, for each operation that was completed.
    pub ops: Vec<(Op, Histogram)>,
}

/// The figures of a volume that this node uses over NVMe.
#[derive(Clone, Debug)]
pub struct ImportFigures {
    /// The volume.
    pub id: VolumeId,
    /// One for each operation that was ever begun, with `Total` and `HostQueue`.
    pub ops: Vec<OpFigures>,
}

/// Something that is not measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageOff {
    /// What: a stage or a group of stages.
    pub stage: String,
    /// Why, for people.
    pub reason: String,
}

impl Snapshot {
    /// The figures of a node where nothing can be measured.
    #[must_use]
    pub fn nothing(reason: &str) -> Self {
        Snapshot {
            off: vec![StageOff {
                stage: "all".to_owned(),
                reason: reason.to_owned(),
            }],
            ..Snapshot::default()
        }
    }
}

pub(super) fn read(
    maps: &Maps,
    measured: &Measured,
    max_volumes: u32,
    groups: &Groups,
) -> Result<Snapshot, ProbeError> {
    let mut off = groups.off();
    off.extend(measured.off.iter().cloned());
    let mut snapshot = Snapshot {
        aged: maps.meta()?.aged,
        skipped: groups.skipped(),
        map_bytes: map_bytes(max_volumes, possible_cpus()),
        histograms: maps.histograms()?,
        off,
        ..Snapshot::default()
    };
    for (volume, place) in &measured.volumes {
        snapshot.volumes.push(VolumeFigures {
            id: volume.id,
            name: volume.name.clone(),
            pool: volume.pool.clone(),
            ops: volume_ops(maps, *place)?,
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
        snapshot.disks.push(DiskFigures {
            pool: disk.pool.clone(),
            disk: disk.disk.clone(),
            ops: ops(maps, &maps.disk_figures, *place)?,
        });
    }
    for (id, place) in &measured.imports {
        snapshot.imports.push(ImportFigures {
            id: *id,
            ops: volume_ops(maps, *place)?,
        });
    }
    for why in Loss::ALL {
        snapshot.dropped.push((why, maps.dropped(why)?));
    }
    Ok(snapshot)
}

fn volume_ops(maps: &Maps, place: Place) -> Result<Vec<OpFigures>, ProbeError> {
    let mut ops = Vec::new();
    for op in Op::ALL {
        let index = per_op(place.slot, op as u32);
        if maps.counts.get(index)?.started == 0 {
            continue;
        }
        let recorded = |stage| -> Result<Histogram, ProbeError> {
            let index = volume_figure(place.slot, op as u32, stage);
            maps.recorded(maps.volume_figures.get(index)?)
        };
        let mut total = recorded(layout::Stage::Total)?;
        let mut backend = recorded(layout::Stage::Backend)?;
        // Used on this node, an I/O is all backend; the programs record it once.
        let local = recorded(layout::Stage::Local)?;
        total.merge(&local);
        backend.merge(&local);
        let aged = maps.aged.get(index)?;
        let in_flight = in_flight(maps.counts.get(index)?, total.count(), aged);
        let mut stages = vec![
            (Stage::Total, total),
            (Stage::HostQueue, recorded(layout::Stage::HostQueue)?),
            (Stage::FabricWait, recorded(layout::Stage::FabricWait)?),
            (Stage::Queue, recorded(layout::Stage::Queue)?),
            (Stage::Device, recorded(layout::Stage::Device)?),
            (Stage::Dm, recorded(layout::Stage::Dm)?),
            (Stage::Backend, backend),
            (Stage::Response, recorded(layout::Stage::Response)?),
        ];
        stages.retain(|(stage, histogram)| *stage == Stage::Total || histogram.count() > 0);
        ops.push(OpFigures {
            op,
            in_flight,
            stages,
        });
    }
    Ok(ops)
}

fn in_flight(counts: Counts, completed: u64, aged: u64) -> u64 {
    let ended = completed + counts.dropped + counts.retried + aged;
    counts.started.saturating_sub(ended)
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
    fn what_ended_in_any_way_is_not_in_flight() {
        let counts = Counts {
            started: 10,
            dropped: 1,
            retried: 2,
        };
        assert_eq!(in_flight(counts, 3, 1), 3);
        assert_eq!(in_flight(counts, 9, 0), 0);
    }
}
