//! A node in memory, for tests: disks, LVM, page caches, the NVMe target, and a file system; all of
//! it can be stopped at any step, killed, rebooted, or lose its power.
//!
//! It keeps watch: what must never happen is noted as a violation at the moment it happens.
//!
//! It is in every build, hidden, since tests of other crates need it too: an agent and a controller meet only
//! there ([`node`]).
#![expect(clippy::unwrap_used, reason = "for tests, which a panic ends")]

mod disks;
mod dm;
mod lvm;
mod metadata;
pub mod node;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use nvmet::{Configfs, Target, fake};
use weir_api::names::{Generation, ObjectName, VolumeId, parse_host_nqn};

use crate::durable::fake::MemFs;
use crate::fuse::Fuse;
use crate::lvm::{generation_in, id_in};
use crate::zero::{ZeroJob, ZeroState};

pub(crate) const EXTENT: u64 = 4 << 20;

/// Clones share the node.
#[derive(Clone)]
pub(crate) struct Sim {
    state: Arc<Mutex<State>>,
    pub(crate) fs: MemFs,
}

pub(crate) struct State {
    pub(crate) fuse: Fuse,
    pub(crate) disks: BTreeMap<String, Disk>,
    /// LVM's metadata as LVM sees it now.
    pub(crate) groups: BTreeMap<String, Group>,
    /// And as it is on the disks' stable storage.
    groups_on_disk: BTreeMap<String, Group>,
    pub(crate) content: BTreeMap<String, Content>,
    pub(crate) active: BTreeSet<String>,
    /// Device mappings by name.
    pub(crate) mappings: BTreeMap<String, dm::Mapping>,
    /// What device mapper says of the thin pool of a group, where it is not calm.
    pub(crate) thin_status: BTreeMap<String, String>,
    /// LVs, by UUID, and mappings, by name, that somebody on the node has open.
    pub(crate) local_users: BTreeSet<String>,
    pub(crate) jobs: BTreeMap<ZeroJob, ZeroState>,
    pub(crate) kernel: Arc<fake::Kernel>,
    /// Deletions ordered so far.
    pub(crate) ordered: BTreeSet<VolumeId>,
    /// Hosts ordered off a volume so far.
    pub(crate) revoked: BTreeSet<(VolumeId, String)>,
    /// Per subsystem that is there: every host it allowed since it was made.
    hosts_since_made: BTreeMap<String, BTreeSet<String>>,
    /// Subsystem and host that could do I/O.
    served: BTreeSet<(String, String)>,
    /// Namespaces that are shown: subsystem and device.
    shown: BTreeSet<(String, String)>,
    pub(crate) violations: Vec<String>,
    made: u32,
    boots: u128,
    /// Metadata lies on the disks in a way that nobody but LVM knows.
    pub(crate) is_strange: bool,
    /// Commands run so far.
    pub(crate) commands: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) signatures: Vec<String>,
    pub(crate) refusal: Option<String>,
    pub(crate) extents: u64,
    /// Whether its data may be lost.
    pub(crate) expendable: bool,
    /// Whether it has a volatile write cache.
    pub(crate) write_back: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) uuid: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) devices: Vec<String>,
    pub(crate) extents: u64,
    pub(crate) lvs: BTreeMap<String, Lv>,
    /// Devices whose cache holds metadata that is not on stable storage.
    pub(crate) dirty: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lv {
    pub(crate) uuid: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) extents: u64,
    /// Of a thin volume, which takes no extents of its own here.
    pub(crate) virtual_size: u64,
    pub(crate) kind: char,
    pub(crate) zeroes: bool,
}

/// What can be read from an LV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Somebody's old data.
    Old,
    /// Zeroes.
    Zero,
    /// Its user's data.
    Written,
}

