//! What is on the node and nobody asks for, and the orders about it: pure functions of what is asked for,
//! recorded and observed.
//!
//! Adopting writes a request, and the plan does the rest. Removing writes a record that says `Deleting`,
//! and the plan destroys what it finds then, with every check it has.

use uuid::Uuid;
use weir_api::names::{NodeName, ObjectName, VolumeId};
use weir_api::object::Object;
use weir_api::orphan::{Adopt, Orphan, OrphanKind, Orphans};
use weir_api::parse::Request;
use weir_api::units::Bytes;
use weir_api::volume::{Access, Provisioning, Source, VolumeSpec};

use crate::lvm::report::{Lv, LvKind};
use crate::lvm::{id_in, name_in};
use crate::objects::{name_of, of_group, of_pool, of_volume, volume_from_tags};
use crate::observed::{GroupView, Observed, PoolView, TargetView};
use crate::record::{Records, VolumeRecord, VolumeState};
use crate::requests::Requests;

/// Everything that is looked at.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// This node.
    pub node: &'a NodeName,
    /// What is asked for.
    pub requests: &'a Requests,
    /// What is recorded.
    pub records: &'a Records,
    /// What is there.
    pub observed: &'a Observed,
}

impl<'a> Sight<'a> {
    /// Everything that nobody asks for.
    #[must_use]
    pub fn orphans(&self) -> Orphans {
        let mut items = Vec::new();
        self.groups(&mut items);
        self.pools(&mut items);
        self.lvs(&mut items);
        self.volumes(&mut items);
        self.exports(&mut items);
        for broken in self.records.broken() {
            items.push(Orphan {
                kind: OrphanKind::Record,
                name: None,
                id: None,
                pool: None,
                place: broken.path.display().to_string(),
                capacity_bytes: Bytes(0),
                is_open: false,
                message: format!("{}; restore the file", broken.reason),
            });
        }
        items.sort();
        Orphans { items }
    }

    fn groups(&self, items: &mut Vec<Orphan>) {
        for (name, view) in &self.observed.strays {
            if self.requests.pools.contains_key(name) {
                continue;
            }
            items.push(Orphan {
                kind: OrphanKind::VolumeGroup,
                name: Some(name.clone()),
                id: None,
                pool: Some(name.clone()),
                place: view.vg.name.clone(),
                capacity_bytes: view.vg.size,
                is_open: false,
                message: "nothing is recorded of this pool; adopt it to serve its volumes"
                    .to_owned(),
            });
        }
    }

    fn pools(&self, items: &mut Vec<Orphan>) {
        for (name, pool) in &self.records.pools {
            if self.requests.pools.contains_key(name) {
                continue;
            }
            items.push(Orphan {
                kind: OrphanKind::Pool,
                name: Some(name.clone()),
                id: None,
                pool: Some(name.clone()),
                place: pool.volume_group.to_string(),
                capacity_bytes: match self.observed.pools.get(name) {
                    Some(PoolView::Present(view)) => view.vg.size,
                    _ => Bytes(0),
                },
                is_open: false,
                message: "it is served as recorded; adopt it to have a request for it".to_owned(),
            });
        }
    }

    fn lvs(&self, items: &mut Vec<Orphan>) {
        for Marked { pool, view, lv, id } in self.marked_lvs() {
            if self.is_recorded(id) {
                continue;
            }
            let message = if self.is_asked_for(id) {
                "a request for it is there and waits; see its status".to_owned()
            } else {
                match volume_from_tags(pool, lv, self.target()) {
                    Ok(_) if self.observed.strays.contains_key(pool) => {
                        format!("it is kept; adopt pool {pool} first")
                    }
                    Ok(_) => "it is kept; adopt it, or order its data destroyed with rm".to_owned(),
                    Err(why) => format!("it is kept; {why}"),
                }
            };
            items.push(Orphan {
                kind: OrphanKind::LogicalVolume,
                name: name_in(&lv.tags),
                id: Some(id),
                pool: Some(pool.clone()),
                place: format!("{}/{}", view.vg.name, lv.name),
                capacity_bytes: lv.size,
                is_open: lv.is_open,
                message,
            });
        }
    }

    fn volumes(&self, items: &mut Vec<Orphan>) {
        for volume in self.records.held() {
            if self.is_asked_for(volume.id) {
                continue;
            }
            let lv = self.lv_of(volume.id);
            let message = match (volume.state, lv) {
                (VolumeState::Deleting, _) => "its deletion was ordered and waits",
                (_, None) => "its LV is gone; rm forgets it",
                (_, Some(_)) => {
                    "it is served as recorded; adopt it, or order its data destroyed with rm"
                }
            };
            let group = self.records.pools.get(&volume.pool);
            let group = group.map_or("?", |pool| pool.volume_group.as_str());
            items.push(Orphan {
                kind: OrphanKind::Volume,
                name: Some(volume.name.clone()),
                id: Some(volume.id),
                pool: Some(volume.pool.clone()),
                place: format!("{group}/{}", volume.id.lv_name()),
                capacity_bytes: volume.capacity_bytes,
                is_open: lv.is_some_and(|lv| lv.is_open),
                message: message.to_owned(),
            });
        }
    }

