//! Which volume is where without an object that says so, and which objects have which id.

use std::collections::{BTreeSet, HashMap};

use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{ObjectName, VolumeId};
use weir_api::volume::Phase;

/// So many volumes whose objects vanished are remembered.
const MOST_VANISHED: usize = 1 << 16;

/// What is where without an object.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    /// The pools whose agents list a volume.
    listed: HashMap<VolumeId, BTreeSet<ObjectName>>,
    /// The same by pool.
    of_pool: HashMap<ObjectName, Vec<VolumeId>>,
    /// The pools that may hold more than is listed.
    untold: BTreeSet<ObjectName>,
    /// Where volumes were when their objects, or those of their pools, vanished in this leader's time. Their agents
    /// will list them, and a new object may be quicker.
    vanished: HashMap<VolumeId, ObjectName>,
    /// The objects that have an id: one, but for mistakes.
    objects: HashMap<VolumeId, Vec<String>>,
}

impl Whereabouts {
    /// A pool's object as it is now.
    pub(super) fn see_pool(&mut self, name: &ObjectName, pool: &StoragePool) {
        self.unlist(name);
        let status = pool.status.as_ref();
        let volumes = status.map_or(&[][..], |status| &status.orphan_volumes);
        let count = status.and_then(|status| status.orphans);
        let is_whole =
            count.is_some_and(|count| usize::try_from(count).is_ok_and(|n| n <= volumes.len()));
        if is_whole {
            self.untold.remove(name);
        } else {
            self.untold.insert(name.clone());
        }
        for volume in volumes {
            let pools = self.listed.entry(volume.id).or_default();
            pools.insert(name.clone());
        }
        if !volumes.is_empty() {
            let ids = volumes.iter().map(|volume| volume.id).collect();
            self.of_pool.insert(name.clone(), ids);
        }
    }

    /// A pool's object is gone; what it held is there still.
    pub(super) fn forget_pool(&mut self, name: &ObjectName) {
        for id in self.unlist(name) {
            self.vanish(id, name.clone());
        }
        self.untold.remove(name);
    }

    /// A volume's object as it is now.
    pub(super) fn see_volume(&mut self, name: &str, volume: &Volume) {
        let names = self.objects.entry(volume.spec.id).or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        if volume.spec.pool_name.is_some() {
            self.vanished.remove(&volume.spec.id);
        }
    }

    /// A volume's object is gone, or is another one now.
    pub(super) fn forget_volume(&mut self, name: &str, volume: &Volume) {
        let id = volume.spec.id;
        if let Some(names) = self.objects.get_mut(&id) {
            names.retain(|known| known != name);
            if names.is_empty() {
                self.objects.remove(&id);
            }
        }
        let phase = volume.status.as_ref().map(|status| status.phase);
        let was_ordered =
            volume.metadata.deletion_timestamp.is_some() || phase == Some(Phase::Deleted);
        if let Some(pool) = volume.spec.pool_name.clone().filter(|_| !was_ordered) {
            self.vanish(id, pool);
        }
    }

    /// The pools that have a volume, as far as that is known.
    pub(super) fn pools_of(&self, id: VolumeId) -> Vec<ObjectName> {
        match self.listed.get(&id) {
            Some(pools) => pools.iter().cloned().collect(),
            None => self.vanished.get(&id).cloned().into_iter().collect(),
        }
    }

    /// The pools that may hold more than they told.
    pub(super) fn untold(&self) -> &BTreeSet<ObjectName> {
        &self.untold
    }

    /// The objects that have an id.
    pub(super) fn objects(&self, id: VolumeId) -> &[String] {
        self.objects.get(&id).map_or(&[], Vec::as_slice)
    }

    fn vanish(&mut self, id: VolumeId, pool: ObjectName) {
        if self.vanished.len() < MOST_VANISHED {
            self.vanished.insert(id, pool);
        }
    }

    fn unlist(&mut self, name: &ObjectName) -> Vec<VolumeId> {
        let ids = self.of_pool.remove(name).unwrap_or_default();
        for id in &ids {
            if let Some(pools) = self.listed.get_mut(id) {
                pools.remove(name);
                if pools.is_empty() {
                    self.listed.remove(id);
                }
            }
        }
        ids
    }
}
