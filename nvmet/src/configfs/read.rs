//! From the tree to the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::layout;
use crate::model::{
    AnaGroupId, AnaState, Authentication, DhGroup, DhHash, Namespace, Nsid, Oui, P2pMem, Parsed,
    Port, PortId, Raw, Referral, ReferralName, Secret, Subsystem, Target, Treq, Tsas,
    UnfinishedPort,
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
        if let Some(name) = self.attribute("", layout::DISCOVERY_NQN)? {
            // Any other name was set by somebody whose affair it stays.
            target.discovery_nqn = name.parse().ok();
        }
        for entry in self.list(layout::HOSTS)? {
            if let Some(host) = self.nqn(layout::HOSTS, &entry.name) {
                let authentication = self.authentication(&layout::host(&host))?;
                target.hosts.insert(host, authentication);
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
                Some(Err(unfinished)) => {
                    target.unfinished_ports.insert(id, unfinished);
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
            allowed_hosts: self.links(&format!("{path}/allowed_hosts"), layout::HOSTS)?,
            serial: self.padded(path, "attr_serial")?,
            model: self.padded(path, "attr_model")?,
            firmware: self.padded(path, "attr_firmware")?,
            ieee_oui: self
                .attribute(path, "attr_ieee_oui")?
                .and_then(|oui| Oui::try_from(hexadecimal(&oui)?).ok()),
            version: self.parsed(path, "attr_version")?,
            cntlid_min: self.parsed(path, "attr_cntlid_min")?,
            cntlid_max: self.parsed(path, "attr_cntlid_max")?,
            qid_max: self.parsed(path, "attr_qid_max")?,
            pi_enable: self.boolean(path, "attr_pi_enable")?,
            vendor_id: self.vendor(path, "attr_vendor_id")?,
            subsys_vendor_id: self.vendor(path, "attr_subsys_vendor_id")?,
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
            buffered_io: self.boolean(path, "buffered_io")?,
            resv_enable: self.boolean(path, "resv_enable")?,
            p2pmem: self
                .attribute(path, "p2pmem")?
                .map(|p2p| match p2p.as_str() {
                    "0" => P2pMem::Off,
                    "1" => P2pMem::Auto,
                    device => P2pMem::Device(device.to_owned()),
                }),
        }))
    }

    /// A port, or what is below an unfinished one.
    fn port(&mut self, path: &str) -> Result<Found<Result<Port, UnfinishedPort>>, ReadError> {
        let Some(raw) = self.raw(path)? else {
            return Ok(Found::Gone);
        };
        let links = format!("{path}/subsystems");
        let portal = match raw.parse() {
            Parsed::Portal(portal) => portal,
            // Nothing can be linked to a port that lacks any of it.
            Parsed::Incomplete if self.list(&links)?.is_empty() => {
                return Ok(Found::Modelled(Err(UnfinishedPort {
                    ana_groups: self.ana_groups(path)?,
                    referrals: self.referrals(path)?,
                })));
            }
            Parsed::Incomplete | Parsed::Foreign => return Ok(Found::Unmodelled),
        };
        let chosen = |text: Option<String>| text.filter(|text| !text.starts_with('-'));
        let parameter =
            |name| -> Result<Option<String>, ReadError> { Ok(chosen(self.attribute(path, name)?)) };
        let mut port = Port {
            treq: self
                .attribute(path, "addr_treq")?
                .and_then(|word| Treq::named(&word)),
            tsas: self
                .attribute(path, "addr_tsas")?
                .and_then(|word| Tsas::named(&word)),
            inline_data_size: parameter("param_inline_data_size")?.and_then(|n| number(&n)),
            max_queue_size: parameter("param_max_queue_size")?.and_then(|n| number(&n)),
            mdts: parameter("param_mdts")?.and_then(|n| number(&n)),
            pi_enable: self.boolean(path, "param_pi_enable")?,
            ..Port::new(portal)
        };
        port.ana_groups = self.ana_groups(path)?;
        port.referrals = self.referrals(path)?;
        port.subsystems = self.links(&links, layout::SUBSYSTEMS)?;
        Ok(Found::Modelled(Ok(port)))
    }

    fn referrals(&mut self, port: &str) -> Result<BTreeMap<ReferralName, Referral>, ReadError> {
        let mut referrals = BTreeMap::new();
        let directory = format!("{port}/referrals");
        for entry in self.list(&directory)? {
            let path = format!("{directory}/{}", entry.name);
            let Ok(name) = entry.name.parse() else {
                self.unmodelled.insert(path);
                continue;
            };
            if let Some(referral) = self.known(&path, Self::referral)? {
                referrals.insert(name, referral);
            }
        }
        Ok(referrals)
    }

    fn referral(&mut self, path: &str) -> Result<Found<Referral>, ReadError> {
        let (Some(raw), Some(port_id), Some(enable)) = (
            self.raw(path)?,
            self.attribute(path, "addr_portid")?,
            self.attribute(path, "enable")?,
        ) else {
            return Ok(Found::Gone);
        };
        let portal = match raw.parse() {
            Parsed::Portal(portal) => Some(portal),
            Parsed::Incomplete => None,
            Parsed::Foreign => return Ok(Found::Unmodelled),
        };
        let Some(port_id) = number(&port_id) else {
            return Ok(Found::Unmodelled);
        };
        Ok(Found::Modelled(Referral {
            portal,
            port_id,
            treq: self
                .attribute(path, "addr_treq")?
                .and_then(|word| Treq::named(&word)),
            enabled: enable == "1",
        }))
    }

    fn raw(&self, path: &str) -> Result<Option<Raw>, ReadError> {
        let (Some(transport), Some(family), Some(address), Some(service)) = (
            self.attribute(path, "addr_trtype")?,
            self.attribute(path, "addr_adrfam")?,
            self.attribute(path, "addr_traddr")?,
            self.attribute(path, "addr_trsvcid")?,
        ) else {
            return Ok(None);
        };
        Ok(Some(Raw {
            transport,
            family,
            address,
            service,
        }))
    }

    fn authentication(&self, path: &str) -> Result<Authentication, ReadError> {
        let key = |name| -> Result<Option<Secret>, ReadError> {
            Ok(self.attribute(path, name)?.map(Secret::new))
        };
        Ok(Authentication {
            key: key("dhchap_key")?,
            controller_key: key("dhchap_ctrl_key")?,
            hash: self
                .attribute(path, "dhchap_hash")?
                .and_then(|word| DhHash::named(&word)),
            group: self
                .attribute(path, "dhchap_dhgroup")?
                .and_then(|word| DhGroup::named(&word)),
        })
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
            if let (Some(group), Some(state)) = (group, AnaState::named(&state)) {
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

    fn parsed<V: FromStr>(&self, directory: &str, name: &str) -> Result<Option<V>, ReadError> {
        Ok(self
            .attribute(directory, name)?
            .and_then(|text| text.parse().ok()))
    }

    fn boolean(&self, directory: &str, name: &str) -> Result<Option<bool>, ReadError> {
        Ok(self.attribute(directory, name)?.map(|text| text == "1"))
    }

    fn vendor(&self, directory: &str, name: &str) -> Result<Option<u16>, ReadError> {
        let id = self.attribute(directory, name)?;
        Ok(id.and_then(|id| u16::try_from(hexadecimal(&id)?).ok()))
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

/// As the kernel's `0x%x`.
fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    u32::from_str_radix(digits, 16).ok()
}