    fn exports(&self, items: &mut Vec<Orphan>) {
        for nqn in self
            .target()
            .iter()
            .flat_map(|target| target.subsystems.keys())
        {
            let Some(id) = VolumeId::from_nqn(nqn.as_str()) else {
                continue;
            };
            if self.is_recorded(id) || self.lv_of(id).is_some() {
                continue;
            }
            items.push(Orphan {
                kind: OrphanKind::Export,
                name: None,
                id: Some(id),
                pool: None,
                place: nqn.to_string(),
                capacity_bytes: Bytes(0),
                is_open: false,
                message: "no LV of this volume is there; remove the subsystem from configfs"
                    .to_owned(),
            });
        }
    }

    /// The request that an order to adopt comes to, and what is to be said of it.
    ///
    /// # Errors
    /// Says why it can't be carried out.
    pub fn adopt(&self, order: &Adopt) -> Result<(Request, String), String> {
        if let Some(error) = &self.requests.unreadable {
            return Err(format!("requests can't be read: {error}"));
        }
        match order {
            Adopt::Pool { name } => self.adopt_pool(name),
            Adopt::Volume { id, name } => {
                if let TargetView::Unknown(error) = &self.observed.target {
                    return Err(format!("nobody knows to whom it is exported: {error}"));
                }
                let mut volume = of_volume(&self.orphan(*id)?);
                if let Some(name) = name {
                    if self.records.volumes.contains_key(id) && *name != volume.metadata.name {
                        let had = &volume.metadata.name;
                        return Err(format!("it is recorded as `{had}`, which can't be changed"));
                    }
                    volume.metadata.name = name.clone();
                }
                self.check_name(&volume.metadata.name, *id)?;
                let message = format!("volume {} is asked for again", volume.metadata.name);
                Ok((Request::Volume(volume), message))
            }
            Adopt::Foreign {
                volume_group,
                logical_volume,
                name,
                id,
            } => {
                let pool = self.records.pools.values();
                let mut pool = pool.filter(|pool| pool.volume_group == *volume_group);
                let pool = pool.next().ok_or_else(|| {
                    format!(
                        "volume group `{volume_group}` is no pool's; ask for a pool on it first"
                    )
                })?;
                let Some(PoolView::Present(view)) = self.observed.pools.get(&pool.name) else {
                    return Err(format!("pool `{}` can't be looked at now", pool.name));
                };
                let lv = view.lvs.get(logical_volume);
                let lv =
                    lv.ok_or_else(|| format!("there is no LV `{volume_group}/{logical_volume}`"))?;
                let id = id.unwrap_or_else(|| VolumeId(Uuid::new_v4()));
                if self.is_recorded(id) || self.is_asked_for(id) || self.lv_of(id).is_some() {
                    return Err(format!("{id} is another volume's id"));
                }
                self.check_name(name, id)?;
                let spec = VolumeSpec {
                    id,
                    capacity_bytes: lv.size,
                    pool_name: pool.name.clone(),
                    provisioning: if lv.kind == LvKind::Thin {
                        Provisioning::Thin
                    } else {
                        Provisioning::Thick
                    },
                    access: Access::SingleHost,
                    source: Some(Source {
                        logical_volume: logical_volume.clone(),
                    }),
                    attachments: Vec::new(),
                };
                let message = format!(
                    "{volume_group}/{logical_volume} is to become volume {name} ({id}), with its data \
                     as it is"
                );
                Ok((
                    Request::Volume(Object::new("Volume", name.clone(), spec)),
                    message,
                ))
            }
        }
    }

    fn adopt_pool(&self, name: &ObjectName) -> Result<(Request, String), String> {
        if self.requests.pools.contains_key(name) {
            return Err(format!("pool `{name}` is asked for"));
        }
        if let Some(invalid) = self.requests.invalid_for("StoragePool", name) {
            return Err(format!("{} asks for it: {}", invalid.file, invalid.error));
        }
        let recorded = self.records.pools.get(name);
        let recorded = recorded.map(|pool| of_pool(self.node, pool));
        let stray = self.observed.strays.get(name);
        let pool = recorded.or_else(|| of_group(self.node, name, stray?));
        let pool = pool.ok_or_else(|| format!("there is no orphan pool `{name}`"))?;
        Ok((
            Request::Pool(pool),
            format!("pool {name} is asked for again"),
        ))
    }

