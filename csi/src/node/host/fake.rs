//! A node in memory, and a target that it may connect to: the rules of the kernel that matter here, and a plug that can be pulled. For
//! unit tests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Host, Trouble, Usage};
use crate::capability::FsType;
use crate::node::format::Found;
use crate::node::seen::{
    Connection, Device, Kind, Mounted, Number, Place, Seen, State, Subject, Whose,
};
use crate::node::step::{DeviceOf, Step};

/// When the plugin dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the effect of this number (from 0) is there.
    Before(usize),
    /// After it.
    After(usize),
}

#[derive(Clone)]
pub(crate) struct Fake(Arc<Mutex<World>>);

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FakeMount {
    pub(crate) path: PathBuf,
    pub(crate) number: Number,
    pub(crate) is_device: bool,
    pub(crate) is_read_only: bool,
    pub(crate) is_fs_read_only: bool,
    pub(crate) fs_type: String,
}

/// All there is.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Connections.
    pub(crate) paths: Vec<Connection>,
    pub(crate) mounts: Vec<FakeMount>,
    pub(crate) files: BTreeMap<PathBuf, Kind>,
    /// The device mapping that the volume is here, if it is here.
    pub(crate) mapping: Option<String>,
    /// Portals that answer.
    pub(crate) portals: BTreeSet<SocketAddr>,
    /// The host that the target lets in; it keeps others out, connected or not.
    pub(crate) granted: Option<String>,
    /// What is on the volume, wherever it is used.
    pub(crate) disk: Found,
    /// Whether its file system was ever mounted: never make one on it again.
    pub(crate) was_mounted: bool,
    /// Its size, and what the node knows of it.
    pub(crate) size: u64,
    pub(crate) known_size: u64,
    pub(crate) number: Option<Number>,
    pub(crate) is_read_only: bool,
    next: u32,
    death: Option<Death>,
    is_dead: bool,
    /// What was done.
    pub(crate) done: Vec<Step>,
}

const HANGS: &str = "it waits for a target that does not answer";

