//! Looking at a group without a process of LVM's.

use std::path::Path;

use crate::chain;
use crate::disk::Disks;
use crate::dm::Mapped;
use crate::lvm::report::Lv;
use crate::lvm::{Group, metadata};
use crate::observed::GroupView;
use crate::record::PoolRecord;

use super::Parts;

/// A pool's group as its disks and device mapper say, if these say all that LVM would.
pub(super) fn pool(
    disks: &dyn Disks,
    pool: &PoolRecord,
    mapped: &Result<Vec<Mapped>, String>,
) -> Option<GroupView> {
    let group = Group {
        name: pool.volume_group.clone(),
        devices: pool.devices.clone(),
    };
    let uuid = pool.vg_uuid.as_deref()?;
    let told = |error: &String| tracing::debug!(group = %group.name, error, "LVM is asked");
    let mapped = mapped.as_ref().inspect_err(|error| told(error)).ok()?;
    view(disks, &group, Some(uuid), mapped)
}

/// A group's LVs as they are now.
pub(super) fn lvs(parts: &Parts, group: &Group) -> Option<Vec<Lv>> {
    // Before the metadata: an LV that is made in between seems to be inactive, and one that goes is not there.
    let mapped = parts.disks.mapped().ok()?;
    let view = view(parts.disks.as_ref(), group, None, &mapped)?;
    Some(view.lvs.into_values().collect())
}

fn view(
    disks: &dyn Disks,
    group: &Group,
    uuid: Option<&str>,
    mapped: &[Mapped],
) -> Option<GroupView> {
    let area = |disk: &String| {
        let area = disks.area(Path::new(disk));
        let area = area.map_err(|error| chain(&error))?;
        Ok::<_, String>((disk.clone(), area))
    };
    let areas: Result<Vec<_>, _> = group.devices.iter().map(area).collect();
    match areas.and_then(|areas| metadata::group(&group.name, uuid, &areas)) {
        Ok(mut view) => {
            metadata::activity(&mut view, mapped);
            Some(view)
        }
        Err(reason) => {
            tracing::debug!(group = %group.name, reason, "LVM is asked");
            None
        }
    }
}