    /// The record that an order to destroy an orphan comes to.
    ///
    /// # Errors
    /// Says why it can't be carried out.
    pub fn remove(&self, id: VolumeId) -> Result<VolumeRecord, String> {
        if let Some(error) = &self.requests.unreadable {
            return Err(format!(
                "requests can't be read, so nobody knows whether it is asked for: {error}"
            ));
        }
        let orphan = self.orphan(id)?;
        if let Some(lv) = self.lv_of(id).filter(|lv| lv.is_open) {
            let name = &lv.name;
            return Err(format!(
                "somebody has LV `{name}` open, or it is exported; end that first"
            ));
        }
        if let Some(invalid) = self.requests.invalid_for("Volume", &orphan.name) {
            return Err(format!("{} asks for it: {}", invalid.file, invalid.error));
        }
        // Under another name, too.
        if let Some(invalid) = self.requests.invalid.iter().find(|i| i.id == Some(id)) {
            return Err(format!("{} asks for it: {}", invalid.file, invalid.error));
        }
        // A file that can't be read at all may be this volume's request.
        if let Some(invalid) = self.requests.invalid.iter().find(|i| i.object.is_none()) {
            return Err(format!(
                "{} may ask for it: {}",
                invalid.file, invalid.error
            ));
        }
        let is_taken = |name: &ObjectName| {
            let mut recorded = self.records.volumes.values();
            recorded.any(|other| other.id != id && other.name == *name)
                || self.requests.volumes.contains_key(name)
        };
        Ok(VolumeRecord {
            name: if is_taken(&orphan.name) {
                name_of(id)
            } else {
                orphan.name.clone()
            },
            state: VolumeState::Deleting,
            attachments: Vec::new(),
            revoked: true,
            ..orphan
        })
    }

    /// The record of a volume that nobody asks for, as it is or as it would be.
    fn orphan(&self, id: VolumeId) -> Result<VolumeRecord, String> {
        if let Some(broken) = self.records.broken_volumes.get(&id) {
            return Err(format!("{}: {}", broken.path.display(), broken.reason));
        }
        let mut requests = self.requests.volumes.values();
        if let Some(request) = requests.find(|request| request.spec.id == id) {
            let name = &request.metadata.name;
            return Err(format!(
                "volume `{name}` is asked for, and no orphan; to delete it, set \
                 metadata.deletionTimestamp in its request"
            ));
        }
        if let Some(volume) = self.records.volumes.get(&id) {
            if volume.state == VolumeState::Rejected {
                let name = &volume.name;
                return Err(format!(
                    "volume `{name}` was rejected: nothing of it is here"
                ));
            }
            return Ok(volume.clone());
        }
        let mut lvs = self.marked_lvs().filter(|marked| marked.id == id);
        let Marked { pool, view, lv, .. } = lvs
            .next()
            .ok_or_else(|| format!("there is no orphan {id}"))?;
        if lvs.next().is_some() {
            return Err(format!(
                "several LVs carry the id {id}; rename and untag all but one"
            ));
        }
        if !self.records.pools.contains_key(pool) {
            return Err(format!("pool `{pool}` is not served; adopt it first"));
        }
        volume_from_tags(pool, lv, self.target())
            .map_err(|why| format!("LV `{}/{}`: {why}", view.vg.name, lv.name))
    }

    fn check_name(&self, name: &ObjectName, id: VolumeId) -> Result<(), String> {
        let mut recorded = self.records.volumes.values();
        let is_recorded = recorded.any(|other| other.id != id && other.name == *name);
        if is_recorded || self.requests.volumes.contains_key(name) {
            return Err(format!(
                "`{name}` is another volume's name; give it one with --name"
            ));
        }
        match self.requests.invalid_for("Volume", name) {
            Some(invalid) => Err(format!(
                "{} is about `{name}`: {}",
                invalid.file, invalid.error
            )),
            None => Ok(()),
        }
    }

    fn is_recorded(&self, id: VolumeId) -> bool {
        self.records.volumes.contains_key(&id) || self.records.broken_volumes.contains_key(&id)
    }

    fn is_asked_for(&self, id: VolumeId) -> bool {
        let mut requests = self.requests.volumes.values();
        requests.any(|request| request.spec.id == id)
    }

    fn target(&self) -> Option<&'a nvmet::Target> {
        match &self.observed.target {
            TargetView::Present(target) => Some(target),
            TargetView::Absent(_) | TargetView::Unknown(_) => None,
        }
    }

    fn lv_of(&self, id: VolumeId) -> Option<&'a Lv> {
        let mut lvs = self.marked_lvs().filter(|marked| marked.id == id);
        lvs.next().map(|marked| marked.lv)
    }

    /// Every LV that carries a volume's id.
    fn marked_lvs(&self) -> impl Iterator<Item = Marked<'a>> + use<'a> {
        let recorded = self
            .observed
            .pools
            .iter()
            .filter_map(|(name, view)| match view {
                PoolView::Present(view) => Some((name, view)),
                PoolView::Unknown(_) | PoolView::Missing => None,
            });
        let views = recorded.chain(&self.observed.strays);
        views.flat_map(|(pool, view)| {
            view.lvs.values().filter_map(move |lv| {
                let id = id_in(&lv.tags)?;
                Some(Marked { pool, view, lv, id })
            })
        })
    }
}

/// An LV that carries a volume's id.
#[derive(Clone, Copy)]
struct Marked<'a> {
    pool: &'a ObjectName,
    view: &'a GroupView,
    lv: &'a Lv,
    id: VolumeId,
}
