//! All figures at one moment: pure data.

use std::time::Duration;

use weir_agent_ebpf::layout::{Failure, Loss, Op, Size, Sized, Tally};
use weir_api::names::{NodeName, ObjectName, VolumeId};

use crate::histogram::Histogram;
use crate::ladder::{BackendFigures, Rung};

/// All figures, of everything that is measured.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What all this was measured with.
    pub rung: Rung,
    /// Every measured volume.
    pub volumes: Vec<VolumeFigures>,
    /// Every measured volume on the rungs below eBPF, in the place of all else that is figures here.
    pub backends: Vec<BackendFigures>,
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
    /// The age of the oldest I/O that has begun and not ended, if there is one.
    pub oldest: Option<Duration>,
}

/// The figures of one operation of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpFigures {
    /// The operation.
    pub op: Op,
    /// I/Os that have begun and not ended. One that ends while the figures are read still shows here.
    pub in_flight: u64,
    /// The most of them at once in the last 34 to 69 s ([`weir_agent_ebpf::layout::Counts::peak`]).
    pub peak: u64,
    /// Each stage that has intervals, in the order of [`Stage::ALL`]; `Total` always. Of I/Os that ended well.
    pub stages: Vec<(Stage, Histogram)>,
    /// The `Total` of those again, and their bytes, by size; reads and writes only.
    pub sizes: Vec<(Size, Sized)>,
    /// I/Os that failed, with the time until they did.
    pub failed: Vec<(Failure, Tally)>,
    /// I/Os that a cgroup limits, with the time that they were held back before they began.
    pub throttled: Tally,
}

impl OpFigures {
    /// Nothing yet.
    #[must_use]
    pub fn new(op: Op) -> Self {
        OpFigures {
            op,
            in_flight: 0,
            peak: 0,
            stages: Vec::new(),
            sizes: Vec::new(),
            failed: Vec::new(),
            throttled: Tally::default(),
        }
    }

    /// The bytes of all reads or writes that ended well.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sizes.iter().map(|(_, sized)| sized.bytes).sum()
    }

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
    /// Requests that failed, with the time until they did.
    pub failed: Vec<(Op, Failure, Tally)>,
}

/// The figures of a volume that this node uses over NVMe.
#[derive(Clone, Debug)]
pub struct ImportFigures {
    /// The volume.
    pub id: VolumeId,
    /// One for each operation that was ever begun, with `Total` and `HostQueue`.
    pub ops: Vec<OpFigures>,
    /// The age of the oldest I/O that has begun and not ended, if there is one.
    pub oldest: Option<Duration>,
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
