//! The durable record of what this node serves: one JSON file per pool and per volume.
//!
//! The record is what exports are restored from after a reboot, before and without any request, and
//! the intent that every change to the node follows. A file that can't be understood is reported
//! by name and never taken for one that is not there: something is recorded, we don't know what.

mod format;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use weir_api::names::{Generation, ObjectName, VgName, VolumeId};
use weir_api::pool::Portal;
use weir_api::units::Bytes;
use weir_api::volume::{Access, Attachment, Provisioning, Volume};

use crate::cluster::ClusterId;
use crate::durable::{self, Fs};
pub use format::VERSION;
use format::{CURRENT, Kind};

/// What this node keeps of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolRecord {
    /// [`VERSION`].
    pub version: u32,
    /// The object's name.
    pub name: ObjectName,
    /// Where in its life it is.
    pub state: PoolState,
    /// The volume group's name.
    pub volume_group: VgName,
    /// The volume group's UUID, once it was seen. A group of the same name with another UUID, one
    /// inside a tenant's volume for example, is never taken for it.
    pub vg_uuid: Option<String>,
    /// The disks that every LVM call of this pool names.
    pub devices: Vec<String>,
    /// Whether the request that this pool was made for allowed to overwrite signatures.
    #[serde(default)]
    pub overwrite_signatures: bool,
    /// Size of the thin pool, once one was asked for.
    #[serde(default)]
    pub thin_pool: Option<Bytes>,
    /// Where its exports listen.
    #[serde(default)]
    pub portals: Vec<PortalRecord>,
    /// Whether the request accepts that a volatile write cache may have lost writes.
    #[serde(default)]
    pub accept_volatile_write_cache: bool,
    /// The boot of the node in which its grants are good.
    #[serde(default)]
    pub boot: Option<BootRecord>,
    /// The cluster that owns it, from the first time on that a cluster's API asked for it: no other one's
    /// is heeded on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterId>,
}

/// A boot of the node, in which a pool was served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootRecord {
    /// Which.
    pub id: BootId,
    /// It ended in good order: exports were ended, then the disks flushed.
    #[serde(default)]
    pub ended: bool,
}

/// The kernel's id of one boot (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub Uuid);

impl BootId {
    /// That of the running kernel, whose procfs is at `proc`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of_kernel(proc: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id"))?;
        text.trim().parse().map(BootId).map_err(io::Error::other)
    }
}

/// Where in its life a recorded pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolState {
    /// Its volume group is being made from its devices, which were free when this was recorded.
    Making,
    /// Its volume group was seen.
    Ready,
    /// It is to be given up: the volume group stays, without Weir's tag.
    Deleting,
}

/// A portal and the kernel's port that listens there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortalRecord {
    /// Where it listens.
    pub portal: Portal,
    /// The port's number below `nvmet/ports`.
    pub port_id: u16,
    /// The request gave it up: its links and, unless another pool uses it, the port are removed.
    #[serde(default)]
    pub retiring: bool,
}

/// What this node keeps of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRecord {
    /// [`VERSION`].
    pub version: u32,
    /// Its identity.
    pub id: VolumeId,
    /// The object's name.
    pub name: ObjectName,
    /// The pool that holds it.
    pub pool: ObjectName,
    /// Its real size: what was asked for, rounded up to whole extents.
    pub capacity_bytes: Bytes,
    /// How it takes its space.
    pub provisioning: Provisioning,
    /// Where in its life it is.
    pub state: VolumeState,
    /// How many nodes may use it at once.
    #[serde(default)]
    pub access: Access,
    /// Who may use it now.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// The highest generation ever granted: none up to it is granted again.
    #[serde(default)]
    pub highest_generation: Option<Generation>,
    /// Its grants to other nodes were ended because this node stopped without a word and the pool's disks
    /// may have lost writes.
    #[serde(default)]
    pub unclean_stop: bool,
    /// An attachment was ordered away: no export but those of `attachments` may exist.
    #[serde(default)]
    pub revoked: bool,
    /// The UUID of the LV that is becoming this volume, until it has its tags and its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopting: Option<String>,
    /// Why it was rejected, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