impl Fake {
    pub(crate) fn new(
        portals: &[SocketAddr],
        granted: Option<String>,
        mapping: Option<&str>,
    ) -> Self {
        let mut world = World {
            paths: Vec::new(),
            mounts: Vec::new(),
            files: BTreeMap::new(),
            mapping: mapping.map(str::to_owned),
            portals: portals.iter().copied().collect(),
            granted,
            disk: Found::Blank,
            was_mounted: false,
            size: 1 << 30,
            known_size: 1 << 30,
            number: None,
            is_read_only: false,
            next: 0,
            death: None,
            is_dead: false,
            done: Vec::new(),
        };
        if world.mapping.is_some() {
            world.number = Some((253, 7));
        }
        Fake(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, until [`Fake::revive`], the plugin dies at an effect.
    pub(crate) fn die(&self, death: Death) {
        self.with(|world| {
            world.death = Some(death);
            world.done.clear();
        });
    }

    /// It is started again; whether it had died.
    pub(crate) fn revive(&self) -> bool {
        self.with(|world| {
            world.death = None;
            std::mem::take(&mut world.is_dead)
        })
    }

    /// The target is lost: connections are tried until they are given up.
    pub(crate) fn cut(&self) {
        self.with(|world| {
            for path in &mut world.paths {
                path.state = State::Trying;
            }
        });
    }

    /// The target answers whom it lets in again.
    pub(crate) fn heal(&self) {
        self.with(|world| {
            for path in &mut world.paths {
                if world.granted.as_ref() == Some(&path.host_nqn) {
                    path.state = State::Live;
                }
            }
            world.settle();
        });
    }

    /// The kernel gives the target up.
    pub(crate) fn give_up(&self) {
        self.with(|world| {
            world.paths.clear();
            world.settle();
        });
    }

    /// What a request must lead to, whatever happened on the way: no numbers and no log.
    pub(crate) fn outcome(&self) -> String {
        self.with(|world| {
            let mut paths: Vec<_> = world
                .paths
                .iter()
                .map(|path| (&path.nqn, &path.host_nqn, path.portal))
                .collect();
            paths.sort();
            let mounts: Vec<_> = world
                .mounts
                .iter()
                .map(|mount| {
                    (
                        &mount.path,
                        mount.is_device,
                        mount.is_read_only,
                        &mount.fs_type,
                    )
                })
                .collect();
            let kind = match &world.disk {
                Found::FileSystem { kind, .. } => kind.clone(),
                other => format!("{other:?}"),
            };
            format!(
                "{paths:?} {mounts:?} {:?} {kind} read-only {}",
                world.files, world.is_read_only
            )
        })
    }
}

impl World {
    /// A disk is there as long as a path to it is.
    fn settle(&mut self) {
        if self.mapping.is_some() {
            return;
        }
        match (
            self.paths.iter().any(|path| path.state == State::Live),
            self.number,
        ) {
            (true, None) => {
                self.next += 1;
                self.number = Some((259, self.next));
                self.is_read_only = false;
                self.known_size = self.size;
            }
            _ if self.paths.is_empty() => self.number = None,
            _ => {}
        }
    }

    fn hangs(&self) -> bool {
        self.mapping.is_none()
            && !self.paths.is_empty()
            && !self.paths.iter().any(|path| path.state == State::Live)
    }

    fn device(&self) -> Option<Device> {
        let (major, minor) = self.number?;
        Some(Device {
            path: format!("/dev/fake{minor}").into(),
            number: (major, minor),
            size: self.known_size,
            is_read_only: self.is_read_only,
            is_local: self.mapping.is_some(),
        })
    }

    /// The device that a step names, which has to be there and to answer.
    fn answers(&self, device: &DeviceOf) -> Result<Number, Trouble> {
        let there = self.device().filter(|there| there.path == device.path);
        let there = there.ok_or_else(|| Trouble::Failed("no such device".to_owned()))?;
        match self.hangs() {
            true => Err(Trouble::Late(HANGS.to_owned())),
            false => Ok(there.number),
        }
    }

    fn free(&self, device: &DeviceOf) -> Result<Number, Trouble> {
        let number = self.answers(device)?;
        let is_used = self
            .mounts
            .iter()
            .any(|mount| mount.number == number && !mount.is_device);
        match is_used {
            true => Err(Trouble::Busy("it is mounted".to_owned())),
            false => Ok(number),
        }
    }

    fn place(&self, path: &Path) -> Place {
        let kind = self.files.get(path).copied().unwrap_or(Kind::Missing);
        let mount = self.mounts.iter().rev().find(|mount| mount.path == *path);
        let mount = mount.map(|mount| Mounted {
            whose: match self.number {
                Some(number) if number == mount.number => Whose::Volume,
                _ if mount.number.0 == 8 => Whose::Other("another disk".to_owned()),
                _ => Whose::Gone,
            },
            is_device: mount.is_device,
            fs_type: mount.fs_type.clone(),
            is_read_only: mount.is_read_only,
            is_fs_read_only: mount.is_fs_read_only,
            number: mount.number,
        });
        let path = path.to_owned();
        Place { path, kind, mount }
    }

    fn act(&mut self, step: &Step) -> Result<(), Trouble> {
        match step {
            Step::MakeDirectory(path) => drop(self.files.insert(path.clone(), Kind::Empty)),
            Step::MakeFile(path) => drop(self.files.insert(path.clone(), Kind::File)),
            Step::Remove(path) => {
                assert!(
                    !self.mounts.iter().any(|mount| mount.path == *path),
                    "{path:?} is mounted on"
                );
                self.files.remove(path);
            }
            Step::Connect(way) => {
                let is_let_in = self.granted.as_deref() == Some(way.host_nqn.as_str());
                if !self.portals.contains(&way.portal) || !is_let_in {
                    return Err(Trouble::Failed(format!("{} refuses", way.portal)));
                }
                assert!(
                    self.paths.iter().all(|path| path.host_nqn == way.host_nqn),
                    "a path beside another host's"
                );
                self.next += 1;
                self.paths.push(Connection {
                    controller: format!("nvme{}", self.next),
                    nqn: way.nqn.clone(),
                    host_nqn: way.host_nqn.clone(),
                    portal: Some(way.portal),
                    state: State::Live,
                });
                self.settle();
            }
            Step::Delete { controller, .. } => {
                self.paths.retain(|path| path.controller != *controller);
                self.settle();
            }
            Step::Rescan { .. } => self.known_size = self.size,
            Step::SetReadOnly {
                device,
                is_read_only,
            } => {
                self.answers(device)?;
                self.is_read_only = *is_read_only;
            }
            Step::Format {
                device,
                fs_type,
                uuid,
                ..
            } => {
                self.free(device)?;
                assert!(!self.was_mounted, "a file system with data is made anew");
                let (kind, uuid) = (fs_type.name().to_owned(), Some(*uuid));
                let is_used = false;
                self.disk = Found::FileSystem {
                    kind,
                    uuid,
                    is_used,
                };
            }
            Step::Check(device) => drop(self.free(device)?),
            Step::Mount {
                device,
                path,
                fs_type,
                is_read_only,
                ..
            } => {
                let number = self.answers(device)?;
                let Found::FileSystem { kind, is_used, .. } = &mut self.disk else {
                    panic!("{:?} is mounted", self.disk);
                };
                assert_eq!(kind, fs_type.name());
                *is_used = true;
                self.was_mounted = true;
                self.mounts.push(FakeMount {
                    path: path.clone(),
                    number,
                    is_device: false,
                    is_read_only: *is_read_only,
                    is_fs_read_only: *is_read_only,
                    fs_type: fs_type.name().to_owned(),
                });
            }
            Step::Bind { from, to } => {
                let from = self.mounts.iter().rev().find(|mount| mount.path == *from);
                let mut bound = from
                    .ok_or_else(|| Trouble::Failed("nothing is there".to_owned()))?
                    .clone();
                bound.path.clone_from(to);
                self.mounts.push(bound);
            }
            Step::BindDevice { device, to } => {
                let number = self.answers(device)?;
                self.mounts.push(FakeMount {
                    path: to.clone(),
                    number,
                    is_device: true,
                    is_read_only: false,
                    is_fs_read_only: false,
                    fs_type: "devtmpfs".to_owned(),
                });
            }
            Step::Harden(path) => {
                let mount = self
                    .mounts
                    .iter_mut()
                    .rev()
                    .find(|mount| mount.path == *path);
                mount
                    .ok_or_else(|| Trouble::Failed("nothing is there".to_owned()))?
                    .is_read_only = true;
            }
            Step::Unmount(path) => {
                let at = self.mounts.iter().rposition(|mount| mount.path == *path);
                let Some(at) = at else { return Ok(()) };
                let number = self.mounts[at].number;
                let is_last = self
                    .mounts
                    .iter()
                    .filter(|mount| mount.number == number && !mount.is_device)
                    .count()
                    == 1;
                if is_last && Some(number) == self.number && self.hangs() {
                    return Err(Trouble::Late(HANGS.to_owned()));
                }
                self.mounts.remove(at);
            }
            Step::Claim(device) => drop(self.free(device)?),
            Step::Grow { device, .. } => drop(self.answers(device)?),
        }
        Ok(())
    }
}

impl Host for Fake {
    async fn look(&self, subject: &Subject) -> Result<Seen, Trouble> {
        self.with(|world| {
            if world.is_dead {
                return Err(Trouble::Failed("it is dead".to_owned()));
            }
            let device = world.device().filter(|device| {
                !device.is_local || subject.mapping.is_none() || subject.mapping == world.mapping
            });
            let (staging, target) = (&subject.staging, &subject.target);
            let is_named =
                |path: &PathBuf| staging.as_ref() == Some(path) || target.as_ref() == Some(path);
            let its = world
                .mounts
                .iter()
                .filter(|mount| Some(mount.number) == world.number);
            Ok(Seen {
                staging: staging.as_ref().map(|path| world.place(path)),
                target: target.as_ref().map(|path| world.place(path)),
                paths: world.paths.clone(),
                others: its
                    .map(|mount| mount.path.clone())
                    .filter(|path| !is_named(path))
                    .collect(),
                device,
            })
        })
    }

    async fn act(&self, step: &Step) -> Result<(), Trouble> {
        self.with(|world| {
            let died = || Err(Trouble::Failed("it died".to_owned()));
            let count = world.done.len();
            if world.is_dead || world.death == Some(Death::Before(count)) {
                world.is_dead = true;
                return died();
            }
            world.act(step)?;
            world.done.push(step.clone());
            if world.death == Some(Death::After(count)) {
                world.is_dead = true;
                return died();
            }
            Ok(())
        })
    }

    async fn probe(&self, device: &DeviceOf) -> Found {
        self.with(|world| match world.answers(device) {
            Ok(_) => world.disk.clone(),
            Err(trouble) => Found::Unreadable(trouble.to_string()),
        })
    }

    async fn usage(&self, _: &Path) -> Result<Usage, Trouble> {
        Ok(Usage {
            bytes: 1000,
            bytes_available: 600,
            bytes_free: 700,
            inodes: 100,
            inodes_free: 90,
        })
    }
}

/// A file system with data on it, as the probe tells it.
pub(crate) fn filesystem(fs_type: FsType, uuid: Option<uuid::Uuid>) -> Found {
    let kind = fs_type.name().to_owned();
    let is_used = true;
    Found::FileSystem {
        kind,
        uuid,
        is_used,
    }
}
