//! From the tree to the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::layout;
use crate::model::{
    AnaGroupId, AnaState, Family, Namespace, Nsid, Port, PortId, Subsystem, Target, Transport,
};
use crate::nqn::Nqn;
use crate::tree::{Entry, Tree};

/// Why the target can't be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The root isn't there.
    #[error(
        "{}: no NVMe target here (is the module nvmet loaded and configfs mounted?)",
        .root.display()
    )]
    NoTarget {
        /// The root.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path below the root can't be read.
    #[error("{}: cannot be read", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a namespace without a device shows: the kernel prints a null pointer.
const NO_DEVICE: &str = "(null)";

pub(super) struct Reader<'a, T> {
    tree: &'a T,
    root: &'a Path,
    unmodelled: BTreeSet<String>,
}

/// What a directory turned out to be.
enum Found<M> {
    Modelled(M),
    Unmodelled,
    /// It went away while it was read.
    Gone,
}

impl<'a, T: Tree> Reader<'a, T> {
    pub(super) fn new(tree: &'a T, root: &'a Path) -> Self {
        Reader {
            tree,
            root,
            unmodelled: BTreeSet::new(),
        }
    }

    pub(super) fn target(mut self) -> Result<Target, ReadError> {
        // Entries that aren't there are things that have gone, but a root that isn't there must not
        // look like an empty target.
        if let Err(source) = self.tree.list(self.root) {
            let root = self.root.to_owned();
            return Err(match source.kind() {
                io::ErrorKind::NotFound => ReadError::NoTarget { root, source },
                _ => ReadError::Path { path: root, source },
            });
        }
        let mut target = Target::default();
        for entry in self.list(layout::HOSTS)? {
            if let Some(host) = self.nqn(layout::HOSTS, &entry.name) {
                target.hosts.insert(host);
            }
        }
        for entry in self.list(layout::SUBSYSTEMS)? {
            let Some(nqn) = self.nqn(layout::SUBSYSTEMS, &entry.name) else {
                continue;
            };
            let path = layout::subsystem(&nqn);
            if let Some(subsystem) = self.known(&path, Self::subsystem)? {
                target.subsystems.insert(nqn, subsystem);
            }
        }
        for entry in self.list(layout::PORTS)? {
            let path = format!("{}/{}", layout::PORTS, entry.name);
            let Some(id) = number(&entry.name).map(PortId) else {
                self.unmodelled.insert(path);
                continue;
            };
            match self.known(&path, Self::port)? {
                Some(Ok(port)) => {
                    target.ports.insert(id, port);
                }
                Some(Err(groups)) => {
                    target.unfinished_ports.insert(id, groups);
                }
                None => {}
            }
        }
        target.unmodelled = self.unmodelled;
        Ok(target)
    }

    fn subsystem(&mut self, path: &str) -> Result<Found<Subsystem>, ReadError> {
        if self.attribute(path, "passthru/enable")?.as_deref() == Some("1") {
            return Ok(Found::Unmodelled);
        }
        let Some(any) = self.attribute(path, "attr_allow_any_host")? else {
            return Ok(Found::Gone);
        };
        let mut subsystem = Subsystem {
            allow_any_host: any == "1",
            serial: self.padded(path, "attr_serial")?,
            model: self.padded(path, "attr_model")?,
            allowed_hosts: self.links(&format!("{path}/allowed_hosts"), layout::HOSTS)?,
            namespaces: BTreeMap::new(),
        };
        let namespaces = format!("{path}/namespaces");
        for entry in self.list(&namespaces)? {
            let path = format!("{namespaces}/{}", entry.name);
            let nsid = number(&entry.name).and_then(|nsid: u32| Nsid::try_from(nsid).ok());
            let Some(nsid) = nsid else {
                self.unmodelled.insert(path);
                continue;
            };
            if let Some(namespace) = self.known(&path, Self::namespace)? {
                subsystem.namespaces.insert(nsid, namespace);
            }
        }
        Ok(Found::Modelled(subsystem))
    }

    fn namespace(&mut self, path: &str) -> Result<Found<Namespace>, ReadError> {
        let (Some(device_path), Some(uuid), Some(nguid), Some(group), Some(enable)) = (
            self.attribute(path, "device_path")?,
            self.attribute(path, "device_uuid")?,
            self.attribute(path, "device_nguid")?,
            self.attribute(path, "ana_grpid")?,
            self.attribute(path, "enable")?,
        ) else {
            return Ok(Found::Gone);
        };
        let group = number(&group).and_then(|group: u32| AnaGroupId::try_from(group).ok());
        let (Ok(uuid), Ok(nguid), Some(ana_group)) =
            (Uuid::parse_str(&uuid), Uuid::parse_str(&nguid), group)
        else {
            return Ok(Found::Unmodelled);
        };
        if device_path.contains(char::REPLACEMENT_CHARACTER) {
            return Ok(Found::Unmodelled);
        }
        let device_path = match device_path.as_str() {
            NO_DEVICE => PathBuf::new(),
            path => path.into(),
        };
        Ok(Found::Modelled(Namespace {
            device_path,
            uuid,
            nguid,
            ana_group,
            enabled: enable == "1",
        }))
    }

