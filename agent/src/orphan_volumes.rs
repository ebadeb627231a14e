//! The volumes of a pool that no object asks for, as its status names them: enough of each to make its object again.
//!
//! Whoever places volumes goes by it: a volume whose object was lost and comes back without a pool belongs where its
//! data is. So a list that may lack one is none: nothing is said then, and what was said before stays.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::names::{ObjectName, VolumeId};
use weir_api::pool::{MOST_ORPHANS, OrphanVolume, PoolStatus};
use weir_api::volume::Provisioning;

use crate::lvm::report::{Lv, LvKind};
use crate::lvm::{access_in, id_in, name_in};
use crate::objects::{name_of, volume_from_tags};
use crate::observed::{GroupView, Observed, PoolView, TargetView};
use crate::record::{Records, VolumeRecord, VolumeState};
use crate::requests::Requests;

/// So many are named in a condition.
const MOST_NAMES: usize = 5;

/// Puts into each pool's status which volumes of it nobody asks for, as far as that is known.
pub fn tell(
    pools: &mut BTreeMap<ObjectName, PoolStatus>,
    requests: &Requests,
    records: &Records,
    observed: &Observed,
) {
    if requests.unreadable.is_some() {
        return;
    }
    let mut found = found(requests, records, observed);
    for (name, status) in pools {
        let is_recorded = records.pools.contains_key(name);
        if !is_recorded && observed.scan.is_err() || records.broken_pools.contains_key(name) {
            continue;
        }
        let volumes = found.remove(name).unwrap_or_default();
        status.orphans = Some(u32::try_from(volumes.len()).unwrap_or(u32::MAX));
        if let Some(said) = said(&volumes) {
            condition::add(&mut status.conditions, said);
        }
        status.orphan_volumes = volumes.into_values().take(MOST_ORPHANS).collect();
    }
}

type Found = BTreeMap<ObjectName, BTreeMap<VolumeId, OrphanVolume>>;

fn found(requests: &Requests, records: &Records, observed: &Observed) -> Found {
    let asked: BTreeSet<VolumeId> = requests.volumes.values().map(|one| one.spec.id).collect();
    let mut found = Found::new();
    let mut add = |pool: &ObjectName, volume: OrphanVolume| {
        let volumes = found.entry(pool.clone()).or_default();
        volumes.insert(volume.id, volume);
    };
    for volume in records.held() {
        // What was ordered to be destroyed is nobody's any more.
        let is_going = volume.state == VolumeState::Deleting;
        // An object that can't be served asks for it by its id; one that lacks a readable one may do so by its name. Another
        // volume of the same name doesn't.
        let invalid = requests.invalid_for("Volume", &volume.name);
        let may_ask = invalid.is_some_and(|invalid| invalid.id.is_none_or(|id| id == volume.id));
        let is_asked = asked.contains(&volume.id) || may_ask;
        if !is_going && !is_asked {
            add(&volume.pool, of_record(volume));
        }
    }
    let recorded = observed.pools.iter().filter_map(|(name, view)| match view {
        PoolView::Present(view) => Some((name, view)),
        PoolView::Unknown(_) | PoolView::Missing => None,
    });
    for (pool, view) in recorded.chain(&observed.strays) {
        for (id, lv) in marked(view) {
            if !records.volumes.contains_key(&id) && !asked.contains(&id) {
                add(pool, of_lv(pool, id, lv, observed));
            }
        }
    }
    found
}

fn marked(view: &GroupView) -> impl Iterator<Item = (VolumeId, &Lv)> {
    let lvs = view.lvs.values();
    lvs.filter_map(|lv| Some((id_in(&lv.tags)?, lv)))
}

fn of_record(volume: &VolumeRecord) -> OrphanVolume {
    OrphanVolume {
        id: volume.id,
        name: volume.name.clone(),
        capacity_bytes: volume.capacity_bytes,
        provisioning: volume.provisioning,
        access: volume.access,
        attachments: volume.attachments.clone(),
    }
}

/// As it would be recorded; where its tags don't tell enough for that, what they tell.
fn of_lv(pool: &ObjectName, id: VolumeId, lv: &Lv, observed: &Observed) -> OrphanVolume {
    let target = match &observed.target {
        TargetView::Present(target) => Some(target),
        TargetView::Absent(_) | TargetView::Unknown(_) => None,
    };
    if let Ok(volume) = volume_from_tags(pool, lv, target) {
        return of_record(&volume);
    }
    OrphanVolume {
        id,
        name: name_in(&lv.tags).unwrap_or_else(|| name_of(id)),
        capacity_bytes: lv.size,
        provisioning: match lv.kind {
            LvKind::Thin => Provisioning::Thin,
            LvKind::Linear | LvKind::ThinPool | LvKind::Other => Provisioning::Thick,
        },
        access: access_in(&lv.tags),
        attachments: Vec::new(),
    }
}

fn said(volumes: &BTreeMap<VolumeId, OrphanVolume>) -> Option<Condition> {
    let names: Vec<&str> = volumes
        .values()
        .take(MOST_NAMES)
        .map(|volume| volume.name.as_str())
        .collect();
    if names.is_empty() {
        return None;
    }
    let more = if volumes.len() > names.len() {
        ", …"
    } else {
        ""
    };
    let cut = if volumes.len() > MOST_ORPHANS {
        format!("; status.orphanVolumes names the first {MOST_ORPHANS}")
    } else {
        String::new()
    };
    let message = format!(
        "{} volumes are kept that no Volume asks for: {}{more}{cut}; `weir orphans ls` lists them",
        volumes.len(),
        names.join(", ")
    );
    Some(Condition::new(
        condition::ORPHANS,
        Truth::True,
        reason::NO_REQUEST,
        message,
    ))
}
