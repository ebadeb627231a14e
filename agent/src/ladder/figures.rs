//! What the lower rungs tell of a volume: pure data.

use weir_agent_ebpf::layout::Op;
use weir_api::names::{ObjectName, VolumeId};

use super::region::Counted;
use super::{bounds, disk_statistics};
use crate::histogram::Histogram;
use crate::probe::{MeasuredVolume, Mode, Tally};

/// A volume's figures, all of them of `backend`: from the I/O reaching the volume's device until it is complete there.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendFigures {
    /// Its identity.
    pub id: VolumeId,
    /// Its name.
    pub name: ObjectName,
    /// Its pool.
    pub pool: ObjectName,
    /// Whether it is used on this node alone, where `backend` is the whole of an I/O.
    pub is_local: bool,
    /// I/Os of any kind that have begun and not ended.
    pub in_flight: u64,
    /// Each operation that is told apart; 0 is a figure, what is not told is not there. `Write` is whatever the source takes
    /// for a write: for device mapper's statistics discards and zeroes too, for diskstats zeroes and flushes.
    pub ops: Vec<(Op, Tally)>,
    /// Reads and writes together, where there is a histogram.
    pub together: Option<Histogram>,
}

impl BackendFigures {
    pub(super) fn of(volume: &MeasuredVolume) -> Self {
        BackendFigures {
            id: volume.id,
            name: volume.name.clone(),
            pool: volume.pool.clone(),
            is_local: is_local(volume),
            in_flight: 0,
            ops: Vec::new(),
            together: None,
        }
    }

    /// Adds what a region counted of one of the volume's devices.
    pub(super) fn add_region(&mut self, counted: &Counted) {
        self.in_flight += counted.in_flight;
        self.add(Op::Read, counted.reads);
        self.add(Op::Write, counted.writes);
        let ns = counted.reads.sum_ns.wrapping_add(counted.writes.sum_ns);
        let histogram = bounds::fold(&counted.histogram, ns);
        self.together
            .get_or_insert_with(Histogram::default)
            .merge(&histogram);
    }

    /// Adds what the kernel counted of one of the volume's devices.
    pub(super) fn add_disk(&mut self, counted: &disk_statistics::Counted) {
        self.in_flight += counted.in_flight;
        self.add(Op::Read, counted.reads);
        self.add(Op::Write, counted.writes);
        self.add(Op::Discard, counted.discards);
    }

    fn add(&mut self, op: Op, more: Tally) {
        match self.ops.iter_mut().find(|(this, _)| *this == op) {
            Some((_, sum)) => {
                sum.count += more.count;
                sum.sum_ns = sum.sum_ns.wrapping_add(more.sum_ns);
            }
            None => self.ops.push((op, more)),
        }
    }
}

/// Whether all that a volume's devices do is this node's own I/O.
pub(super) fn is_local(volume: &MeasuredVolume) -> bool {
    volume
        .devices
        .iter()
        .all(|device| device.mode == Mode::Local)
}