impl VolumeRecord {
    /// A volume as it is asked for, that nobody was granted yet.
    #[must_use]
    pub fn of(request: &Volume, state: VolumeState) -> Self {
        let spec = &request.spec;
        VolumeRecord {
            version: VERSION,
            id: spec.id,
            name: request.metadata.name.clone(),
            pool: spec.pool_name.clone(),
            capacity_bytes: spec.capacity_bytes,
            provisioning: spec.provisioning,
            state,
            access: spec.access,
            attachments: Vec::new(),
            highest_generation: None,
            unclean_stop: false,
            revoked: false,
            adopting: None,
            rejection: None,
        }
    }
}

/// Why a volume can't be made in the pool that was chosen for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rejection {
    /// One word, a condition's reason.
    pub reason: String,
    /// A sentence for a person.
    pub message: String,
}

/// Where in its life a recorded volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeState {
    /// Its LV is being made or zeroed: nobody may use it.
    Creating,
    /// Its LV was made and shows no old data.
    Ready,
    /// Its deletion was ordered.
    Deleting,
    /// It can't be made here, and nothing of it was or will be, until its object named no pool, or another
    /// one, for a while: whoever chose the pool may have been told already, and have chosen again.
    Rejected,
}

/// A record file that is there and can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Everything recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Pools by name.
    pub pools: BTreeMap<ObjectName, PoolRecord>,
    /// Volumes by id.
    pub volumes: BTreeMap<VolumeId, VolumeRecord>,
    /// Pools whose file is broken.
    pub broken_pools: BTreeMap<ObjectName, Broken>,
    /// Volumes whose file is broken.
    pub broken_volumes: BTreeMap<VolumeId, Broken>,
    /// Files that belong to nothing we know: not ours, or their names were damaged.
    pub strange: Vec<Broken>,
}

/// The record could not be read or written.
#[derive(Debug, Error)]
#[error("failed to {verb} record `{path}`")]
pub struct RecordError {
    /// The file or directory.
    pub path: PathBuf,
    verb: &'static str,
    #[source]
    source: io::Error,
}

/// The directory that holds the record.
pub struct Store {
    fs: Box<dyn Fs>,
    dir: PathBuf,
    /// Whether what is read may be lost in a power cut: an agent that was killed between a rename
    /// and the sync that follows it leaves a record that can be read and is not on the disk.
    unsynced: Cell<bool>,
}

impl Store {
    /// The record in `dir`, which must exist.
    #[must_use]
    pub fn new(fs: Box<dyn Fs>, dir: PathBuf) -> Self {
        Store {
            fs,
            dir,
            unsynced: Cell::new(true),
        }
    }

