//! What is known of an API: pure data, and what it comes to for the engine.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::names::{ObjectName, VolumeId};
use weir_api::parse::Request;

use super::known::{Asked, Kind, Known};
use crate::cluster::ClusterId;
use crate::requests::{Burial, Invalid, Requests};

/// What one watch is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// This node's StoragePools.
    Pools,
    /// The Volumes of a pool.
    Volumes(ObjectName),
    /// The Tombstones of a pool.
    Tombstones(ObjectName),
}

impl Place {
    /// The kind of its objects.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Place::Pools => Kind::Pool,
            Place::Volumes(_) => Kind::Volume,
            Place::Tombstones(_) => Kind::Tombstone,
        }
    }
}

/// What a change came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// Something else is asked for than before, or it became known that nothing is.
    pub(super) asks: bool,
    /// A status is not what it was.
    pub(super) status: bool,
}

/// Objects by name; `None` until they were listed completely.
type Shelf = Option<BTreeMap<String, Known>>;

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Cache {
    cluster: Option<ClusterId>,
    pools: Shelf,
    volumes: BTreeMap<ObjectName, Shelf>,
    /// Not all of them need be known: one that is not is no order yet. An API may not even have the kind.
    tombstones: BTreeMap<ObjectName, Shelf>,
    /// The pools that the node holds, once it was looked at: volumes of theirs may be asked for although the
    /// pool is not.
    kept: Option<BTreeSet<ObjectName>>,
}

impl Cache {
    /// The pools whose volumes are to be followed.
    pub(super) fn watched(&self) -> BTreeSet<ObjectName> {
        let listed = self.pools.iter().flat_map(BTreeMap::values);
        let listed = listed.filter_map(Known::object_name);
        listed.chain(self.kept.iter().flatten().cloned()).collect()
    }

    /// Takes a complete list. If it is another cluster's than what is known, all that is known was that other
    /// one's, and is unknown now.
    pub(super) fn listed(
        &mut self,
        place: &Place,
        cluster: ClusterId,
        objects: Vec<Known>,
    ) -> Effect {
        let is_other = self.cluster != Some(cluster);
        if is_other {
            *self = Cache {
                cluster: Some(cluster),
                kept: self.kept.take(),
                ..Cache::default()
            };
        }
        let unknown = self.unknown().is_some();
        let names = objects.into_iter().map(|known| (known.name.clone(), known));
        let new: BTreeMap<String, Known> = names.collect();
        let shelf = self.shelf(place);
        let is_same = shelf.as_ref().is_some_and(|old| asks(old) == asks(&new));
        *shelf = Some(new);
        self.forget_unwatched();
        Effect {
            asks: is_other || !is_same || unknown != self.unknown().is_some(),
            status: true,
        }
    }

    /// Takes an object's new state. `None`: its place is not listed, in that cluster.
    pub(super) fn changed(
        &mut self,
        place: &Place,
        cluster: ClusterId,
        new: Known,
    ) -> Option<Effect> {
        self.with(place, cluster, |shelf| match shelf.get_mut(&new.name) {
            Some(old) if new.is_older_than(old) => Effect::default(),
            Some(old) => {
                let effect = Effect {
                    asks: asks_of(old) != asks_of(&new),
                    status: old.status != new.status || old.uid != new.uid,
                };
                *old = new;
                effect
            }
            None => {
                shelf.insert(new.name.clone(), new);
                Effect {
                    asks: true,
                    status: true,
                }
            }
        })
    }

    /// Takes that an object is gone, or in this place no more.
    pub(super) fn gone(
        &mut self,
        place: &Place,
        cluster: ClusterId,
        old: &Known,
    ) -> Option<Effect> {
        self.with(place, cluster, |shelf| {
            let is_this = shelf
                .get(&old.name)
                .is_some_and(|known| known.uid == old.uid);
            if is_this {
                shelf.remove(&old.name);
            }
            Effect {
                asks: is_this,
                status: false,
            }
        })
    }

    /// Takes which pools the node holds.
    pub(super) fn keeps(&mut self, pools: BTreeSet<ObjectName>) -> Effect {
        let unknown = self.unknown().is_some();
        self.kept = Some(pools);
        self.forget_unwatched();
        Effect {
            asks: unknown != self.unknown().is_some(),
            status: false,
        }
    }

    /// The cluster whose pools are listed.
    pub(super) fn cluster_of_pools(&self) -> Option<ClusterId> {
        self.cluster.filter(|_| self.pools.is_some())
    }

    /// An object, wherever it is. Of a volume that is on its way from one pool to another, the newer state.
    pub(super) fn known(&self, kind: Kind, name: &str) -> Option<&Known> {
        let shelves: Vec<&Shelf> = match kind {
            Kind::Pool => vec![&self.pools],
            Kind::Volume => self.volumes.values().collect(),
            Kind::Tombstone => self.tombstones.values().collect(),
        };
        let found = shelves
            .into_iter()
            .flatten()
            .filter_map(|shelf| shelf.get(name));
        found.reduce(|one, other| if one.is_older_than(other) { other } else { one })
    }

