//! The kernel's target in memory, for tests of this crate and of its users.
//!
//! It has the kernel's rules, not only its files: attributes appear with a directory, a namespace's
//! device can't be changed while it is enabled, a serial number sticks once a host has connected,
//! and every refusal has the kernel's errno. The rules are those of drivers/nvme/target/configfs.c
//! and fs/configfs in Linux 6.1 to 7.3.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use crate::configfs::DEFAULT_ROOT;
use crate::tree::{Entry, Tree};

mod host;
mod port;
mod release;
mod subsystem;

pub use release::Release;

use host::Host;
use port::Port;
use subsystem::Subsystem;

/// A kernel with an empty target at [`DEFAULT_ROOT`].
///
/// ```
/// use nvmet::{Configfs, fake};
///
/// let kernel = fake::Kernel::new();
/// kernel.add_block_device("/dev/vg/volume");
/// let configfs = Configfs::over(&kernel);
/// assert_eq!(configfs.read()?.subsystems, [].into());
/// # Ok::<(), nvmet::ReadError>(())
/// ```
#[derive(Debug, Default)]
pub struct Kernel {
    state: Mutex<State>,
}

/// The name of the discovery subsystem (NVME_DISC_SUBSYS_NAME in include/linux/nvme.h).
const DISCOVERY: &str = "nqn.2014-08.org.nvmexpress.discovery";

#[derive(Clone, Debug, Default)]
struct State {
    release: Release,
    /// What the discovery subsystem was called instead.
    discovery: Option<String>,
    hosts: Named<Host>,
    subsystems: Named<Subsystem>,
    ports: Named<Port>,
    block_devices: BTreeSet<PathBuf>,
    log: Vec<String>,
    /// Operations until the one that fails, and how it fails.
    failure: Option<(usize, Errno)>,
    /// Stands in for randomness, so that tests can be repeated.
    made: u64,
}

type Named<T> = std::collections::BTreeMap<String, T>;
type Answer<T> = Result<T, Errno>;

impl Clone for Kernel {
    fn clone(&self) -> Self {
        Kernel {
            state: Mutex::new(self.lock().clone()),
        }
    }
}

impl Kernel {
    /// A kernel without hosts, subsystems, ports or block devices, and with every attribute.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with the attributes that one release has.
    #[must_use]
    pub fn like(release: Release) -> Self {
        let kernel = Self::default();
        kernel.lock().release = release;
        kernel
    }

    /// Makes `path` a block device.
    pub fn add_block_device(&self, path: impl Into<PathBuf>) {
        self.lock().block_devices.insert(path.into());
    }

    /// Takes a block device away.
    pub fn remove_block_device(&self, path: impl AsRef<Path>) {
        self.lock().block_devices.remove(path.as_ref());
    }

    /// A host connects to a subsystem: from now on its serial and model can't be changed.
    ///
    /// # Panics
    /// There is no such subsystem.
    pub fn connect(&self, subsystem: &crate::Nqn) {
        let mut state = self.lock();
        let subsystem = state.subsystems.get_mut(subsystem.as_str());
        subsystem.expect("a subsystem to connect to").discovered = true;
    }

    /// Lets `operations` operations that change something pass and the next one fail, once.
    pub fn fail_after(&self, operations: usize, errno: Errno) {
        self.lock().failure = Some((operations, errno));
    }

    /// What was changed so far, as paths relative to the root, refused operations left out.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere must not hide its message behind ours.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<R>(
        &self,
        path: &Path,
        look: impl FnOnce(&State, &[&str]) -> Answer<R>,
    ) -> io::Result<R> {
        let parts = split(path)?;
        look(&self.lock(), &parts).map_err(io::Error::from)
    }

    fn change(
        &self,
        path: &Path,
        change: impl FnOnce(&mut State, &[&str]) -> Answer<()>,
    ) -> io::Result<()> {
        let parts = split(path)?;
        let mut state = self.lock();
        match &mut state.failure {
            Some((0, errno)) => {
                let errno = *errno;
                state.failure = None;
                return Err(errno.into());
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        change(&mut state, &parts)?;
        state.log.push(parts.join("/"));
        Ok(())
    }
}

/// The components below the root.
fn split(path: &Path) -> io::Result<Vec<&str>> {
    let below = path.strip_prefix(DEFAULT_ROOT);
    let below = below.map_err(|_| io::Error::from(Errno::ENOENT))?;
    let parts = below.components().map(|part| part.as_os_str().to_str());
    parts
        .collect::<Option<_>>()
        .ok_or_else(|| Errno::ENOENT.into())
}

impl Tree for Kernel {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.look(directory, State::list)
    }

    fn read(&self, attribute: &Path) -> io::Result<Vec<u8>> {
        let value = self.look(attribute, State::read)?;
        Ok(format!("{value}\n").into_bytes())
    }

    fn write(&self, attribute: &Path, value: &[u8]) -> io::Result<()> {
        self.change(attribute, |state, parts| state.write(parts, value))
    }

    fn mkdir(&self, directory: &Path) -> io::Result<()> {
        self.change(directory, State::mkdir)
    }

    fn rmdir(&self, directory: &Path) -> io::Result<()> {
        self.change(directory, State::rmdir)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        // Resolved by the caller's working directory, which is not in the tree.
        if !target.is_absolute() {
            return Err(Errno::ENOENT.into());
        }
        let target = split(target)?;
        self.change(link, |state, parts| state.symlink(&target, parts))
    }

    fn unlink(&self, link: &Path) -> io::Result<()> {
        self.change(link, State::unlink)
    }

    fn is_block_device(&self, device: &Path) -> io::Result<bool> {
        // Everything else that is asked about is a file that is not there.
        if self.lock().block_devices.contains(device) {
            return Ok(true);
        }
        Err(Errno::ENOENT.into())
    }

    fn kernel(&self) -> String {
        self.lock().release.name().to_owned()
    }
}

