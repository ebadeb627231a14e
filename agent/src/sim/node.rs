//! A simulated node as other crates' tests see it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use nvmet::Configfs;
use serde_json::Value;
use uuid::Uuid;
use weir_api::names::{NodeName, VolumeId};

use super::Sim;
use crate::durable::Fs;
use crate::engine::{Engine, Parts};
use crate::plan::Node;
use crate::record::{BootId, Records, Store};
use crate::target::KernelTarget;

const RECORD: &str = "/record";
const STATUS: &str = "/status";

/// A node with empty disks `/dev/vdb` and `/dev/vdc` of 256 MiB each. Clones are the same node.
#[derive(Clone)]
pub struct SimNode {
    sim: Sim,
    max_volumes: usize,
}

impl Default for SimNode {
    fn default() -> Self {
        SimNode {
            sim: Sim::new(),
            max_volumes: 100,
        }
    }
}

impl SimNode {
    /// One whose agent serves so many volumes and no more, which nobody but the agent knows.
    #[must_use]
    pub fn with_at_most(volumes: usize) -> Self {
        SimNode {
            max_volumes: volumes,
            ..SimNode::default()
        }
    }

    /// A new agent on this node, which follows an API; the one before it is to be gone.
    #[must_use]
    pub fn engine(&self, name: &NodeName) -> Engine {
        let node = Node {
            name: name.clone(),
            max_volumes: self.max_volumes,
            boot: BootId(Uuid::from_u128(self.sim.boots())),
        };
        let parts = parts(&self.sim, node, self.store(), STATUS);
        Engine::new(parts, Arc::default())
    }

    /// Ends every zeroing. Says whether there was one.
    #[must_use]
    pub fn finish_zeroing(&self) -> bool {
        self.sim.finish_zeroing()
    }

    /// The LVs of all groups.
    #[must_use]
    pub fn lvs(&self) -> BTreeSet<String> {
        let state = self.sim.lock();
        let lvs = state.groups.values().flat_map(|group| group.lvs.keys());
        lvs.cloned().collect()
    }

    /// The subsystems of the kernel's target, and who may use each.
    ///
    /// # Panics
    /// It can't be read, which never is the case.
    #[must_use]
    pub fn exports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let target = Configfs::over(self.sim.clone()).read().unwrap();
        let hosts = |hosts: &BTreeSet<_>| hosts.iter().map(ToString::to_string).collect();
        let subsystems = target.subsystems.iter();
        subsystems
            .map(|(nqn, subsystem)| (nqn.to_string(), hosts(&subsystem.allowed_hosts)))
            .collect()
    }

    /// Says that a volume's deletion is ordered: the removal of any other one's data is a violation.
    pub fn order(&self, id: VolumeId) {
        self.sim.lock().ordered.insert(id);
    }

    /// Somebody on the node opens a volume's LV, or closes it.
    ///
    /// # Panics
    /// There is no such LV.
    pub fn set_open(&self, id: VolumeId, is_open: bool) {
        let mut state = self.sim.lock();
        let mut lvs = state
            .groups
            .values()
            .flat_map(|group| group.lvs.get(&id.lv_name()));
        let lv = lvs.next().expect("no such LV").uuid.clone();
        if is_open {
            state.local_users.insert(lv);
        } else {
            state.local_users.remove(&lv);
        }
    }

    /// What device mapper says of the thin pool of a group from now on.
    pub fn thin_pool_says(&self, group: &str, status: &str) {
        let mut state = self.sim.lock();
        state
            .thin_status
            .insert(group.to_owned(), status.to_owned());
    }

    /// What happened and must never happen.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.sim.lock().violations.clone()
    }

    /// What the node keeps.
    ///
    /// # Panics
    /// The record can't be read, which never is the case.
    #[must_use]
    pub fn records(&self) -> Records {
        self.store().load().unwrap()
    }

    /// A status file.
    #[must_use]
    pub fn published(&self, file: &str) -> Option<Value> {
        let bytes = self.sim.fs.read(&Path::new(STATUS).join(file)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn store(&self) -> Store {
        Store::new(Box::new(self.sim.fs.clone()), RECORD.into())
    }
}

/// The parts of an agent that follows an API on a simulated node, and measures nothing.
pub(crate) fn parts(sim: &Sim, node: Node, store: Store, status: &str) -> Parts {
    Parts {
        node,
        requests: None,
        status: status.into(),
        fs: Box::new(sim.fs.clone()),
        store,
        runner: Box::new(sim.clone()),
        disks: Box::new(sim.clone()),
        zeroing: Box::new(sim.clone()),
        exports: Box::new(KernelTarget {
            configfs: Configfs::over(sim.clone()),
            is_loaded: Box::new(|| true),
        }),
        measure: Box::new(()),
    }
}
