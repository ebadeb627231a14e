//! Objects for what nobody asks for, made from records or from what LVM's tags tell.

use std::collections::BTreeMap;

use nvmet::Target;
use weir_api::names::{NodeName, ObjectName, VolumeId, parse_host_nqn};
use weir_api::object::Object;
use weir_api::pool::{KernelPool, PoolEngine, PoolSpec, StoragePool, ThinPool};
use weir_api::volume::{Access, Attachment, Provisioning, Volume, VolumeSpec};

use crate::lvm::report::{Lv, LvKind};
use crate::lvm::{
    THIN_POOL, THIN_TAG, UNZEROED_TAG, access_in, generation_in, id_in, name_in, portals_in,
};
use crate::observed::GroupView;
use crate::record::{PoolRecord, PoolState, VERSION, VolumeRecord, VolumeState};

/// The object of a recorded pool.
#[must_use]
pub fn of_pool(node: &NodeName, pool: &PoolRecord) -> StoragePool {
    let portals = pool.portals.iter().filter(|portal| !portal.retiring);
    let spec = PoolSpec {
        node_name: node.clone(),
        engine: PoolEngine {
            kernel: KernelPool {
                volume_group: pool.volume_group.clone(),
                devices: pool.devices.clone(),
                overwrite_signatures: false,
                thin_pool: pool
                    .thin_pool
                    .map(|capacity_bytes| ThinPool { capacity_bytes }),
                stripes: None,
            },
        },
        portals: portals.map(|portal| portal.portal.clone()).collect(),
        accept_volatile_write_cache: pool.accept_volatile_write_cache,
    };
    Object::new("StoragePool", pool.name.clone(), spec)
}

/// The object of a pool that only its volume group's tags tell of; `None` where the group has a name
/// that no pool's can have.
#[must_use]
pub fn of_group(node: &NodeName, name: &ObjectName, view: &GroupView) -> Option<StoragePool> {
    let pool = pool_from_tags(name, view)?;
    let mut object = of_pool(node, &pool);
    object.spec.portals = portals_in(&view.vg.tags);
    Some(object)
}

/// The object of a recorded volume.
#[must_use]
pub fn of_volume(volume: &VolumeRecord) -> Volume {
    let spec = VolumeSpec {
        id: volume.id,
        capacity_bytes: volume.capacity_bytes,
        pool_name: volume.pool.clone(),
        provisioning: volume.provisioning,
        source: None,
        access: volume.access,
        attachments: volume.attachments.clone(),
    };
    Object::new("Volume", volume.name.clone(), spec)
}

/// The record of a pool that only its volume group's tags tell of. Its ports are found by their
/// addresses once the pool is asked for.
#[must_use]
pub fn pool_from_tags(name: &ObjectName, view: &GroupView) -> Option<PoolRecord> {
    let thin = view.lvs.get(THIN_POOL);
    let thin = thin.filter(|lv| lv.kind == LvKind::ThinPool && lv.tags.contains(THIN_TAG));
    Some(PoolRecord {
        version: VERSION,
        name: name.clone(),
        state: PoolState::Ready,
        volume_group: view.vg.name.parse().ok()?,
        vg_uuid: Some(view.vg.uuid.clone()),
        devices: view.devices.clone(),
        overwrite_signatures: false,
        thin_pool: thin.map(|lv| lv.size),
        portals: Vec::new(),
        accept_volatile_write_cache: false,
        // What of it is exported still was granted in this boot: configfs begins empty.
        boot: None,
        cluster: None,
    })
}

/// The record of a volume that only its LV's tags, and the exports that are there, tell of.
///
/// # Errors
/// Says why they don't tell enough.
pub fn volume_from_tags(
    pool: &ObjectName,
    lv: &Lv,
    target: Option<&Target>,
) -> Result<VolumeRecord, String> {
    let id = id_in(&lv.tags).ok_or("it carries no volume's id")?;
    if lv.name != id.lv_name() {
        let wanted = id.lv_name();
        return Err(format!(
            "it carries the id of another LV, or has lost its name: rename it {wanted}"
        ));
    }
    let provisioning = match lv.kind {
        LvKind::Linear => Provisioning::Thick,
        LvKind::Thin => Provisioning::Thin,
        LvKind::ThinPool | LvKind::Other => {
            return Err("it is of a kind that Weir doesn't make".to_owned());
        }
    };
    let (access, attachments) = live_grants(id, lv, target)?;
    let exported = attachments.iter().map(|grant| grant.generation).max();
    let marked = generation_in(&lv.tags);
    Ok(VolumeRecord {
        version: VERSION,
        id,
        name: name_in(&lv.tags).unwrap_or_else(|| name_of(id)),
        pool: pool.clone(),
        capacity_bytes: lv.size,
        provisioning,
        state: if lv.tags.contains(UNZEROED_TAG) {
            VolumeState::Creating
        } else {
            VolumeState::Ready
        },
        highest_generation: marked.filter(|marked| marked.0 > 0).max(exported),
        access,
        attachments,
        unclean_stop: false,
        revoked: false,
        adopting: None,
        rejection: None,
    })
}

/// A name for a volume whose own is unknown, or is another's.
#[must_use]
pub fn name_of(id: VolumeId) -> ObjectName {
    // A UUID is a DNS label (api's own tests).
    id.to_string().parse().expect("a UUID is an object's name")
}

/// The grants that exports carry out; they are to go on.
fn live_grants(
    id: VolumeId,
    lv: &Lv,
    target: Option<&Target>,
) -> Result<(Access, Vec<Attachment>), String> {
    let subsystems = target.iter().flat_map(|target| &target.subsystems);
    let mut access = access_in(&lv.tags);
    let mut grants = BTreeMap::new();
    for (nqn, subsystem) in subsystems {
        if VolumeId::from_nqn(nqn.as_str()) != Some(id) {
            continue;
        }
        let mut hosts = subsystem.allowed_hosts.iter();
        let (host, None) = (hosts.next(), hosts.next()) else {
            return Err(format!(
                "{nqn} is exported to several hosts; end that export"
            ));
        };
        // Nobody was allowed yet.
        let Some(host) = host else { continue };
        let Some((node_name, generation)) = parse_host_nqn(host.as_str()) else {
            return Err(format!(
                "it is exported to {host}, which names no node; end that export"
            ));
        };
        let device = if nqn.as_str() == id.nqn() {
            lv.dm_path.clone()
        } else {
            access = Access::MultiHost;
            id.mapping(&node_name, generation).path()
        };
        let mut shown = subsystem.namespaces.values();
        if shown.any(|ns| ns.device_path.as_os_str() != device.as_str()) {
            return Err(format!(
                "{nqn} exports another device; remove that subsystem"
            ));
        }
        let grant = Attachment {
            node_name,
            generation,
            read_only: false,
        };
        grants.insert(nqn, grant);
    }
    let has_single = grants.keys().any(|nqn| nqn.as_str() == id.nqn());
    if access == Access::MultiHost && has_single {
        return Err("it is exported for one host and for several; end these exports".to_owned());
    }
    Ok((access, grants.into_values().collect()))
}
