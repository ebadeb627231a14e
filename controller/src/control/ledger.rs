//! What is where: pools as placement sees them, kept up to date one object at a time.
//!
//! A decision is made on this at once, without a look at any other object; so it must be right after every event,
//! in whatever order objects of different kinds come.

mod node;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use weir_api::condition::{self, READY, Truth};
use weir_api::crd::{StoragePool, Volume};
use weir_api::names::{NodeName, ObjectName};

use super::decide::{Home, MOST_NAMES};
use weir_placement::{Health, Holds, PoolView, Usage, VolumeView};

pub(super) use node::NodeFacts;
use whereabouts::Whereabouts;

/// What an object of a volume takes of a pool, as far as that is shown.
#[derive(Clone, Debug)]
struct Booked {
    pool: ObjectName,
    /// Not known while the pool is not.
    node: Option<NodeName>,
    usage: Usage,
    key: Option<String>,
}

/// What is where.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pools: Vec<PoolView>,
    index: HashMap<ObjectName, usize>,
    of_node: HashMap<NodeName, BTreeSet<ObjectName>>,
    nodes: HashMap<NodeName, NodeFacts>,
    volumes: HashMap<String, Arc<Volume>>,
    booked: HashMap<String, Booked>,
    in_pool: HashMap<ObjectName, HashSet<String>>,
    /// The nodes that hold a volume with a key, and how many.
    keys: HashMap<String, BTreeMap<NodeName, u32>>,
    whereabouts: Whereabouts,
    /// What was decided and is not shown yet.
    pub(super) holds: Holds,
}

impl Ledger {
    /// The pools.
    pub(super) fn pools(&self) -> &[PoolView] {
        &self.pools
    }

    /// A pool.
    pub(super) fn pool(&self, name: &ObjectName) -> Option<&PoolView> {
        self.pools.get(*self.index.get(name)?)
    }

    /// The pools on a node.
    pub(super) fn pools_of(&self, node: &NodeName) -> Vec<ObjectName> {
        let pools = self.of_node.get(node);
        pools.into_iter().flatten().cloned().collect()
    }

    /// The nodes that have pools.
    pub(super) fn nodes_with_pools(&self) -> Vec<NodeName> {
        self.of_node.keys().cloned().collect()
    }

    /// A node, as its object tells.
    pub(super) fn node(&self, name: &NodeName) -> Option<&NodeFacts> {
        self.nodes.get(name)
    }

    /// Whether a node's object says that it is out of service.
    pub(super) fn is_out_of_service(&self, name: &NodeName) -> bool {
        self.node(name).is_some_and(|facts| facts.is_out_of_service)
    }

    /// A volume.
    pub(super) fn volume(&self, name: &str) -> Option<&Arc<Volume>> {
        self.volumes.get(name)
    }

    /// The volumes that name a pool, whether it is known or not.
    pub(super) fn volumes_in(
        &self,
        pool: &ObjectName,
    ) -> impl Iterator<Item = (&str, &Arc<Volume>)> {
        let names = self.in_pool.get(pool).into_iter().flatten();
        names.filter_map(|name| Some((name.as_str(), self.volumes.get(name)?)))
    }

    /// A pool's object as it is now. Its health is what its conditions say: that its agent is not heard, or that
    /// its node is dead, is told by [`Ledger::set_health`].
    pub(super) fn see_pool(&mut self, pool: &StoragePool) -> Option<ObjectName> {
        let mut view = PoolView::of(pool)?;
        let name = view.name.clone();
        view.health = told_health(pool);
        self.whereabouts.see_pool(&name, pool);
        if let Some(facts) = self.nodes.get(&view.node) {
            view.node_labels = Arc::clone(&facts.labels);
            view.is_cordoned |= facts.is_cordoned;
        }
        let known = self.index.get(&name).copied();
        // An object that was deleted and created again under its name may be on another node.
        let is_elsewhere = known.is_some_and(|index| self.pools[index].node != view.node);
        if is_elsewhere {
            self.forget_pool(&name);
        }
        let known = self.index.get(&name).copied();
        let is_new = match known {
            Some(index) => {
                view.booked = self.pools[index].booked;
                self.pools[index] = view;
                false
            }
            None => {
                self.index.insert(name.clone(), self.pools.len());
                self.pools.push(view);
                true
            }
        };
        if is_new {
            let node = self.pools[self.index[&name]].node.clone();
            self.of_node.entry(node).or_default().insert(name.clone());
            self.book_again(&name);
        }
        Some(name)
    }

    /// A pool's object is gone; volumes that name it are known still.
    pub(super) fn forget_pool(&mut self, name: &ObjectName) {
        let Some(index) = self.index.remove(name) else {
            return;
        };
        self.whereabouts.forget_pool(name);
        let gone = self.pools.swap_remove(index);
        if let Some(moved) = self.pools.get(index) {
            self.index.insert(moved.name.clone(), index);
        }
        if let Some(pools) = self.of_node.get_mut(&gone.node) {
            pools.remove(name);
            if pools.is_empty() {
                self.of_node.remove(&gone.node);
            }
        }
        self.book_again(name);
    }

    /// A node's object as it is now, or that it is gone. Pools of the node are to be seen again.
    pub(super) fn see_node(&mut self, name: &NodeName, facts: Option<NodeFacts>) {
        match facts {
            Some(facts) => self.nodes.insert(name.clone(), facts),
            None => self.nodes.remove(name),
        };
    }

