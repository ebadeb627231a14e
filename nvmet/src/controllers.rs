//! The NVMe controllers that this machine uses as a host, as sysfs shows them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::nqn::Nqn;
use crate::sysfs;

/// A connection to a subsystem (or a local NVMe drive).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Its name in sysfs, such as `nvme0`.
    pub name: String,
    /// The subsystem. Text, because local drives have names that are no valid NQN.
    pub nqn: String,
    /// The host's NQN; local drives have none.
    pub host_nqn: Option<String>,
    /// The host's id; local drives have none.
    pub host_id: Option<Uuid>,
    /// Transport: `tcp`, `pcie`, ….
    pub transport: String,
    /// Address as the kernel shows it, such as `traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.2`.
    pub address: String,
    /// State.
    pub state: State,
    /// Controller id that the target gave it.
    pub cntlid: Option<u16>,
    /// The namespaces it can reach. With native multipath all controllers of a subsystem have the
    /// same ones.
    pub namespaces: Vec<Disk>,
}

/// A namespace as a block device that can be used: with native multipath the one above the paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// Its name, such as `nvme0n1`; the device is `/dev/` and this.
    pub name: String,
    /// Its namespace id in the subsystem.
    pub nsid: Option<u32>,
    /// Its UUID, or the NGUID where the target gives no UUID.
    pub uuid: Option<Uuid>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its device number, such as `259:0`.
    pub device_number: Option<String>,
}

/// States of a controller (`nvme_sysfs_show_state` in drivers/nvme/host/sysfs.c).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being set up.
    New,
    /// In use.
    Live,
    /// Being reset.
    Resetting,
    /// Lost, and trying to reconnect until the controller loss timeout.
    Connecting,
    /// Going away.
    Deleting,
    /// Given up.
    Dead,
    /// What a newer kernel may add.
    #[serde(untagged)]
    Other(String),
}

/// Why controllers can't be listed.
#[derive(Debug, Error)]
#[error("{}: cannot be read", .path.display())]
pub struct ListError {
    path: PathBuf,
    source: io::Error,
}

impl Controller {
    /// The target's address, from [`Controller::address`].
    #[must_use]
    pub fn target_address(&self) -> Option<IpAddr> {
        self.address_part("traddr")?.parse().ok()
    }

    /// The target's service, from [`Controller::address`].
    #[must_use]
    pub fn service(&self) -> Option<u16> {
        self.address_part("trsvcid")?.parse().ok()
    }

    fn address_part(&self, key: &str) -> Option<&str> {
        let mut parts = self.address.split(',');
        parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
    }
}

impl State {
    /// Whether the controller is, or will by itself be, usable.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !matches!(self, State::Deleting | State::Dead)
    }

    fn named(name: &str) -> State {
        match name {
            "new" => State::New,
            "live" => State::Live,
            "resetting" => State::Resetting,
            "connecting" => State::Connecting,
            "deleting" | "deleting (no IO)" => State::Deleting,
            "dead" => State::Dead,
            other => State::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::New => "new",
            State::Live => "live",
            State::Resetting => "resetting",
            State::Connecting => "connecting",
            State::Deleting => "deleting",
            State::Dead => "dead",
            State::Other(other) => other,
        })
    }
}

/// The controllers below `sysfs` (`/sys`), ordered by name. What goes away meanwhile is left out.
///
/// # Errors
/// A path can't be read. A machine without the NVMe module has no controllers.
pub fn list(sysfs: &Path) -> Result<Vec<Controller>, ListError> {
    let class = sysfs.join("class/nvme");
    let mut disks = disks(sysfs)?;
    let subsystems = subsystems(sysfs)?;
    let mut controllers = Vec::new();
    for name in names(&class)? {
        let directory = class.join(&name);
        let (Some(nqn), Some(state)) = (
            attribute(&directory, "subsysnqn")?,
            attribute(&directory, "state")?,
        ) else {
            continue;
        };
        let text = |attribute_name| attribute(&directory, attribute_name);
        // Without native multipath a namespace belongs to its controller, with it to the subsystem.
        let mut namespaces = disks.remove(&name).unwrap_or_default();
        let shared = subsystems
            .get(&name)
            .and_then(|subsystem| disks.get(subsystem));
        namespaces.extend(shared.into_iter().flatten().cloned());
        controllers.push(Controller {
            nqn,
            host_nqn: text("hostnqn")?,
            host_id: text("hostid")?.and_then(|id| id.parse().ok()),
            transport: text("transport")?.unwrap_or_default(),
            address: text("address")?.unwrap_or_default(),
            state: State::named(&state),
            cntlid: text("cntlid")?.and_then(|id| id.parse().ok()),
            namespaces,
            name,
        });
    }
    controllers.sort_by_key(|controller| (controller.name.len(), controller.name.clone()));
    Ok(controllers)
}

