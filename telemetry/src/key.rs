//! Which series a delta is of.

use weir_api::names::{NodeName, ObjectName, VolumeId};

use crate::op::Op;

/// A series: what was measured, and of which operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What was measured.
    pub subject: Subject,
    /// Of which operation.
    pub op: Op,
}

/// What was measured. Whose node it is on is the reporting agent's: it is in no message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// `backend` of all volumes of a pool together: from the I/O reaching the volume's device until it is complete there.
    Pool(ObjectName),
    /// On the storage node: `total` of one initiator's I/Os on an exported volume. Sum and number only.
    Target {
        /// The volume.
        volume: VolumeId,
        /// The initiator's node.
        host: NodeName,
    },
    /// On the consumer: `total` of a volume that this node uses over NVMe. Sum and number only.
    Host(VolumeId),
}
