//! The leader's part about tombstones.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use kube::runtime::watcher::Event;
use weir_api::condition::reason;
use weir_api::crd::{Tombstone, TombstoneSpec, Volume};
use weir_api::names::{ObjectName, VolumeId};

use super::super::decide::{self, Grave, Tidy};
use super::super::event::{Note, Weight};
use super::super::write::Write;
use super::cache::Cache;
use super::{Key, Leader};

/// All tombstones, by what they are looked for.
#[derive(Debug)]
pub(super) struct Tombstones {
    cache: Cache<Tombstone>,
    by_id: HashMap<VolumeId, BTreeSet<String>>,
    /// What each one said: those that are gone can't be asked any more.
    said: HashMap<String, TombstoneSpec>,
    /// Those that this leader deletes, with their uids: they order nothing that could be relied on.
    going: HashMap<String, Option<String>>,
    /// Volumes that wait until there is none of their id.
    waiting: HashSet<String>,
}

impl Tombstones {
    pub(super) fn new() -> Self {
        Tombstones {
            cache: Cache::new(),
            by_id: HashMap::new(),
            said: HashMap::new(),
            going: HashMap::new(),
            waiting: HashSet::new(),
        }
    }

    /// Whether a whole list was read.
    pub(super) fn is_complete(&self) -> bool {
        self.cache.is_complete()
    }

    /// What those of a volume's id come to.
    fn graves(&self, id: VolumeId) -> Vec<Grave> {
        let names = self.by_id.get(&id).into_iter().flatten();
        let objects = names.filter_map(|name| self.cache.get(name));
        let grave = |tombstone: &Arc<Tombstone>| {
            let metadata = &tombstone.metadata;
            let name = metadata.name.as_deref().unwrap_or_default();
            let is_going = metadata.deletion_timestamp.is_some()
                || self.going.get(name) == Some(&metadata.uid);
            Grave {
                pool: tombstone.spec.pool_name.clone(),
                stands: !is_going && !decide::is_done(tombstone),
            }
        };
        objects.map(grave).collect()
    }

    /// Takes an event in; returns the names of tombstones and those of volumes that are to be looked at.
    fn see(&mut self, event: Event<Tombstone>) -> (Vec<String>, Vec<String>) {
        let names = self.cache.see(event);
        let mut volumes = Vec::new();
        for name in &names {
            if let Some(old) = self.said.remove(name) {
                volumes.push(old.volume_name.to_string());
                if let Some(others) = self.by_id.get_mut(&old.id) {
                    others.remove(name);
                    if others.is_empty() {
                        self.by_id.remove(&old.id);
                    }
                }
            }
            let now = self.cache.get(name);
            let uid = now.map(|tombstone| &tombstone.metadata.uid);
            if uid != self.going.get(name) {
                self.going.remove(name);
            }
            match now {
                Some(tombstone) => {
                    let spec = tombstone.spec.clone();
                    self.by_id.entry(spec.id).or_default().insert(name.clone());
                    volumes.push(spec.volume_name.to_string());
                    self.said.insert(name.clone(), spec);
                }
                None => volumes.extend(self.waiting.drain()),
            }
        }
        (names, volumes)
    }

    /// It was not deleted, as far as this leader knows.
    fn stays(&mut self, name: &str) {
        self.going.remove(name);
    }
}

impl Leader {
    pub(super) fn see_tombstone(&mut self, event: Event<Tombstone>) {
        let (names, volumes) = self.tombstones.see(event);
        for name in volumes {
            self.queue.push(Key::Volume(name));
        }
        for name in names {
            self.queue.push(Key::Tombstone(name));
        }
    }

    /// The tombstones of a volume's id; one that is not in a pool is looked at again when the last of them is gone.
    pub(super) fn graves(&mut self, name: &str, volume: &Volume) -> Vec<Grave> {
        let graves = self.tombstones.graves(volume.spec.id);
        if !graves.is_empty() && volume.spec.pool_name.is_none() {
            self.tombstones.waiting.insert(name.to_owned());
        }
        graves
    }

    /// What a tombstone is about was applied again, or its claim on it changed.
    pub(super) fn look_at_tombstones_of(&mut self, volume: &Volume) {
        let names = self.tombstones.by_id.get(&volume.spec.id);
        for name in names.into_iter().flatten() {
            self.queue.push(Key::Tombstone(name.clone()));
        }
    }

    /// Writes the order down.
    pub(super) fn bury(&mut self, key: Key, volume: &Volume, pool: ObjectName) {
        let id = volume.spec.id;
        // The API has no object whose name is none.
        let Ok(volume_name) = key.name().parse::<ObjectName>() else {
            return;
        };
        let name = id.tombstone(&pool);
        let note = Note {
            weight: Weight::Warning,
            reason: reason::TOMBSTONE.to_owned(),
            action: "Bury",
            text: format!(
                "the agent of pool `{pool}` is not heard: tombstone {name} has its data destroyed when it is back. If \
                 its disks are gone for good, delete the tombstone"
            ),
        };
        let spec = TombstoneSpec {
            id,
            volume_name,
            pool_name: pool,
        };
        let write = Write::create(key, Tombstone::new(&name, spec));
        self.write(write, false, Some(note));
    }

    pub(super) fn look_at_tombstone(&mut self, name: String) {
        let Some(tombstone) = self.tombstones.cache.get(&name).cloned() else {
            return;
        };
        let pool = &tombstone.spec.pool_name;
        let volumes = self.ledger.volumes_in(pool);
        let volumes = volumes
            .filter(|(_, volume)| volume.spec.id == tombstone.spec.id)
            .map(|(_, volume)| &**volume);
        let tidy = decide::tombstone(&tombstone, volumes);
        let claimed_by = match tidy {
            Tidy::Wait => return,
            Tidy::Delete => None,
            Tidy::TakeBack(volume) => Some(volume),
        };
        let note = claimed_by.as_ref().map(|volume| Note {
            weight: Weight::Warning,
            reason: reason::LIVE_VOLUME.to_owned(),
            action: "TakeBack",
            text: format!(
                "volume `{volume}` asks for what is to be destroyed in pool `{pool}`: the order is taken back, and \
                 nothing is destroyed"
            ),
        });
        // From now on nobody lets an object go because of it.
        let uid = tombstone.metadata.uid.clone();
        self.tombstones.going.insert(name.clone(), uid);
        let write = Write::delete(Key::Tombstone(name), &tombstone, claimed_by);
        self.write(write, false, note);
    }

    pub(super) fn tombstone_stays(&mut self, name: &str) {
        self.tombstones.stays(name);
        // A volume may wait for its end, to have a new one.
        if let Some(spec) = self.tombstones.said.get(name) {
            let volume = spec.volume_name.to_string();
            self.queue.push(Key::Volume(volume));
        }
    }

    pub(super) fn tell_of_tombstone(&self, name: &str, note: &Note) {
        if let Some(tombstone) = self.tombstones.cache.get(name) {
            self.events.tell(&**tombstone, note);
        }
    }
}
