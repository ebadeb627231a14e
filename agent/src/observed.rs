//! What is on the node now, as data.

use std::collections::BTreeMap;
use std::path::Path;

use nvmet::Target;
use weir_api::names::{ObjectName, VolumeId};

use crate::dm::Mapped;
use crate::dm::thin_pool::Fill;
use crate::lvm;
use crate::lvm::report::{Lv, Pv, Vg};
use crate::probe::DevT;
use crate::zero::{ZeroJob, ZeroState};

/// Everything the plan looks at besides requests and records.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Recorded pools that were made.
    pub pools: BTreeMap<ObjectName, PoolView>,
    /// Every physical volume of the node, where a pool has to be found or made.
    pub scan: Result<Vec<Pv>, String>,
    /// Volume groups that are marked as pools of which nothing is recorded, as far as a scan was
    /// made.
    pub strays: BTreeMap<ObjectName, GroupView>,
    /// Devices that pools name.
    pub devices: BTreeMap<String, DeviceView>,
    /// Numbers of every device mentioned above, as far as it is there.
    pub numbers: BTreeMap<String, DevT>,
    /// Which of those devices have a volatile write cache.
    pub volatile: BTreeMap<String, bool>,
    /// The kernel's NVMe target.
    pub target: TargetView,
    /// Every device of device mapper.
    pub mapped: Result<Vec<Mapped>, String>,
    /// Who has the devices of volumes open that somebody besides Weir's exports has open, in words.
    pub users: BTreeMap<DevT, Vec<String>>,
    /// How full pools' thin pools are, as it is to be told.
    pub thin: BTreeMap<ObjectName, Fill>,
    /// Zeroing, running or ended.
    pub zeroing: BTreeMap<ZeroJob, ZeroState>,
}

impl Observed {
    /// How often a device of device mapper is open besides by enabled namespaces that show `path` and by
    /// mappings of Weir's upon it. `None` where that can't be told.
    #[must_use]
    pub fn strangers(&self, number: DevT, path: &str) -> Option<u32> {
        let mapped = self.mapped.as_ref().ok()?;
        let device = mapped.iter().find(|device| device.number == number)?;
        let above = mapped.iter().filter(|other| other.mapping.is_some());
        let above = above.flat_map(|other| &other.below);
        let above = above.filter(|below| **below == number).count();
        let shown = match &self.target {
            TargetView::Present(target) => target
                .subsystems
                .values()
                .flat_map(|subsystem| subsystem.namespaces.values())
                .filter(|ns| ns.enabled && ns.device_path == Path::new(path))
                .count(),
            TargetView::Absent(_) => 0,
            TargetView::Unknown(_) => return None,
        };
        let explained = u32::try_from(above + shown).unwrap_or(u32::MAX);
        Some(device.open.saturating_sub(explained))
    }
}

/// What was seen of a recorded pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolView {
    /// It could not be found out.
    Unknown(String),
    /// LVM answered, and the volume group is on none of the node's disks.
    Missing,
    /// It is there.
    Present(GroupView),
}

/// A volume group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// What LVM says of it.
    pub vg: Vg,
    /// Its disks.
    pub devices: Vec<String>,
    /// How many of its disks are gone.
    pub missing: usize,
    /// Its LVs by name.
    pub lvs: BTreeMap<String, Lv>,
}

impl GroupView {
    /// The group without LVs, if the rows have one of this name: all of its rows together.
    ///
    /// # Errors
    /// Two groups have this name.
    pub fn find(pvs: &[Pv], wanted: impl Fn(&Vg) -> bool) -> Result<Option<Self>, String> {
        let mut found: Option<GroupView> = None;
        for pv in pvs {
            let Some(vg) = pv.vg.as_ref().filter(|vg| wanted(vg)) else {
                continue;
            };
            let group = found.get_or_insert_with(|| GroupView {
                vg: vg.clone(),
                devices: Vec::new(),
                missing: 0,
                lvs: BTreeMap::new(),
            });
            if group.vg.uuid != vg.uuid {
                return Err(format!("two volume groups are named `{}`", vg.name));
            }
            match &pv.path {
                Some(path) => group.devices.push(path.clone()),
                None => group.missing += 1,
            }
        }
        Ok(found)
    }

    /// The LV that carries a volume's mark, whatever its name.
    #[must_use]
    pub fn marked(&self, id: VolumeId) -> Option<&Lv> {
        self.lvs
            .values()
            .find(|lv| lvm::id_in(&lv.tags) == Some(id))
    }
}

/// A device that a pool is to be made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceView {
    /// Why it can't be used at all.
    pub refusal: Option<String>,
    /// Signatures on it, as wipefs(8) names them.
    pub signatures: Vec<String>,
}

/// What was seen of the kernel's NVMe target.
#[derive(Clone, Debug)]
pub enum TargetView {
    /// It could not be found out.
    Unknown(String),
    /// It is not loaded: nothing is exported, and nothing can be.
    Absent(String),
    /// It is there.
    Present(Target),
}
