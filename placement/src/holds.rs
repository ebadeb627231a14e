//! Decisions that the API does not show yet: their space is taken.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use weir_api::names::{NodeName, ObjectName};

use super::pool_view::{self, PoolView};
use super::usage::Usage;

/// What was decided for one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The pool.
    pub pool: ObjectName,
    /// Its node.
    pub node: NodeName,
    /// What the volume takes there.
    pub usage: Usage,
    /// The volume's anti-affinity key.
    pub key: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    of_volume: HashMap<String, Hold>,
    /// The same, added up; by the hash of the pool's name, which placement has at hand.
    on_pool: HashMap<u64, Vec<(ObjectName, Usage)>, BuildHasherDefault<AsItIs>>,
}

/// What is a hash already needs no other.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys are numbers; this is for completeness.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Holds {
    /// Holds space for a volume, and no longer what was held for it before.
    pub fn take(&mut self, volume: &str, hold: Hold) {
        self.release(volume);
        let there = self.on_pool.entry(pool_view::hash(&hold.pool)).or_default();
        match there.iter_mut().find(|(pool, _)| *pool == hold.pool) {
            Some((_, sum)) => *sum = sum.plus(&hold.usage),
            None => there.push((hold.pool.clone(), hold.usage)),
        }
        self.of_volume.insert(volume.to_owned(), hold);
    }

    /// Holds nothing for a volume any longer.
    pub fn release(&mut self, volume: &str) -> Option<Hold> {
        let hold = self.of_volume.remove(volume)?;
        let hash = pool_view::hash(&hold.pool);
        if let Some(there) = self.on_pool.get_mut(&hash) {
            for (_, sum) in there.iter_mut().filter(|(pool, _)| *pool == hold.pool) {
                *sum = sum.minus(&hold.usage);
            }
            there.retain(|(_, sum)| *sum != Usage::default());
            if there.is_empty() {
                self.on_pool.remove(&hash);
            }
        }
        Some(hold)
    }

    /// What is held for a volume.
    #[must_use]
    pub fn of(&self, volume: &str) -> Option<&Hold> {
        self.of_volume.get(volume)
    }

    /// What is held on a pool.
    #[must_use]
    pub fn on(&self, pool: &ObjectName) -> Usage {
        self.at(pool_view::hash(pool), pool)
    }

    /// The same, for placement, which asks for every pool.
    pub(super) fn on_pool(&self, pool: &PoolView) -> Usage {
        // Most of the time nothing is held anywhere.
        if self.on_pool.is_empty() {
            return Usage::default();
        }
        self.at(pool.hash, &pool.name)
    }

    fn at(&self, hash: u64, pool: &ObjectName) -> Usage {
        let there = self.on_pool.get(&hash).into_iter().flatten();
        let mut same = there.filter(|(name, _)| name == pool);
        same.next().map(|(_, sum)| *sum).unwrap_or_default()
    }

    /// The nodes on which something is held for volumes with this key.
    #[must_use]
    pub fn occupied(&self, key: Option<&str>) -> Vec<&NodeName> {
        let Some(key) = key else { return Vec::new() };
        let same = |hold: &&Hold| hold.key.as_deref() == Some(key);
        let nodes = self.of_volume.values().filter(same);
        nodes.map(|hold| &hold.node).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of_volume.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of_volume.is_empty()
    }
}
