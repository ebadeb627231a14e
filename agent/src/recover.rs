//! `weir-agent recover`: makes record and request files again from LVM's tags alone.
//!
//! What is there is never replaced: a recorded pool or volume stays as it is recorded, one that is asked
//! for as it is asked for. Volumes come back unattached, unless an export that is there says who uses
//! them. No generation up to the one on the LV's tag is granted again; the tag is on the disk before a
//! grant is made.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use nvmet::Target;
use serde::Serialize;
use thiserror::Error;
use weir_api::names::{Generation, NodeName, ObjectName};
use weir_api::parse::print;
use weir_api::pool::StoragePool;
use weir_api::volume::Volume;

use crate::cmd::{CmdError, Runner};
use crate::disk::{DiskError, Disks};
use crate::durable::{self, Fs};
use crate::lvm::{Group, Lvm, generation_in, id_in, node_in, pool_in};
use crate::objects;
use crate::observed::{GroupView, TargetView};
use crate::record::{PoolRecord, RecordError, Records, Store, VolumeRecord};
use crate::requests::Requests;
use crate::table::table;

/// What can be made again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovery {
    /// Records of pools.
    pub pools: Vec<PoolRecord>,
    /// Records of volumes.
    pub volumes: Vec<VolumeRecord>,
    /// Requests for pools.
    pub pool_requests: Vec<StoragePool>,
    /// Requests for volumes.
    pub volume_requests: Vec<Volume>,
    /// What was left alone.
    pub left: Vec<Left>,
}

/// Something that can't be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// A volume group, or an LV after a `/`.
    pub place: String,
    /// Why, and what to do.
    pub why: String,
}

/// Nothing, or not all, was made again.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// Nobody knows which devices may be looked at.
    #[error("failed to list the node's disks")]
    Disks(#[source] DiskError),
    /// LVM could not be asked.
    #[error("failed to look for volume groups")]
    Lvm(#[source] CmdError),
    /// The record can't be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nobody knows what is asked for.
    #[error("requests can't be read: {0}")]
    Requests(String),
    /// Nobody knows what is exported to whom.
    #[error("the NVMe target can't be read: {0}")]
    Target(String),
    /// An object can't be written as YAML.
    #[error("a request can't be written: {0}")]
    Yaml(String),
    /// A request file could not be written; running it again goes on.
    #[error("failed to write request `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        #[source]
        #[expect(missing_docs, reason = "the source says it")]
        source: io::Error,
    },
}

/// What is given besides what is there.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// This node.
    pub node: &'a NodeName,
    /// No generation up to this one is granted again, for LVs whose tags don't say how far it went.
    pub floor: Option<Generation>,
}

/// Works out what can be made again from `groups`, by the pool that each is marked as.
#[must_use]
pub fn plan(
    wish: &Wish<'_>,
    groups: &BTreeMap<ObjectName, Result<GroupView, String>>,
    records: &Records,
    requests: &Requests,
    target: Option<&Target>,
) -> Recovery {
    let mut recovery = Recovery::default();
    for (name, group) in groups {
        let pool = match group {
            Ok(view) => pool(wish, name, view, records).map(|pool| (pool, view)),
            Err(why) => Err(why.clone()),
        };
        let (pool, view) = match pool {
            Ok(pool) => pool,
            Err(why) => {
                let place = group.as_ref().map_or(name.as_str(), |view| &view.vg.name);
                recovery.leave(place.to_owned(), why);
                continue;
            }
        };
        if !requests.pools.contains_key(name) {
            let recorded = records.pools.get(name);
            let object = match recorded {
                Some(recorded) => Some(objects::of_pool(wish.node, recorded)),
                None => objects::of_group(wish.node, name, view),
            };
            recovery.pool_requests.extend(object);
        }
        if !records.pools.contains_key(name) {
            recovery.pools.push(pool);
        }
        recovery.volumes_of(wish, name, view, records, target);
    }
    let recorded = records.held().chain(&recovery.volumes);
    let asked = |volume: &&VolumeRecord| {
        let mut asked = requests.volumes.values();
        asked.any(|request| request.spec.id == volume.id)
    };
    // A deletion that was ordered needs no request to go on.
    let orphans = recorded
        .filter(|volume| !asked(volume) && volume.state != crate::record::VolumeState::Deleting);
    recovery.volume_requests = orphans.map(objects::of_volume).collect();
    recovery
}