impl State {
    fn subsystem(&self, name: &str) -> Answer<&Subsystem> {
        self.subsystems.get(name).ok_or(Errno::ENOENT)
    }

    fn subsystem_mut(&mut self, name: &str) -> Answer<&mut Subsystem> {
        self.subsystems.get_mut(name).ok_or(Errno::ENOENT)
    }

    fn port(&self, name: &str) -> Answer<&Port> {
        self.ports.get(name).ok_or(Errno::ENOENT)
    }

    fn port_mut(&mut self, name: &str) -> Answer<&mut Port> {
        self.ports.get_mut(name).ok_or(Errno::ENOENT)
    }

    fn list(&self, parts: &[&str]) -> Answer<Vec<Entry>> {
        let directories = |names: Vec<&String>| -> Vec<Entry> {
            let entry = |name: &String| Entry {
                name: name.clone(),
                links_to: None,
            };
            names.into_iter().map(entry).collect()
        };
        let links = |links: &Named<String>| -> Vec<Entry> {
            let entry = |(name, target): (&String, &String)| Entry {
                name: name.clone(),
                links_to: Some(target.clone()),
            };
            links.iter().map(entry).collect()
        };
        Ok(match parts {
            [] => directories(vec![
                &"hosts".to_owned(),
                &"ports".to_owned(),
                &"subsystems".to_owned(),
            ]),
            ["hosts"] => directories(self.hosts.keys().collect()),
            ["subsystems"] => directories(self.subsystems.keys().collect()),
            ["ports"] => directories(self.ports.keys().collect()),
            ["subsystems", name, "allowed_hosts"] => links(&self.subsystem(name)?.allowed_hosts),
            ["subsystems", name, "namespaces"] => {
                directories(self.subsystem(name)?.namespaces.keys().collect())
            }
            ["ports", name, "subsystems"] => links(&self.port(name)?.subsystems),
            ["ports", name, "ana_groups"] => {
                directories(self.port(name)?.ana_groups.keys().collect())
            }
            ["ports", name, "referrals"] => {
                directories(self.port(name)?.referrals.keys().collect())
            }
            _ => return Err(Errno::ENOENT),
        })
    }

    fn read(&self, parts: &[&str]) -> Answer<String> {
        match parts {
            ["discovery_nqn"] if self.release.has("discovery_nqn") => {
                Ok(self.discovery.clone().unwrap_or(DISCOVERY.to_owned()))
            }
            ["hosts", name, attribute] => {
                let host = self.hosts.get(*name).ok_or(Errno::ENOENT)?;
                host.read(attribute, self.release)
            }
            ["subsystems", name, rest @ ..] => self.subsystem(name)?.read(rest),
            ["ports", name, rest @ ..] => self.port(name)?.read(rest),
            _ => Err(Errno::ENOENT),
        }
    }

    fn write(&mut self, parts: &[&str], value: &[u8]) -> Answer<()> {
        // Stores take the value up to a newline, which may be there or not.
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = std::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
        match parts {
            ["discovery_nqn"] if self.release.has("discovery_nqn") => {
                let mut names = self.subsystems.keys();
                if value.is_empty() || names.any(|name| name.starts_with(value)) {
                    return Err(Errno::EINVAL);
                }
                self.discovery = Some(value.to_owned());
                Ok(())
            }
            ["hosts", name, attribute] => {
                let release = self.release;
                let host = self.hosts.get_mut(*name).ok_or(Errno::ENOENT)?;
                host.write(attribute, value, release)
            }
            ["subsystems", name, "namespaces", nsid, "enable"] => {
                let State {
                    subsystems,
                    block_devices,
                    ..
                } = self;
                let subsystem = subsystems.get_mut(*name).ok_or(Errno::ENOENT)?;
                subsystem.enable(nsid, value, block_devices)
            }
            ["subsystems", name, rest @ ..] => self.subsystem_mut(name)?.write(rest, value),
            ["ports", name, rest @ ..] => self.port_mut(name)?.write(rest, value),
            _ => Err(Errno::ENOENT),
        }
    }

