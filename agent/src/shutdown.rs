//! The end of a boot in good order: nobody gets an acknowledgement any more, then the disks are flushed, then
//! the record says so. Without it the next boot has to take it that a volatile write cache lost writes.
//!
//! For the time between the agent's own end and the node's: exports are the kernel's and outlive the agent.

use std::path::Path;

use nvmet::{Port, Target};
use thiserror::Error;
use weir_api::names::VolumeId;

use crate::disk::{DiskError, Disks};
use crate::observed::TargetView;
use crate::record::{BootId, BootRecord, RecordError, Records, Store};
use crate::target::{Exports, TargetError};

/// Why the boot is not recorded as ended.
#[derive(Debug, Error)]
pub enum ShutdownError {
    /// What is served is not known, or could not be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// What is exported is not known.
    #[error("cannot tell what is exported: {0}")]
    Target(String),
    /// An export goes on.
    #[error(transparent)]
    Export(#[from] TargetError),
    /// A disk may not have everything.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Ends every recorded volume's exports on every port of Weir's, flushes the pools' disks, and records that
/// this boot ended in good order. Hosts wait for the node to return: a port without exports accepts no
/// connection. To be called when the agent has ended and the node is about to.
///
/// # Errors
/// The first thing that could not be done; pools recorded before it have ended.
pub fn shutdown(
    store: &Store,
    exports: &dyn Exports,
    disks: &dyn Disks,
    boot: BootId,
) -> Result<(), ShutdownError> {
    let records = store.load()?;
    let target = match exports.read() {
        TargetView::Present(target) => target,
        TargetView::Absent(_) => Target::default(),
        TargetView::Unknown(error) => return Err(ShutdownError::Target(error)),
    };
    let have = linked(&target, &records);
    let mut want = have.clone();
    want.ports
        .values_mut()
        .for_each(|port| port.subsystems.clear());
    exports.change(&have, &want)?;
    for pool in records.pools.values() {
        for disk in &pool.devices {
            disks.flush(Path::new(disk))?;
        }
        let mut pool = pool.clone();
        // One that was not served in this boot keeps its doubts about the last.
        if pool.boot.as_ref().is_some_and(|served| served.id == boot) {
            pool.boot = Some(BootRecord {
                id: boot,
                ended: true,
            });
            store.write_pool(&pool)?;
        }
    }
    Ok(())
}

/// Ports with the links of recorded volumes alone.
fn linked(target: &Target, records: &Records) -> Target {
    let mut linked = Target::default();
    for (id, port) in &target.ports {
        let ours = port.subsystems.iter().filter(|nqn| {
            let volume = VolumeId::from_nqn(nqn.as_str());
            volume.is_some_and(|volume| records.volumes.contains_key(&volume))
        });
        let port = Port {
            subsystems: ours.cloned().collect(),
            ..port.clone()
        };
        linked.ports.insert(*id, port);
    }
    linked
}