fn pool(
    wish: &Wish<'_>,
    name: &ObjectName,
    view: &GroupView,
    records: &Records,
) -> Result<PoolRecord, String> {
    if let Some(broken) = records.broken_pools.get(name) {
        let path = broken.path.display();
        return Err(format!(
            "{path}: {}; move it away to do without it",
            broken.reason
        ));
    }
    if let Some(recorded) = records.pools.get(name) {
        return Ok(recorded.clone());
    }
    if view.missing > 0 {
        return Err(format!(
            "{} of its disks are missing; put them back",
            view.missing
        ));
    }
    match node_in(&view.vg.tags) {
        Some(node) if node != wish.node.as_str() => {
            return Err(format!(
                "it is node `{node}`'s; give --node {node} if this is that node"
            ));
        }
        _ => {}
    }
    let no_name = || "its name can't be a pool's".to_owned();
    objects::pool_from_tags(name, view).ok_or_else(no_name)
}

impl Recovery {
    fn leave(&mut self, place: String, why: String) {
        self.left.push(Left { place, why });
    }

    fn volumes_of(
        &mut self,
        wish: &Wish<'_>,
        pool: &ObjectName,
        view: &GroupView,
        records: &Records,
        target: Option<&Target>,
    ) {
        for lv in view.lvs.values() {
            let Some(id) = id_in(&lv.tags) else { continue };
            if records.volumes.contains_key(&id) {
                continue;
            }
            let place = format!("{}/{}", view.vg.name, lv.name);
            if let Some(broken) = records.broken_volumes.get(&id) {
                let path = broken.path.display();
                let why = format!("{path}: {}; move it away to do without it", broken.reason);
                self.leave(place, why);
                continue;
            }
            let known = generation_in(&lv.tags).or(wish.floor);
            let Some(known) = known else {
                let why = "its tags don't say up to which generation it was granted; give --floor with \
                           one that is high enough";
                self.leave(place, why.to_owned());
                continue;
            };
            let mut volume = match objects::volume_from_tags(pool, lv, target) {
                Ok(volume) => volume,
                Err(why) => {
                    self.leave(place, why);
                    continue;
                }
            };
            let known = Some(known).filter(|known| known.0 > 0);
            volume.highest_generation = volume.highest_generation.max(known);
            if self.volumes.iter().any(|other| other.id == id) {
                self.leave(
                    place,
                    "another LV carries the same id; rename and untag one".to_owned(),
                );
                continue;
            }
            let mut others = records.volumes.values().chain(&self.volumes);
            if others.any(|other| other.name == volume.name) {
                volume.name = objects::name_of(id);
            }
            self.volumes.push(volume);
        }
    }

    /// What was, or is to be, made again, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |what: &str, name: &ObjectName, said: String| {
            rows.push([what.to_owned(), name.to_string(), said]);
        };
        for pool in &self.pools {
            row(
                "record",
                &pool.name,
                format!("pool on volume group {}", pool.volume_group),
            );
        }
        for volume in &self.volumes {
            let granted = volume.highest_generation;
            let granted = granted.map_or("never granted".to_owned(), |generation| {
                format!("granted up to generation {generation}")
            });
            row(
                "record",
                &volume.name,
                format!("volume {}, {granted}", volume.id),
            );
        }
        for pool in &self.pool_requests {
            row("request", &pool.metadata.name, "pool".to_owned());
        }
        for volume in &self.volume_requests {
            row(
                "request",
                &volume.metadata.name,
                format!("volume {}", volume.spec.id),
            );
        }
        let mut text = String::new();
        table(&mut text, ["MADE", "NAME", "WHAT"], &rows);
        for Left { place, why } in &self.left {
            let _ = writeln!(text, "left alone: {place}: {why}");
        }
        if text.is_empty() {
            text.push_str("nothing is missing\n");
        }
        text
    }

    /// The same, for programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "records": {"pools": self.pools, "volumes": self.volumes},
            "requests": {"pools": self.pool_requests, "volumes": self.volume_requests},
            "left": self.left,
        })
    }
}