    /// Every object of a kind.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Known> {
        let (pools, by_pool) = match kind {
            Kind::Pool => (Some(&self.pools), None),
            Kind::Volume => (None, Some(self.volumes.values())),
            Kind::Tombstone => (None, Some(self.tombstones.values())),
        };
        let shelves = pools.into_iter().chain(by_pool.into_iter().flatten());
        shelves.flatten().flat_map(BTreeMap::values)
    }

    /// Takes what the API answered to a write of ours, before a watch tells.
    pub(super) fn wrote(&mut self, kind: Kind, new: Known) {
        let shelves = match kind {
            Kind::Pool => vec![&mut self.pools],
            Kind::Volume => self.volumes.values_mut().collect(),
            Kind::Tombstone => self.tombstones.values_mut().collect(),
        };
        for shelf in shelves.into_iter().flatten() {
            if let Some(old) = shelf.get_mut(&new.name)
                && old.uid == new.uid
                && !new.is_older_than(old)
            {
                // What it asks for is left to the watch, which wakes the engine.
                old.version.clone_from(&new.version);
                old.status.clone_from(&new.status);
            }
        }
    }

    /// What is asked for, as far as it is known.
    pub(super) fn requests(&self) -> Requests {
        let mut requests = Requests {
            cluster: self.cluster,
            unreadable: self.unknown(),
            ..Requests::default()
        };
        for kind in [Kind::Pool, Kind::Volume] {
            for known in self.all(kind) {
                let is_newest = self.known(kind, &known.name) == Some(known);
                if is_newest {
                    ask(&mut requests, kind, known);
                }
            }
        }
        for known in self.all(Kind::Tombstone) {
            // What was carried out is an order no more: what is there now was made since.
            if known.status["phase"] == "Done" {
                continue;
            }
            if let (Ok(Asked::Burial(burial)), Some(name)) = (&known.asked, known.object_name()) {
                let claimed_by = self.claim(burial);
                let burial = Burial {
                    claimed_by,
                    ..burial.clone()
                };
                requests.tombstones.insert(name, burial);
            }
        }
        requests
    }

    /// A volume in a tombstone's pool that is not being deleted, and is that one for all that is known. It may be one
    /// that an agent can't serve.
    fn claim(&self, burial: &Burial) -> Option<String> {
        let shelf = self.volumes.get(&burial.pool)?.as_ref()?;
        let mut volumes = shelf.values();
        let claim =
            volumes.find(|known| !known.is_deleted && known.id.is_none_or(|id| id == burial.id));
        claim.map(|known| known.name.clone())
    }

    /// What is not known yet, if anything.
    fn unknown(&self) -> Option<String> {
        if self.cluster.is_none() || self.pools.is_none() {
            return Some("the API has not said yet which pools are this node's".to_owned());
        }
        if self.kept.is_none() {
            return Some("the node was not looked at yet".to_owned());
        }
        let watched = self.watched();
        let mut unlisted = watched.iter().filter(|pool| {
            let shelf = self.volumes.get(*pool);
            shelf.is_none_or(Option::is_none)
        });
        let pool = unlisted.next()?;
        Some(format!(
            "the API has not said yet which volumes are pool `{pool}`'s"
        ))
    }

    fn shelf(&mut self, place: &Place) -> &mut Shelf {
        match place {
            Place::Pools => &mut self.pools,
            Place::Volumes(pool) => self.volumes.entry(pool.clone()).or_default(),
            Place::Tombstones(pool) => self.tombstones.entry(pool.clone()).or_default(),
        }
    }

    fn with(
        &mut self,
        place: &Place,
        cluster: ClusterId,
        change: impl FnOnce(&mut BTreeMap<String, Known>) -> Effect,
    ) -> Option<Effect> {
        if self.cluster != Some(cluster) {
            return None;
        }
        let unknown = self.unknown().is_some();
        let mut effect = change(self.shelf(place).as_mut()?);
        self.forget_unwatched();
        effect.asks |= unknown != self.unknown().is_some();
        Some(effect)
    }

    fn forget_unwatched(&mut self) {
        let watched = self.watched();
        self.volumes.retain(|pool, _| watched.contains(pool));
        self.tombstones.retain(|pool, _| watched.contains(pool));
    }
}

type Asks<'a> = (&'a Result<Asked, String>, Option<VolumeId>, bool);

/// What of an object makes a difference to what is asked for. One that can't be served may claim what a tombstone is
/// about.
fn asks_of(known: &Known) -> Asks<'_> {
    (&known.asked, known.id, known.is_deleted)
}

fn asks(shelf: &BTreeMap<String, Known>) -> BTreeMap<&String, Asks<'_>> {
    let asks = shelf.iter().map(|(name, known)| (name, asks_of(known)));
    asks.collect()
}

fn ask(requests: &mut Requests, kind: Kind, known: &Known) {
    match &known.asked {
        Ok(Asked::Request(request)) => match &**request {
            Request::Pool(pool) => {
                let name = pool.metadata.name.clone();
                requests.pools.insert(name, pool.clone());
            }
            Request::Volume(volume) => {
                let name = volume.metadata.name.clone();
                if known.was_made() {
                    requests.made.insert(volume.spec.id);
                }
                requests.volumes.insert(name, volume.clone());
            }
        },
        // Tombstones are not asked here.
        Ok(Asked::Burial(_) | Asked::Nothing) => {}
        Err(error) => requests.invalid.push(Invalid {
            file: format!("{}-{}", kind.name().to_lowercase(), known.name),
            object: known
                .object_name()
                .map(|name| (kind.name().to_owned(), name)),
            id: known.id,
            error: error.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