/// Those of a subsystem, whoever the host.
pub(crate) fn of_subsystem(controllers: &[Controller], nqn: &Nqn) -> Vec<Controller> {
    let is_of = |controller: &&Controller| controller.nqn == nqn.as_str();
    controllers.iter().filter(is_of).cloned().collect()
}

/// Usable namespaces by what they belong to: a controller (`nvme0`) or a subsystem (`nvme-subsys0`).
fn disks(sysfs: &Path) -> Result<BTreeMap<String, Vec<Disk>>, ListError> {
    let block = sysfs.join("block");
    let mut disks: BTreeMap<String, Vec<Disk>> = BTreeMap::new();
    for name in names(&block)?.into_iter().filter(|name| is_usable(name)) {
        let directory = block.join(&name);
        let device = directory.join("device");
        let owner = sysfs::link(&device).map_err(|source| ListError {
            path: device,
            source,
        })?;
        let (Some(owner), Some(sectors)) = (owner, attribute(&directory, "size")?) else {
            continue;
        };
        if attribute(&directory, "hidden")?.is_some_and(|hidden| hidden == "1") {
            continue;
        }
        let sectors: u64 = sectors.parse().unwrap_or(0);
        disks.entry(owner).or_default().push(Disk {
            nsid: attribute(&directory, "nsid")?.and_then(|nsid| nsid.parse().ok()),
            uuid: uuid(&directory)?,
            // sysfs counts in 512 bytes, whatever the logical block size is.
            size_bytes: sectors.saturating_mul(512),
            device_number: attribute(&directory, "dev")?,
            name,
        });
    }
    Ok(disks)
}

/// Controllers by name, and the subsystem each belongs to.
fn subsystems(sysfs: &Path) -> Result<BTreeMap<String, String>, ListError> {
    let class = sysfs.join("class/nvme-subsystem");
    let mut subsystem_of = BTreeMap::new();
    for subsystem in names(&class)? {
        for member in names(&class.join(&subsystem))? {
            subsystem_of.insert(member, subsystem.clone());
        }
    }
    Ok(subsystem_of)
}

/// The `uuid` attribute isn't there in every kernel and for every disk; `wwid` always is.
fn uuid(directory: &Path) -> Result<Option<Uuid>, ListError> {
    let uuid = attribute(directory, "uuid")?.and_then(|uuid| uuid.parse().ok());
    if uuid.is_some() {
        return Ok(uuid);
    }
    let wwid = attribute(directory, "wwid")?;
    Ok(wwid.and_then(|wwid| wwid.strip_prefix("uuid.")?.parse().ok()))
}

/// `nvme0n1`, and not the path `nvme0c1n1` that native multipath hides, nor a partition.
fn is_usable(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix("nvme")
        .and_then(|numbers| numbers.split_once('n'))
        .is_some_and(|(instance, namespace)| is_number(instance) && is_number(namespace))
}

fn attribute(directory: &Path, name: &str) -> Result<Option<String>, ListError> {
    sysfs::attribute(directory, name).map_err(|source| ListError {
        path: directory.join(name),
        source,
    })
}

fn names(directory: &Path) -> Result<Vec<String>, ListError> {
    sysfs::names(directory).map_err(|source| ListError {
        path: directory.to_owned(),
        source,
    })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
