//! Observing: what is on the node, as the plan needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use weir_api::names::ObjectName;

use super::{Engine, Parts, on_disk};
use crate::chain;
use crate::disk::Disks;
use crate::dm::Dm;
use crate::dm::thin_pool::Fill;
use crate::lvm::report::Pv;
use crate::lvm::{Group, Lvm, pool_in};
use crate::observed::{DeviceView, GroupView, Observed, PoolView};
use crate::probe::DevT;
use crate::record::{PoolRecord, PoolState, Records};
use crate::requests::Requests;
use crate::signatures;

impl Engine {
    /// Looks at what requests and records are about; with `everywhere`, for strays too.
    pub(super) fn observe(
        &mut self,
        requests: &Requests,
        records: &Records,
        everywhere: bool,
    ) -> Observed {
        let is_recorded = |job: &crate::zero::ZeroJob| records.volumes.contains_key(&job.id);
        self.parts.zeroing.retain(&is_recorded);
        let parts = &self.parts;
        let lvm = Lvm(parts.runner.as_ref());
        let mut scan = Scan {
            lvm: &lvm,
            disks: parts.disks.as_ref(),
            result: None,
        };
        let mapped = parts.disks.mapped().map_err(|error| chain(&error));
        let mut pools = BTreeMap::new();
        for pool in records.pools.values().filter(|pool| pool.vg_uuid.is_some()) {
            let on_disk = on_disk::pool(parts.disks.as_ref(), pool, &mapped);
            let view = on_disk.map(PoolView::Present);
            let view = view.unwrap_or_else(|| pool_view(&lvm, &mut scan, pool));
            pools.insert(pool.name.clone(), view);
        }
        let mut devices = BTreeMap::new();
        if let Some(names) = devices_in_making(parts, requests, records) {
            for device in names {
                let view = device_view(parts, &device);
                devices.insert(device, view);
            }
            scan.get();
        }
        // An empty record may be a lost one.
        if everywhere || records.pools.is_empty() {
            scan.get();
        }
        let scan = scan.result.unwrap_or_else(|| Ok(Vec::new()));
        let numbers = numbers(parts, requests, records, &pools, &scan);
        let strays = strays(&lvm, &scan, records);
        let volatile = numbers.iter().filter_map(|(path, number)| {
            let volatile = parts.disks.has_volatile_cache(*number).ok()?;
            Some((path.clone(), volatile))
        });
        let volatile = volatile.collect();
        let mut observed = Observed {
            pools,
            strays,
            scan,
            devices,
            numbers,
            volatile,
            target: parts.exports.read(),
            mapped,
            users: BTreeMap::new(),
            thin: BTreeMap::new(),
            zeroing: parts.zeroing.jobs(),
        };
        observed.users = users(parts, requests, records, &observed);
        observed.thin = self.thin(&observed.pools);
        observed
    }

    /// How full thin pools are, asked once in a round: it takes a process.
    fn thin(&mut self, pools: &BTreeMap<ObjectName, PoolView>) -> BTreeMap<ObjectName, Fill> {
        let is_due = self.thin.note(pools);
        let mut seen = BTreeMap::new();
        if is_due {
            match Dm(self.parts.runner.as_ref()).thin_pools(self.thin.paths()) {
                Ok(fills) => seen = fills,
                Err(error) => tracing::warn!(
                    error = chain(&error),
                    "nobody knows how full thin pools are"
                ),
            }
        }
        self.thin.tell(seen, self.now)
    }
}

/// The devices to look at because a pool has to be found or made; `None` if there is no such pool.
fn devices_in_making(
    parts: &Parts,
    requests: &Requests,
    records: &Records,
) -> Option<BTreeSet<String>> {
    let mut names: Option<BTreeSet<String>> = None;
    let is_known = |name: &ObjectName| {
        records.pools.contains_key(name) || records.broken_pools.contains_key(name)
    };
    for pool in requests.pools.values() {
        let is_ours = pool.spec.node_name == parts.node.name;
        if is_ours && !pool.is_deleted() && !is_known(&pool.metadata.name) {
            let devices = pool.spec.engine.kernel.devices.iter().cloned();
            names.get_or_insert_default().extend(devices);
        }
    }
    for pool in records
        .pools
        .values()
        .filter(|pool| pool.state == PoolState::Making)
    {
        names
            .get_or_insert_default()
            .extend(pool.devices.iter().cloned());
    }
    names
}

/// Who has volumes open that are in use on this node against or beside what is recorded: every process is
/// looked at for it, so those in plain local use are left out.
fn users(
    parts: &Parts,
    requests: &Requests,
    records: &Records,
    observed: &Observed,
) -> BTreeMap<DevT, Vec<String>> {
    let mut users = BTreeMap::new();
    for volume in records.volumes.values() {
        let Some(PoolView::Present(view)) = observed.pools.get(&volume.pool) else {
            continue;
        };
        let request = requests.volumes.get(&volume.name);
        let is_as_recorded = request.is_none_or(|request| {
            !request.is_deleted() && request.spec.attachments == volume.attachments
        });
        let mut grants = volume.attachments.iter();
        let is_buried = requests.has_tombstone(volume.id, &volume.pool);
        if is_as_recorded && !is_buried && grants.all(|grant| grant.node_name == parts.node.name) {
            continue;
        }
        let lv = view.lvs.get(&volume.id.lv_name());
        if let Some((lv, number)) = lv.and_then(|lv| Some((lv, lv.number?)))
            && observed.strangers(number, &lv.dm_path) != Some(0)
        {
            users.insert(number, parts.disks.users(number));
        }
    }
    users
}

