//! Operations, and what they are measured with.

use weir_agent_ebpf::layout;

/// The kinds of I/O that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Data from the device.
    Read,
    /// Data to the device.
    Write,
    /// A flush without data.
    Flush,
    /// Discard, and secure erase.
    Discard,
    /// Write zeroes.
    WriteZeroes,
    /// All together, where they are not told apart.
    ReadWrite,
}

impl Op {
    /// All of them.
    pub const ALL: [Op; 6] = [
        Op::Read,
        Op::Write,
        Op::Flush,
        Op::Discard,
        Op::WriteZeroes,
        Op::ReadWrite,
    ];

    /// The value of the label `op`, as the agent's own metrics have it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Op::Read => "read",
            Op::Write => "write",
            Op::Flush => "flush",
            Op::Discard => "discard",
            Op::WriteZeroes => "write_zeroes",
            Op::ReadWrite => "read_write",
        }
    }
}

impl From<layout::Op> for Op {
    fn from(op: layout::Op) -> Self {
        match op {
            layout::Op::Read => Op::Read,
            layout::Op::Write => Op::Write,
            layout::Op::Flush => Op::Flush,
            layout::Op::Discard => Op::Discard,
            layout::Op::WriteZeroes => Op::WriteZeroes,
        }
    }
}

/// What a node measures with, from the best down: the lower, the less its figures are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rung {
    /// Probes in the kernel, for each I/O and stage.
    #[default]
    Ebpf,
    /// Device mapper's own histograms.
    DmStatistics,
    /// Sums from the disk's counters, without histograms.
    Diskstats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_the_labels_of_the_agents_metrics() {
        for op in layout::Op::ALL {
            assert_eq!(Op::from(op).label(), op.label());
        }
    }
}
