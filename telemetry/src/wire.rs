//! What travels: messages as `proto/telemetry.proto` has them, and how ours become those and come back, checked.

#[cfg(feature = "server")]
mod checked;
#[cfg(feature = "client")]
mod made;

#[cfg(feature = "server")]
pub use checked::{Malformed, Report as CheckedReport, Series as CheckedSeries};
#[cfg(feature = "client")]
pub(crate) use made::{in_flight, series};

#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated; the documentation is the protocol's"
)]
mod generated {
    tonic::include_proto!("weir.telemetry.v1");
}

pub use generated::*;

use crate::op::{Op as OurOp, Rung as OurRung};

/// The most bytes that one series takes in a message: every bucket, with the greatest counts, and the longest name.
pub const LONGEST_SERIES: usize = 4 * 1024;

impl From<OurOp> for Op {
    fn from(op: OurOp) -> Self {
        match op {
            OurOp::Read => Op::Read,
            OurOp::Write => Op::Write,
            OurOp::Flush => Op::Flush,
            OurOp::Discard => Op::Discard,
            OurOp::WriteZeroes => Op::WriteZeroes,
            OurOp::ReadWrite => Op::ReadWrite,
        }
    }
}

impl From<OurRung> for Rung {
    fn from(rung: OurRung) -> Self {
        match rung {
            OurRung::Ebpf => Rung::Ebpf,
            OurRung::DmStatistics => Rung::DmStatistics,
            OurRung::Diskstats => Rung::Diskstats,
        }
    }
}

#[cfg(test)]
mod tests;