    /// Claims the directory until the returned file is dropped: two agents would undo each other's work.
    ///
    /// # Errors
    /// Another process has it, or it can't be opened.
    pub fn claim(dir: &Path) -> io::Result<Flock<File>> {
        let claimed = Flock::lock(File::open(dir)?, FlockArg::LockExclusiveNonblock);
        claimed.map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => io::Error::other(format!(
                "`{}` is another agent's record; end that one first",
                dir.display()
            )),
            errno => errno.into(),
        })
    }

    /// Everything recorded, on stable storage; broken files named.
    ///
    /// # Errors
    /// The directory, or a file in it, can't be read or synced: nothing at all is known then.
    pub fn load(&self) -> Result<Records, RecordError> {
        let failed = |path: &PathBuf, source| RecordError {
            path: path.clone(),
            verb: "read",
            source,
        };
        let names = self.fs.list(&self.dir);
        let names = names.map_err(|error| failed(&self.dir, error))?;
        let paths: Vec<PathBuf> = names.iter().map(|name| self.dir.join(name)).collect();
        if self.unsynced.get() {
            for path in paths.iter().chain([&self.dir]) {
                self.fs.sync(path).map_err(|error| failed(path, error))?;
            }
            self.unsynced.set(false);
        }
        let mut records = Records::default();
        for (name, path) in names.iter().zip(paths) {
            let bytes = self.fs.read(&path).map_err(|error| failed(&path, error))?;
            records.add(path, name, &bytes);
        }
        Ok(records)
    }

    /// Records a pool durably.
    ///
    /// # Errors
    /// It may or may not be recorded.
    pub fn write_pool(&self, pool: &PoolRecord) -> Result<(), RecordError> {
        self.write(Kind::Pool, pool_file(&pool.name), pool)
    }

    /// Records a volume durably.
    ///
    /// # Errors
    /// It may or may not be recorded.
    pub fn write_volume(&self, volume: &VolumeRecord) -> Result<(), RecordError> {
        self.write(Kind::Volume, volume_file(volume.id), volume)
    }

    /// Forgets a pool durably.
    ///
    /// # Errors
    /// It may or may not be forgotten.
    pub fn remove_pool(&self, name: &ObjectName) -> Result<(), RecordError> {
        self.remove(pool_file(name))
    }

    /// Forgets a volume durably.
    ///
    /// # Errors
    /// It may or may not be forgotten.
    pub fn remove_volume(&self, id: VolumeId) -> Result<(), RecordError> {
        self.remove(volume_file(id))
    }

    fn write<T: Serialize + DeserializeOwned>(
        &self,
        kind: Kind,
        name: String,
        record: &T,
    ) -> Result<(), RecordError> {
        let path = self.dir.join(name);
        let write = || {
            let old = self.there(&path)?;
            let bytes = CURRENT.write(kind, record, old.as_deref());
            let bytes = bytes.map_err(io::Error::other)?;
            durable::replace(self.fs.as_ref(), &path, &bytes)
        };
        write().map_err(|source| self.failed(path.clone(), "write", source))
    }

    fn remove(&self, name: String) -> Result<(), RecordError> {
        let path = self.dir.join(name);
        let remove = || {
            if let Some(old) = self.there(&path)? {
                CURRENT.check_replaceable(&old).map_err(io::Error::other)?;
            }
            durable::remove(self.fs.as_ref(), &path)
        };
        remove().map_err(|source| self.failed(path.clone(), "remove", source))
    }

    /// A file's content, if there is one.
    fn there(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.fs.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, path: PathBuf, verb: &'static str, source: io::Error) -> RecordError {
        // It may have got as far as being readable.
        self.unsynced.set(true);
        RecordError { path, verb, source }
    }
}

impl Records {
    fn add(&mut self, path: PathBuf, file: &str, bytes: &[u8]) {
        let broken = |reason: String| Broken {
            path: path.clone(),
            reason,
        };
        if let Some(name) = name_in(file, "pool-") {
            let Ok(name) = name.parse::<ObjectName>() else {
                self.strange.push(broken("not a pool's name".to_owned()));
                return;
            };
            match CURRENT.read::<PoolRecord>(Kind::Pool, bytes) {
                Ok(pool) if pool.name == name => {
                    self.pools.insert(name, pool);
                }
                Ok(pool) => {
                    let reason = format!("holds the record of pool `{}`", pool.name);
                    self.broken_pools.insert(name, broken(reason));
                }
                Err(reason) => {
                    self.broken_pools.insert(name, broken(reason));
                }
            }
        } else if let Some(id) = name_in(file, "volume-") {
            let Ok(id) = Uuid::try_parse(id).map(VolumeId) else {
                self.strange.push(broken("not a volume's id".to_owned()));
                return;
            };
            match CURRENT.read::<VolumeRecord>(Kind::Volume, bytes) {
                Ok(volume) if volume.id == id => {
                    self.volumes.insert(id, volume);
                }
                Ok(volume) => {
                    let reason = format!("holds the record of volume {}", volume.id);
                    self.broken_volumes.insert(id, broken(reason));
                }
                Err(reason) => {
                    self.broken_volumes.insert(id, broken(reason));
                }
            }
        } else {
            self.strange
                .push(broken("not a record file's name".to_owned()));
        }
    }