/// Where record and requests are.
pub struct Places<'a> {
    /// The record.
    pub store: &'a Store,
    /// What holds the requests.
    pub fs: &'a dyn Fs,
    /// Their directory.
    pub requests: &'a Path,
}

/// Looks at the node and works out what can be made again.
///
/// # Errors
/// Something that must be known is not.
pub fn look(
    wish: &Wish<'_>,
    runner: &dyn Runner,
    disks: &dyn Disks,
    target: &TargetView,
    places: &Places<'_>,
) -> Result<Recovery, RecoverError> {
    let requests = Requests::read(places.fs, places.requests, &|_| true);
    if let Some(error) = requests.unreadable {
        return Err(RecoverError::Requests(error));
    }
    if let Some(invalid) = requests.invalid.first() {
        let error = format!("{}: {}", invalid.file, invalid.error);
        return Err(RecoverError::Requests(error));
    }
    let target = match target {
        TargetView::Present(target) => Some(target),
        TargetView::Absent(_) => None,
        TargetView::Unknown(error) => return Err(RecoverError::Target(error.clone())),
    };
    let records = places.store.load()?;
    let devices = disks.scannable().map_err(RecoverError::Disks)?;
    let groups = groups(&Lvm(runner), &devices).map_err(RecoverError::Lvm)?;
    Ok(plan(wish, &groups, &records, &requests, target))
}

/// Writes what was worked out: records first, then requests.
///
/// # Errors
/// Some of it was not written; looking and writing again goes on.
pub fn write(recovery: &Recovery, places: &Places<'_>) -> Result<(), RecoverError> {
    for pool in &recovery.pools {
        places.store.write_pool(pool)?;
    }
    for volume in &recovery.volumes {
        places.store.write_volume(volume)?;
    }
    let pools = recovery.pool_requests.iter();
    let pools = pools.map(|pool| (print(pool), format!("storagepool-{}", pool.metadata.name)));
    let volumes = recovery.volume_requests.iter();
    let volumes = volumes.map(|volume| (print(volume), format!("volume-{}", volume.metadata.name)));
    for (text, stem) in pools.chain(volumes) {
        let text = text.map_err(RecoverError::Yaml)?;
        let path = places.requests.join(format!("{stem}.yaml"));
        let write = durable::replace(places.fs, &path, text.as_bytes());
        write.map_err(|source| RecoverError::Write { path, source })?;
    }
    Ok(())
}

/// Every volume group on these devices with a pool's mark.
fn groups(
    lvm: &Lvm<'_>,
    devices: &[String],
) -> Result<BTreeMap<ObjectName, Result<GroupView, String>>, CmdError> {
    let pvs = lvm.scan(devices)?;
    let mut groups: BTreeMap<ObjectName, Result<GroupView, String>> = BTreeMap::new();
    let mut seen = Vec::new();
    for vg in pvs.iter().filter_map(|pv| pv.vg.as_ref()) {
        let Some(pool) = pool_in(&vg.tags).and_then(|pool| pool.parse::<ObjectName>().ok()) else {
            continue;
        };
        if seen.contains(&&vg.uuid) {
            continue;
        }
        seen.push(&vg.uuid);
        if let Some(other) = groups.get_mut(&pool) {
            *other = Err(format!(
                "several volume groups are marked as pool `{pool}`'s"
            ));
            continue;
        }
        let view = GroupView::find(&pvs, |other| other.uuid == vg.uuid);
        let view = match (view, vg.name.parse()) {
            (Ok(Some(mut view)), Ok(name)) => {
                let devices = view.devices.clone();
                let lvs = lvm.lvs(&Group { name, devices }, &vg.uuid)?;
                view.lvs = lvs.into_iter().map(|lv| (lv.name.clone(), lv)).collect();
                Ok(view)
            }
            (Err(why), _) => Err(why),
            (_, Err(error)) => Err(error.to_string()),
            (Ok(None), _) => continue,
        };
        groups.insert(pool, view);
    }
    Ok(groups)
}
