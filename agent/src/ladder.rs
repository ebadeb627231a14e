//! How volumes are measured where the eBPF programs can't be: rungs of a ladder, each of which tells less than the one above
//! and asks less of kernel and privilege.
//!
//! | rung | tells | needs |
//! |---|---|---|
//! | [`Rung::Ebpf`] | every stage, each operation, initiators, disks | `bpf(2)`: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN; BTF |
//! | [`Rung::DmStatistics`] | `backend`: sums for reads and writes, one histogram of both | CAP_SYS_ADMIN; a volume that is a device of device mapper |
//! | [`Rung::Diskstats`] | `backend`: sums, in milliseconds | nothing |
//!
//! The rung is chosen once, when measuring starts: what keeps an agent from a rung lasts as long as the agent. (One that
//! can't load programs, but open what a predecessor pinned, goes on with it.) A volume whose device keeps no statistics of
//! device mapper's is measured by the rung below, alone.
//!
//! Invariant: what a rung can't know is absent. No figure of one device is ever told of another: device numbers are used
//! again, so each reading is checked against what tells the device from all others (device mapper's uuid, the kernel's `diskseq`).

mod bounds;
mod disk_statistics;
mod dm_statistics;
#[cfg(test)]
mod fake;
mod figures;
mod memory;
mod plan;
mod region;

pub use figures::BackendFigures;

pub(crate) use disk_statistics::DiskStatistics;
pub(crate) use dm_statistics::{DmStatistics, remove_regions};

use crate::probe::StageOff;

/// What volumes are measured with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rung {
    /// The eBPF programs.
    #[default]
    Ebpf,
    /// Device mapper's statistics.
    DmStatistics,
    /// The statistics that the kernel keeps of every block device.
    Diskstats,
}

impl Rung {
    /// The value of the label `rung`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Rung::Ebpf => "ebpf",
            Rung::DmStatistics => "dm-statistics",
            Rung::Diskstats => "diskstats",
        }
    }
}

/// A rung, and what is not measured on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) rung: Rung,
    pub(crate) off: Vec<StageOff>,
}

/// What only the programs can tell, as the label `stage` names it.
const OF_EBPF: [&str; 8] = [
    "exported",
    "initiator",
    "import",
    "disk",
    "queue",
    "device",
    "dm",
    "throttle",
];

/// Chooses a rung: the highest of which nothing is known that keeps this agent from it.
pub(crate) fn choose(not_ebpf: Option<&str>, not_dm_statistics: Option<&str>) -> Choice {
    let Some(not_ebpf) = not_ebpf else {
        return Choice {
            rung: Rung::Ebpf,
            off: Vec::new(),
        };
    };
    let off = |stage: &str, rung: Rung, why: &str| StageOff {
        stage: stage.to_owned(),
        reason: format!("only {} tells: {why}", rung.label()),
    };
    let mut all: Vec<StageOff> = OF_EBPF
        .iter()
        .map(|stage| off(stage, Rung::Ebpf, not_ebpf))
        .collect();
    let rung = match not_dm_statistics {
        None => Rung::DmStatistics,
        Some(why) => {
            all.push(off("histogram", Rung::DmStatistics, why));
            Rung::Diskstats
        }
    };
    Choice { rung, off: all }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `Rung::DmStatistics` for both.
    #[test]
    fn the_highest_rung_that_can_be_reached_is_chosen_and_says_what_it_lacks() {
        let rows = [
            (None, None, Rung::Ebpf, 0),
            (None, Some("no"), Rung::Ebpf, 0),
            (Some("no bpf"), None, Rung::DmStatistics, 8),
            (Some("no bpf"), Some("no"), Rung::Diskstats, 9),
        ];
        for (ebpf, dm, rung, off) in rows {
            let choice = choose(ebpf, dm);
            assert_eq!((choice.rung, choice.off.len()), (rung, off));
        }
        let off = choose(Some("no bpf"), Some("no dm")).off;
        assert_eq!(off[0].reason, "only ebpf tells: no bpf");
        assert_eq!(off[8].reason, "only dm-statistics tells: no dm");
        assert_eq!(off[8].stage, "histogram");
    }
}