    /// The volumes that this node holds or is to hold: a rejected one is none.
    pub fn held(&self) -> impl Iterator<Item = &VolumeRecord> {
        let all = self.volumes.values();
        all.filter(|volume| volume.state != VolumeState::Rejected)
    }

    /// Every broken file.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        let named = self
            .broken_pools
            .values()
            .chain(self.broken_volumes.values());
        named.chain(&self.strange)
    }
}

fn pool_file(name: &ObjectName) -> String {
    format!("pool-{name}.json")
}

fn volume_file(id: VolumeId) -> String {
    format!("volume-{id}.json")
}

fn name_in<'a>(file: &'a str, prefix: &str) -> Option<&'a str> {
    file.strip_prefix(prefix)?.strip_suffix(".json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::fake::MemFs;
    use crate::fuse::Fuse;

    const DIR: &str = "/record";

    fn volume() -> VolumeRecord {
        VolumeRecord {
            version: VERSION,
            id: VolumeId(Uuid::from_u128(7)),
            name: "a".parse().unwrap(),
            pool: "p".parse().unwrap(),
            capacity_bytes: Bytes::GIB,
            provisioning: Provisioning::Thick,
            state: VolumeState::Ready,
            access: Access::SingleHost,
            attachments: Vec::new(),
            highest_generation: Some(Generation(3)),
            unclean_stop: false,
            revoked: false,
            adopting: None,
            rejection: None,
        }
    }

    fn store() -> (MemFs, Store) {
        let fs = MemFs::default();
        (fs.clone(), Store::new(Box::new(fs), DIR.into()))
    }

    #[test]
    fn what_is_written_is_read() {
        let (_, store) = store();
        store.write_volume(&volume()).unwrap();
        assert_eq!(store.load().unwrap().volumes[&volume().id], volume());
        store.remove_volume(volume().id).unwrap();
        assert_eq!(store.load().unwrap(), Records::default());
    }

    /// Seen red with: `unsynced` beginning as `false` in `Store::new`.
    #[test]
    fn what_is_read_survives_a_power_cut_whoever_wrote_it() {
        for steps in 0.. {
            let (fs, store) = store();
            fs.fuse(Fuse::after(steps));
            let done = store.write_volume(&volume()).is_ok();
            fs.fuse(Fuse::default());
            let read = Store::new(Box::new(fs.clone()), DIR.into()).load().unwrap();
            fs.power_cut();
            assert_eq!(store.load().unwrap(), read, "after {steps} steps");
            if done {
                return;
            }
        }
    }

    /// Seen red with: `broken_volumes.insert` in the `Err` arm of `add` removed.
    #[test]
    fn a_broken_file_is_named_and_never_taken_for_absent() {
        let good = serde_json::to_string(&volume()).unwrap();
        let rows = [
            (String::new(), "EOF"),
            (good.replace("\"version\":3", "\"version\":9"), "version 9"),
            (good[..good.len() / 2].to_owned(), "EOF"),
            (good.replace("\"revoked\"", "\"revokd\""), "revokd"),
            (good.replace("Ready", "Redy"), "Redy"),
            (good.replace("07\"", "08\""), "holds the record of"),
        ];
        for (text, reason) in rows {
            let (fs, store) = store();
            let path = Path::new(DIR).join(volume_file(volume().id));
            fs.put(&path, text.as_bytes());
            let records = store.load().unwrap();
            assert!(records.volumes.is_empty());
            let broken = &records.broken_volumes[&volume().id];
            assert_eq!(broken.path, path);
            assert!(broken.reason.contains(reason), "{broken:?}");
        }
    }
}
