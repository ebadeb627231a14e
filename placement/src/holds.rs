//! Decisions that the API does not show yet: their space is taken.

use std::collections::HashMap;

use weir_api::names::{NodeName, ObjectName};

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
    /// The same, added up.
    on_pool: HashMap<ObjectName, Usage>,
}

impl Holds {
    /// Holds space for a volume, and no longer what was held for it before.
    pub fn take(&mut self, volume: &str, hold: Hold) {
        self.release(volume);
        let sum = self.on_pool.entry(hold.pool.clone()).or_default();
        *sum = sum.plus(&hold.usage);
        self.of_volume.insert(volume.to_owned(), hold);
    }

    /// Holds nothing for a volume any longer.
    pub fn release(&mut self, volume: &str) -> Option<Hold> {
        let hold = self.of_volume.remove(volume)?;
        if let Some(sum) = self.on_pool.get_mut(&hold.pool) {
            *sum = sum.minus(&hold.usage);
            if *sum == Usage::default() {
                self.on_pool.remove(&hold.pool);
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
        // Most of the time nothing is held anywhere.
        if self.on_pool.is_empty() {
            return Usage::default();
        }
        self.on_pool.get(pool).copied().unwrap_or_default()
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