    /// A port, or the ANA groups of an unfinished one.
    #[expect(
        clippy::type_complexity,
        reason = "a name for this would say less than the two types do"
    )]
    fn port(
        &mut self,
        path: &str,
    ) -> Result<Found<Result<Port, BTreeMap<AnaGroupId, AnaState>>>, ReadError> {
        let (Some(transport), Some(family), Some(address), Some(service)) = (
            self.attribute(path, "addr_trtype")?,
            self.attribute(path, "addr_adrfam")?,
            self.attribute(path, "addr_traddr")?,
            self.attribute(path, "addr_trsvcid")?,
        ) else {
            return Ok(Found::Gone);
        };
        if transport.is_empty() {
            // Just made. Its family may already say anything, and nothing can be linked to it.
            return Ok(Found::Modelled(Err(self.ana_groups(path)?)));
        }
        let (Some(transport), Some(family), Some(address), Some(service)) = (
            unless_empty(&transport, transport_named),
            unless_empty(&family, family_named),
            unless_empty(&address, |address| IpAddr::from_str(address).ok()),
            unless_empty(&service, number::<u16>),
        ) else {
            return Ok(Found::Unmodelled);
        };
        let links = format!("{path}/subsystems");
        let is_linked = !self.list(&links)?.is_empty();
        let complete = match (transport, family, address, service) {
            (Some(transport), Some(family), Some(address), Some(service))
                if Family::of(address) == family =>
            {
                Some((transport, address, service))
            }
            // Nothing can be linked to a port that lacks any of these.
            _ if is_linked => return Ok(Found::Unmodelled),
            _ => None,
        };
        let ana_groups = self.ana_groups(path)?;
        for referral in self.list(&format!("{path}/referrals"))? {
            self.unmodelled
                .insert(format!("{path}/referrals/{}", referral.name));
        }
        let Some((transport, address, service)) = complete else {
            return Ok(Found::Modelled(Err(ana_groups)));
        };
        Ok(Found::Modelled(Ok(Port {
            transport,
            address,
            service,
            ana_groups,
            subsystems: self.links(&links, layout::SUBSYSTEMS)?,
        })))
    }

    fn ana_groups(&mut self, port: &str) -> Result<BTreeMap<AnaGroupId, AnaState>, ReadError> {
        let mut groups = BTreeMap::new();
        let directory = format!("{port}/ana_groups");
        for entry in self.list(&directory)? {
            let path = format!("{directory}/{}", entry.name);
            let Some(state) = self.attribute(&path, "ana_state")? else {
                continue;
            };
            let group = number(&entry.name).and_then(|group: u32| AnaGroupId::try_from(group).ok());
            let state = AnaState::ALL
                .into_iter()
                .find(|known| known.as_str() == state);
            if let (Some(group), Some(state)) = (group, state) {
                groups.insert(group, state);
            } else {
                self.unmodelled.insert(path);
            }
        }
        Ok(groups)
    }

    /// The names of what is linked in `directory`; `targets` is where its links point to.
    fn links(&mut self, directory: &str, targets: &str) -> Result<BTreeSet<Nqn>, ReadError> {
        let mut names = BTreeSet::new();
        for Entry { name, links_to } in self.list(directory)? {
            // By another name than its target's we could not unlink it, and would take it for
            // something that it isn't.
            let is_what_it_says = links_to.as_ref() == Some(&name)
                && !self.unmodelled.contains(&format!("{targets}/{name}"));
            match name.parse() {
                Ok(nqn) if is_what_it_says => {
                    names.insert(nqn);
                }
                _ => {
                    self.unmodelled.insert(format!("{directory}/{name}"));
                }
            }
        }
        Ok(names)
    }

    /// Reads a directory with `read` and sorts out what it found.
    fn known<M>(
        &mut self,
        path: &str,
        read: impl FnOnce(&mut Self, &str) -> Result<Found<M>, ReadError>,
    ) -> Result<Option<M>, ReadError> {
        Ok(match read(self, path)? {
            Found::Modelled(modelled) => Some(modelled),
            Found::Unmodelled => {
                self.unmodelled.insert(path.to_owned());
                None
            }
            Found::Gone => None,
        })
    }

    fn nqn(&mut self, directory: &str, name: &str) -> Option<Nqn> {
        let nqn = name.parse().ok();
        if nqn.is_none() {
            self.unmodelled.insert(format!("{directory}/{name}"));
        }
        nqn
    }

    /// An attribute's text without its newline; `None` if it isn't there.
    fn attribute(&self, directory: &str, name: &str) -> Result<Option<String>, ReadError> {
        let path = self.root.join(directory).join(name);
        match self.tree.read(&path) {
            Ok(value) => {
                let value = value.strip_suffix(b"\n").unwrap_or(&value);
                Ok(Some(String::from_utf8_lossy(value).into_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::Path { path, source }),
        }
    }

    /// An attribute that the kernel pads with blanks.
    fn padded(&self, directory: &str, name: &str) -> Result<Option<String>, ReadError> {
        let value = self.attribute(directory, name)?;
        let trimmed = value.map(|value| value.trim_end().to_owned());
        Ok(trimmed.filter(|value| !value.is_empty()))
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, ReadError> {
        let path = self.root.join(directory);
        match self.tree.list(&path) {
            Ok(entries) => Ok(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(ReadError::Path { path, source }),
        }
    }
}

/// A number in the one spelling that we would write: `mkdir namespaces/0x1` makes namespace 1 too,
/// and then `namespaces/1` isn't there.
fn number<N: FromStr + Display>(text: &str) -> Option<N> {
    text.parse()
        .ok()
        .filter(|number: &N| number.to_string() == text)
}

/// `Some(None)` for an attribute that isn't set, `None` for a value that the model can't say.
#[expect(
    clippy::option_option,
    reason = "unset and unknown are different things"
)]
fn unless_empty<V>(text: &str, parse: impl FnOnce(&str) -> Option<V>) -> Option<Option<V>> {
    if text.is_empty() {
        return Some(None);
    }
    parse(text).map(Some)
}

fn transport_named(name: &str) -> Option<Transport> {
    (name == Transport::Tcp.as_str()).then_some(Transport::Tcp)
}

fn family_named(name: &str) -> Option<Family> {
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .find(|family| family.as_str() == name)
}