    fn mkdir(&mut self, parts: &[&str]) -> Answer<()> {
        self.made += 1;
        let (made, release) = (self.made, self.release);
        match parts {
            ["hosts", name] => make(&mut self.hosts, name, Host::new),
            ["subsystems", name] => {
                if *name == DISCOVERY || self.discovery.as_deref() == Some(name) {
                    return Err(Errno::EINVAL);
                }
                make(&mut self.subsystems, name, || Subsystem::new(made, release))
            }
            ["subsystems", name, "namespaces", nsid] => {
                self.subsystem_mut(name)?.make_namespace(nsid, made)
            }
            ["ports", name] => {
                name.parse::<u16>().map_err(|_| Errno::EINVAL)?;
                make(&mut self.ports, name, || Port::new(release))
            }
            ["ports", name, "ana_groups", group] => self.port_mut(name)?.make_ana_group(group),
            ["ports", name, "referrals", referral] => {
                self.port_mut(name)?.make_referral(referral, release)
            }
            _ => Err(Errno::EPERM),
        }
    }

    fn rmdir(&mut self, parts: &[&str]) -> Answer<()> {
        match parts {
            ["hosts", name] => {
                let mut subsystems = self.subsystems.values();
                if subsystems.any(|subsystem| links_to(&subsystem.allowed_hosts, name)) {
                    return Err(Errno::EBUSY);
                }
                self.hosts.remove(*name).map(drop).ok_or(Errno::ENOENT)
            }
            ["subsystems", name] => {
                let mut ports = self.ports.values();
                if ports.any(|port| links_to(&port.subsystems, name)) {
                    return Err(Errno::EBUSY);
                }
                if !self.subsystem(name)?.is_empty() {
                    return Err(Errno::ENOTEMPTY);
                }
                self.subsystems.remove(*name);
                Ok(())
            }
            // Works while it is enabled, and disables it.
            ["subsystems", name, "namespaces", nsid] => {
                let removed = self.subsystem_mut(name)?.namespaces.remove(*nsid);
                removed.map(drop).ok_or(Errno::ENOENT)
            }
            ["ports", name] => {
                if !self.port(name)?.is_empty() {
                    return Err(Errno::ENOTEMPTY);
                }
                self.ports.remove(*name);
                Ok(())
            }
            ["ports", name, "referrals", referral] => {
                let removed = self.port_mut(name)?.referrals.remove(*referral);
                removed.map(drop).ok_or(Errno::ENOENT)
            }
            ["ports", _, "ana_groups", "1"] => Err(Errno::EPERM),
            ["ports", name, "ana_groups", group] => {
                let removed = self.port_mut(name)?.ana_groups.remove(*group);
                removed.map(drop).ok_or(Errno::ENOENT)
            }
            _ => Err(Errno::EPERM),
        }
    }

    fn symlink(&mut self, target: &[&str], link: &[&str]) -> Answer<()> {
        match (target, link) {
            (["hosts", host], ["subsystems", name, "allowed_hosts", link]) => {
                if !self.hosts.contains_key(*host) {
                    return Err(Errno::ENOENT);
                }
                self.subsystem_mut(name)?.allow_host(host, link)
            }
            (["subsystems", subsystem], ["ports", name, "subsystems", link]) => {
                self.subsystem(subsystem)?;
                let taken: BTreeSet<_> = self.ports.values().filter_map(Port::listens).collect();
                let release = self.release;
                self.port_mut(name)?.link(subsystem, link, &taken, release)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn unlink(&mut self, parts: &[&str]) -> Answer<()> {
        let removed = match parts {
            ["subsystems", name, "allowed_hosts", link] => {
                self.subsystem_mut(name)?.allowed_hosts.remove(*link)
            }
            ["ports", name, "subsystems", link] => self.port_mut(name)?.subsystems.remove(*link),
            _ => return Err(Errno::EPERM),
        };
        removed.map(drop).ok_or(Errno::ENOENT)
    }
}

fn make<T>(map: &mut Named<T>, name: &str, new: impl FnOnce() -> T) -> Answer<()> {
    if map.contains_key(name) {
        return Err(Errno::EEXIST);
    }
    map.insert(name.to_owned(), new());
    Ok(())
}

fn links_to(links: &Named<String>, target: &str) -> bool {
    links.values().any(|linked| linked == target)
}

#[cfg(test)]
mod tests;