/// Numbers of all devices that are mentioned anywhere: one device has several paths.
fn numbers(
    parts: &Parts,
    requests: &Requests,
    records: &Records,
    pools: &BTreeMap<ObjectName, PoolView>,
    scan: &Result<Vec<Pv>, String>,
) -> BTreeMap<String, DevT> {
    let asked = requests
        .pools
        .values()
        .map(|pool| &pool.spec.engine.kernel.devices);
    let recorded = records.pools.values().map(|pool| &pool.devices);
    let seen = pools.values().filter_map(|view| match view {
        PoolView::Present(group) => Some(&group.devices),
        PoolView::Unknown(_) | PoolView::Missing => None,
    });
    let scanned = scan.iter().flatten().filter_map(|pv| pv.path.as_ref());
    let mentioned: BTreeSet<&String> = asked
        .chain(recorded)
        .chain(seen)
        .flatten()
        .chain(scanned)
        .collect();
    let number = |path: &String| {
        let number = parts.disks.number(Path::new(path)).ok()?;
        Some((path.clone(), number))
    };
    mentioned.into_iter().filter_map(number).collect()
}

/// The one scan of all devices that hold no volume's data, made when it is needed for the first time.
struct Scan<'a> {
    lvm: &'a Lvm<'a>,
    disks: &'a dyn Disks,
    result: Option<Result<Vec<Pv>, String>>,
}

impl Scan<'_> {
    fn get(&mut self) -> &Result<Vec<Pv>, String> {
        let (lvm, disks) = (self.lvm, self.disks);
        self.result.get_or_insert_with(|| {
            let devices = disks.scannable().map_err(|error| chain(&error))?;
            lvm.scan(&devices).map_err(|error| chain(&error))
        })
    }
}

fn pool_view(lvm: &Lvm, scan: &mut Scan, pool: &PoolRecord) -> PoolView {
    let uuid = pool.vg_uuid.as_deref().unwrap_or_default();
    let mut group = Group {
        name: pool.volume_group.clone(),
        devices: pool.devices.clone(),
    };
    let find = |pvs: &[Pv]| GroupView::find(pvs, |vg| vg.uuid == uuid);
    let named = lvm.group(&group).map_err(|error| chain(&error));
    let mut found = named.and_then(|pvs| find(&pvs));
    // Disks change their names from one boot to the next; a group is known by its UUID.
    if !matches!(&found, Ok(Some(view)) if view.missing == 0) {
        match scan.get() {
            Ok(pvs) => found = find(pvs),
            Err(error) if found.is_ok() => found = Err(error.clone()),
            Err(_) => {}
        }
    }
    let mut view = match found {
        Ok(Some(view)) => view,
        Ok(None) => return PoolView::Missing,
        Err(error) => return PoolView::Unknown(error),
    };
    group.devices.clone_from(&view.devices);
    match lvm.lvs(&group, uuid) {
        Ok(lvs) => {
            view.lvs = lvs.into_iter().map(|lv| (lv.name.clone(), lv)).collect();
            PoolView::Present(view)
        }
        Err(error) => PoolView::Unknown(chain(&error)),
    }
}

/// A group that can't be looked into is left out: nothing but a report depends on it.
fn strays(
    lvm: &Lvm,
    scan: &Result<Vec<Pv>, String>,
    records: &Records,
) -> BTreeMap<ObjectName, GroupView> {
    let mut strays = BTreeMap::new();
    let groups = scan.iter().flatten().filter_map(|pv| pv.vg.as_ref());
    for vg in groups {
        let pool = pool_in(&vg.tags).and_then(|pool| pool.parse::<ObjectName>().ok());
        let (Some(pool), Ok(name)) = (pool, vg.name.parse()) else {
            continue;
        };
        if records.pools.contains_key(&pool) || strays.contains_key(&pool) {
            continue;
        }
        let view = scan
            .as_ref()
            .ok()
            .map(|pvs| GroupView::find(pvs, |other| other.uuid == vg.uuid));
        let Some(Ok(Some(mut view))) = view else {
            continue;
        };
        let group = Group {
            name,
            devices: view.devices.clone(),
        };
        if let Ok(lvs) = lvm.lvs(&group, &view.vg.uuid) {
            view.lvs = lvs.into_iter().map(|lv| (lv.name.clone(), lv)).collect();
            strays.insert(pool, view);
        }
    }
    strays
}

fn device_view(parts: &Parts, device: &str) -> DeviceView {
    let refused = |error: String| DeviceView {
        refusal: Some(error),
        signatures: Vec::new(),
    };
    if let Err(error) = parts.disks.check_unused(Path::new(device)) {
        return refused(chain(&error));
    }
    match signatures::list(parts.runner.as_ref(), device) {
        Ok(signatures) => DeviceView {
            refusal: None,
            signatures,
        },
        Err(error) => refused(chain(&error)),
    }
}
