//! The simulated node's mappings, as dmsetup(8) makes and shows them.

use weir_api::names::MappingName;

use super::State;
use crate::dm::Mapped;
use crate::lvm::metadata::dm_uuid;
use crate::probe::DevT;

/// A mapping of Weir's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mapping {
    pub(crate) uuid: String,
    /// UUID of the LV that its I/O goes to; `None` while it fails everything.
    pub(crate) lv: Option<String>,
}

impl State {
    pub(super) fn dmsetup(&mut self, args: &[&str]) -> Result<String, String> {
        match args {
            ["status", "--noflush", "--target", "thin-pool"] => Ok(self.thin_pools()),
            ["create", name, "--uuid", uuid, "--table", table] => {
                if self.mappings.contains_key(*name) {
                    return Err(format!("{name} exists"));
                }
                let device = table.split(' ').nth(3).unwrap_or_default();
                let lv = self.lv_at(device).filter(|lv| self.active.contains(lv));
                let lv = lv.ok_or("no such device")?;
                if self.local_users.contains(&lv) {
                    self.violation(format!("{name} is made upon a device that is in use"));
                }
                let mapping = Mapping {
                    uuid: (*uuid).to_owned(),
                    lv: Some(lv),
                };
                self.mappings.insert((*name).to_owned(), mapping);
                self.kernel.add_block_device(format!("/dev/mapper/{name}"));
                Ok(String::new())
            }
            ["wipe_table", "--nolockfs", name] => {
                let mapping = self.mappings.get_mut(*name).ok_or("no such device")?;
                mapping.lv = None;
                self.watch();
                Ok(String::new())
            }
            ["remove", "--retry", name] => {
                let mapping = self.mappings.get(*name).ok_or("no such device")?;
                if self.opens(&format!("/dev/mapper/{name}"), name) > 0 {
                    return Err(format!("{name} is in use"));
                }
                if mapping.lv.is_some() {
                    self.violation(format!("{name} goes while its I/O may be on its way"));
                }
                self.mappings.remove(*name);
                self.kernel
                    .remove_block_device(format!("/dev/mapper/{name}"));
                Ok(String::new())
            }
            ["mknodes", _] => Ok(String::new()),
            _ => Err(format!("{args:?} is not simulated")),
        }
    }

    /// Thin pools that are active: LVM keeps another device over one that has volumes.
    fn thin_pools(&self) -> String {
        let mut rows = String::new();
        for (group, vg) in &self.groups {
            let pool = vg.lvs.iter().find(|(_, lv)| lv.kind == 't');
            let Some((name, lv)) = pool.filter(|(_, lv)| self.active.contains(&lv.uuid)) else {
                continue;
            };
            let has_volumes = vg.lvs.values().any(|lv| lv.kind == 'V');
            let path = State::dm_path(group, name);
            let device = path.trim_start_matches("/dev/mapper/");
            let layer = if has_volumes { "-tpool" } else { "" };
            let calm = "1 11/1024 0/1024 - rw discard_passdown queue_if_no_space - 1024";
            let status = self.thin_status.get(group).map_or(calm, String::as_str);
            let sectors = lv.extents * super::EXTENT / 512;
            rows += &format!("{device}{layer}: 0 {sectors} thin-pool {status}\n");
        }
        rows
    }

    pub(super) fn mapped(&self) -> Vec<Mapped> {
        let number = |major: usize, minor: usize| DevT {
            major: u32::try_from(major).unwrap(),
            minor: u32::try_from(minor).unwrap(),
        };
        let mut all = Vec::new();
        let mut add = |number, uuid: String, open: usize, below| {
            all.push(Mapped {
                mapping: MappingName::from_dm_uuid(&uuid),
                uuid,
                number,
                open: u32::try_from(open).unwrap(),
                below,
            });
        };
        for (major, group, minor, name, lv) in self.numbered() {
            if self.active.contains(&lv.uuid) {
                let open = self.opens(&State::dm_path(group, name), &lv.uuid);
                let uuid = dm_uuid(&self.groups[group].uuid, &lv.uuid);
                add(number(major, minor), uuid, open, Vec::new());
            }
        }
        for (minor, (name, mapping)) in self.mappings.iter().enumerate() {
            let open = self.opens(&format!("/dev/mapper/{name}"), name);
            let lvs = self.numbered();
            let below = lvs.filter(|(.., lv)| Some(&lv.uuid) == mapping.lv.as_ref());
            let below = below.map(|(major, _, minor, ..)| number(major, minor));
            add(
                number(400, minor),
                mapping.uuid.clone(),
                open,
                below.collect(),
            );
        }
        all
    }

    /// UUID of the LV that a device below /dev/mapper leads to, if I/O reaches it.
    pub(super) fn lv_behind(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix("/dev/mapper/")?;
        match self.mappings.get(name) {
            Some(mapping) => mapping.lv.clone(),
            None => self.lv_at(path),
        }
    }

    /// Mappings upon an LV.
    pub(super) fn mappings_on(&self, uuid: &str) -> usize {
        let mappings = self.mappings.values();
        mappings
            .filter(|mapping| mapping.lv.as_deref() == Some(uuid))
            .count()
    }
}