impl Sim {
    /// A node with empty disks `/dev/vdb` and `/dev/vdc` of 64 extents each.
    pub(crate) fn new() -> Self {
        let disk = Disk {
            extents: 64,
            ..Disk::default()
        };
        let state = State {
            fuse: Fuse::default(),
            disks: ["/dev/vdb", "/dev/vdc"]
                .map(|path| (path.to_owned(), disk.clone()))
                .into(),
            groups: BTreeMap::new(),
            groups_on_disk: BTreeMap::new(),
            content: BTreeMap::new(),
            active: BTreeSet::new(),
            mappings: BTreeMap::new(),
            thin_status: BTreeMap::new(),
            local_users: BTreeSet::new(),
            jobs: BTreeMap::new(),
            kernel: Arc::new(fake::Kernel::new()),
            ordered: BTreeSet::new(),
            revoked: BTreeSet::new(),
            hosts_since_made: BTreeMap::new(),
            served: BTreeSet::new(),
            shown: BTreeSet::new(),
            violations: Vec::new(),
            made: 0,
            boots: 1,
            is_strange: false,
            commands: Vec::new(),
        };
        Sim {
            state: Arc::new(Mutex::new(state)),
            fs: MemFs::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Stops everything after so many steps.
    pub(crate) fn fuse(&self, fuse: &Fuse) {
        self.fs.fuse(fuse.clone());
        self.lock().fuse = fuse.clone();
    }

    /// The agent is killed: what it did stays.
    pub(crate) fn kill(&self) {
        self.fuse(&Fuse::default());
        self.lock().jobs.clear();
    }

    /// The node goes down in good order and comes up again.
    pub(crate) fn reboot(&self) {
        self.kill();
        self.lock().boot();
    }

    /// The node loses its power and comes up again: what was not flushed is lost.
    pub(crate) fn power_cut(&self) {
        self.kill();
        self.fs.power_cut();
        let mut state = self.lock();
        state.groups = state.groups_on_disk.clone();
        state.boot();
    }

    /// Every running zeroing comes to its end. Says whether there was one.
    pub(crate) fn finish_zeroing(&self) -> bool {
        let mut state = self.lock();
        let mut any = false;
        let jobs: Vec<ZeroJob> = state.jobs.keys().cloned().collect();
        for job in jobs {
            if state.jobs[&job] == ZeroState::Running(weir_api::units::Bytes(0)) {
                // Zeroing ends with an fsync of the LV, so this is on stable storage.
                state.content.insert(job.lv_uuid.clone(), Content::Zero);
                state.jobs.insert(job, ZeroState::Done);
                any = true;
            }
        }
        any
    }

    /// How often the node was started.
    pub(crate) fn boots(&self) -> u128 {
        self.lock().boots
    }

    /// Somebody removes an LV behind the agent's back.
    pub(crate) fn lose_lv(&self, group: &str, name: &str) {
        let mut state = self.lock();
        let group = state.groups.get_mut(group);
        group.and_then(|group| group.lvs.remove(name)).unwrap();
    }

    /// Somebody makes a plain LV of two extents, and writes to it.
    pub(crate) fn foreign_lv(&self, group: &str, name: &str, uuid: &str) {
        let mut state = self.lock();
        let lv = Lv {
            uuid: uuid.to_owned(),
            tags: BTreeSet::new(),
            extents: 2,
            virtual_size: 0,
            kind: '-',
            zeroes: false,
        };
        state.content.insert(uuid.to_owned(), Content::Written);
        state.active.insert(uuid.to_owned());
        state.kernel.add_block_device(State::dm_path(group, name));
        for groups in [true, false] {
            let groups = if groups {
                &mut state.groups
            } else {
                &mut state.groups_on_disk
            };
            let vg = groups.get_mut(group).unwrap();
            vg.lvs.insert(name.to_owned(), lv.clone());
        }
    }

    /// The target as the kernel has it.
    pub(crate) fn target(&self) -> Target {
        self.lock().target()
    }

    /// A group's LVs by name.
    pub(crate) fn lvs(&self, group: &str) -> BTreeMap<String, Lv> {
        self.lock()
            .groups
            .get(group)
            .map(|group| group.lvs.clone())
            .unwrap_or_default()
    }
}

impl State {
    fn boot(&mut self) {
        self.boots += 1;
        self.active.clear();
        self.mappings.clear();
        self.local_users.clear();
        self.kernel = Arc::new(fake::Kernel::new());
        self.hosts_since_made.clear();
        self.served.clear();
        self.shown.clear();
    }

    pub(crate) fn target(&self) -> Target {
        Configfs::over(self.kernel.as_ref()).read().unwrap()
    }

    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    fn uuid(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{}", self.made)
    }

    fn changed(&mut self, group: &str) {
        if let Some(group) = self.groups.get_mut(group) {
            group.dirty = group.devices.iter().cloned().collect();
        }
    }

    pub(crate) fn flushed(&mut self, device: &str) {
        for (name, group) in &mut self.groups {
            if group.dirty.remove(device) && group.dirty.is_empty() {
                self.groups_on_disk.insert(name.clone(), group.clone());
            }
        }
    }

    pub(crate) fn dm_path(group: &str, lv: &str) -> String {
        format!("/dev/mapper/{}-{lv}", group.replace('-', "--"))
    }

    /// UUID of the LV at a path below /dev/mapper.
    pub(crate) fn lv_at(&self, path: &str) -> Option<String> {
        let mut lvs = self.groups.iter().flat_map(|(group, vg)| {
            vg.lvs
                .iter()
                .map(move |(name, lv)| (Self::dm_path(group, name), lv.uuid.clone()))
        });
        lvs.find(|(at, _)| at == path).map(|(_, uuid)| uuid)
    }

    /// Whether anybody, nvmet included, has the LV open.
    pub(crate) fn is_open(&self, path: &str, uuid: &str) -> bool {
        self.opens(path, uuid) > 0
    }

    /// How often a device is open: an LV, by its UUID, or a mapping, by its name.
    pub(crate) fn opens(&self, path: &str, uuid: &str) -> usize {
        let running = |(job, state): &(&ZeroJob, &ZeroState)| {
            job.lv_uuid == uuid && matches!(state, ZeroState::Running(_))
        };
        let target = self.target();
        let subsystems = target.subsystems.values();
        let namespaces = subsystems.flat_map(|s| s.namespaces.values());
        let shown = namespaces.filter(|ns| ns.enabled && ns.device_path.to_str() == Some(path));
        usize::from(self.local_users.contains(uuid))
            + self.jobs.iter().filter(running).count()
            + shown.count()
            + self.mappings_on(uuid)
    }

    /// Every LV with its number.
    fn numbered(&self) -> impl Iterator<Item = (usize, &str, usize, &str, &Lv)> {
        let groups = self.groups.iter().enumerate();
        groups.flat_map(|(index, (group, vg))| {
            let lvs = vg.lvs.iter().enumerate();
            lvs.map(move |(minor, (name, lv))| {
                (253 + index, group.as_str(), minor, name.as_str(), lv)
            })
        })
    }

    /// Looks at the target after each change of it.
    fn watch(&mut self) {
        let target = self.target();
        let linked: BTreeSet<_> = target
            .ports
            .values()
            .flat_map(|port| &port.subsystems)
            .collect();
        let mut hosts = BTreeMap::new();
        let (mut served, mut shown) = (BTreeSet::new(), BTreeSet::new());
        for (nqn, subsystem) in &target.subsystems {
            let name = nqn.to_string();
            if VolumeId::from_nqn(&name).is_none() {
                continue;
            }
            if subsystem.allow_any_host {
                self.violation(format!("{name} allows any host"));
            }
            let now = subsystem.allowed_hosts.iter().map(ToString::to_string);
            let mut since = self.hosts_since_made.remove(&name).unwrap_or_default();
            since.extend(now.clone());
            if since.len() > 1 {
                self.violation(format!("{name} allowed {since:?} without being made anew"));
            }
            hosts.insert(name.clone(), since);
            for namespace in subsystem
                .namespaces
                .values()
                .filter(|namespace| namespace.enabled)
            {
                let device = namespace.device_path.to_str().unwrap().to_owned();
                let reaches = self.lv_behind(&device).is_some();
                shown.insert((name.clone(), device));
                if linked.contains(nqn) && reaches {
                    served.extend(now.clone().map(|host| (name.clone(), host)));
                }
            }
        }
        for (name, device) in shown.difference(&self.shown).cloned().collect::<Vec<_>>() {
            let uuid = self.lv_behind(&device).unwrap_or_default();
            if self.content.get(&uuid) == Some(&Content::Old) {
                self.violation(format!("{name} shows old data"));
            }
            if self.local_users.contains(&uuid) {
                self.violation(format!("{name} shows a device that is in use on the node"));
            }
        }
        for (name, host) in served.difference(&self.served).cloned().collect::<Vec<_>>() {
            let id = VolumeId::from_nqn(&name).unwrap();
            let granted = parse_host_nqn(&host).map(|(_, generation)| generation);
            if self.marked_on_disk(id) < granted {
                self.violation(format!("{host} is granted {name} before the LV says so"));
            }
        }
        for (name, host) in self.served.difference(&served).cloned().collect::<Vec<_>>() {
            let id = VolumeId::from_nqn(&name).unwrap();
            if !self.ordered.contains(&id) && !self.revoked.contains(&(id, host.clone())) {
                self.violation(format!("{host} lost {name} without an order"));
            }
        }
        (self.hosts_since_made, self.served, self.shown) = (hosts, served, shown);
    }

    /// The highest generation that the LV's tags tell on stable storage.
    fn marked_on_disk(&self, id: VolumeId) -> Option<Generation> {
        let lvs = self.groups_on_disk.values().flat_map(|vg| vg.lvs.values());
        let mut marked = lvs.filter(|lv| id_in(&lv.tags) == Some(id));
        marked.find_map(|lv| generation_in(&lv.tags))
    }

    /// Hosts that can do I/O on a volume.
    pub(crate) fn served_hosts(&self, id: VolumeId) -> BTreeSet<String> {
        let is_of = |name: &str| VolumeId::from_nqn(name) == Some(id);
        let of = self.served.iter().filter(|(name, _)| is_of(name));
        of.map(|(_, host)| host.clone()).collect()
    }
}

/// An object's name.
pub(crate) fn name(text: &str) -> ObjectName {
    text.parse().unwrap()
}