    /// What is known of a pool's health; returns whether that is new.
    pub(super) fn set_health(&mut self, name: &ObjectName, health: Health) -> bool {
        let Some(pool) = self.index.get(name).map(|index| &mut self.pools[*index]) else {
            return false;
        };
        let is_new = pool.health != health;
        pool.health = health;
        is_new
    }

    /// A volume's object as it is now. What was held for it is held no longer once it shows its pool.
    pub(super) fn see_volume(&mut self, name: &str, volume: Arc<Volume>) {
        self.unbook(name);
        let before = self.volumes.get(name);
        if let Some(before) = before.filter(|before| before.metadata.uid != volume.metadata.uid) {
            self.whereabouts.forget_volume(name, before);
        }
        self.whereabouts.see_volume(name, &volume);
        if let Some(pool) = volume.spec.pool_name.clone() {
            self.holds.release(name);
            self.book(name, &pool, &volume);
        }
        self.volumes.insert(name.to_owned(), volume);
    }

    /// A volume's object is gone, and what it took.
    pub(super) fn forget_volume(&mut self, name: &str) -> Option<Arc<Volume>> {
        self.unbook(name);
        self.holds.release(name);
        let gone = self.volumes.remove(name)?;
        self.whereabouts.forget_volume(name, &gone);
        Some(gone)
    }

    /// Where a volume belongs that names no pool.
    pub(super) fn home(&self, name: &str, volume: &Volume) -> Home {
        let id = volume.spec.id;
        let others = self.whereabouts.objects(id).iter();
        let others = others.filter_map(|other| Some((other, self.volumes.get(other)?)));
        let age = |name: &str, volume: &Volume| {
            let metadata = &volume.metadata;
            (
                metadata.creation_timestamp.clone(),
                metadata.uid.clone(),
                name.to_owned(),
            )
        };
        let own = age(name, volume);
        let mut ahead = others.filter(|(other, one)| {
            *other != name && (one.spec.pool_name.is_some() || age(other, one) < own)
        });
        if let Some((other, _)) = ahead.next() {
            return Home::Taken(other.clone());
        }
        let mut pools = self.whereabouts.pools_of(id);
        match pools.len() {
            0 if self.whereabouts.untold().is_empty() => Home::Anywhere,
            // All volumes that name no pool ask this while there are such pools, and there may be thousands of either.
            0 => {
                let untold = self.whereabouts.untold().iter();
                Home::Unknown(untold.take(MOST_NAMES + 1).cloned().collect())
            }
            1 => Home::In(pools.remove(0)),
            _ => Home::Several(pools),
        }
    }

    /// The nodes that hold a volume with a key.
    pub(super) fn occupied(&self, key: Option<&str>) -> BTreeSet<NodeName> {
        let nodes = key.and_then(|key| self.keys.get(key));
        nodes
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    fn book(&mut self, name: &str, pool: &ObjectName, volume: &Volume) {
        let view = VolumeView::of(&volume.spec);
        let node = self.pool(pool).map(|pool| pool.node.clone());
        let usage = match &node {
            Some(node) => view.usage_with(node, volume.status.as_ref()),
            None => Usage::default(),
        };
        if let Some(index) = self.index.get(pool) {
            let booked = &mut self.pools[*index].booked;
            *booked = booked.plus(&usage);
        }
        let key = view.key().map(str::to_owned);
        if let (Some(key), Some(node)) = (&key, &node) {
            let nodes = self.keys.entry(key.clone()).or_default();
            *nodes.entry(node.clone()).or_insert(0) += 1;
        }
        let in_pool = self.in_pool.entry(pool.clone()).or_default();
        in_pool.insert(name.to_owned());
        let booked = Booked {
            pool: pool.clone(),
            node,
            usage,
            key,
        };
        self.booked.insert(name.to_owned(), booked);
    }

    fn unbook(&mut self, name: &str) {
        let Some(gone) = self.booked.remove(name) else {
            return;
        };
        if let Some(index) = self.index.get(&gone.pool) {
            let booked = &mut self.pools[*index].booked;
            *booked = booked.minus(&gone.usage);
        }
        if let Some(names) = self.in_pool.get_mut(&gone.pool) {
            names.remove(name);
            if names.is_empty() {
                self.in_pool.remove(&gone.pool);
            }
        }
        if let (Some(key), Some(node)) = (gone.key, gone.node)
            && let Some(nodes) = self.keys.get_mut(&key)
        {
            if let Some(count) = nodes.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&node);
                }
            }
            if nodes.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// The pool was not known, or is not any longer: what is in it counts from its beginning.
    fn book_again(&mut self, pool: &ObjectName) {
        let names: Vec<String> = self
            .in_pool
            .get(pool)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        for name in &names {
            self.unbook(name);
        }
        if let Some(index) = self.index.get(pool) {
            self.pools[*index].booked = Usage::default();
        }
        for name in &names {
            if let Some(volume) = self.volumes.get(name).cloned() {
                self.book(name, pool, &volume);
            }
        }
    }
}

/// What a pool's object says of its health.
pub(super) fn told_health(pool: &StoragePool) -> Health {
    if pool.metadata.deletion_timestamp.is_some() {
        return Health::Deleted;
    }
    let conditions = pool.status.as_ref().map(|status| &status.conditions[..]);
    let ready = conditions.and_then(|conditions| condition::get(conditions, READY));
    match ready.map(|ready| ready.status) {
        Some(Truth::True) => Health::Ready,
        _ => Health::NotReady,
    }
}
