//! Where a node finds a volume that was granted to it: what the API says now, and not what a request remembers.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_api::crd::Volume;
use weir_api::names::{Generation, MappingName, NodeName, VolumeId, host_nqn};

use crate::attachment;
use crate::failure::Failure;
use crate::parameters::Link;

/// Where a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// On this node: the device mapping of this name.
    Local(String),
    /// On another one: a way for each portal.
    Remote(Vec<Way>),
}

/// A way to a volume on another node: one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Way {
    /// The subsystem.
    pub nqn: String,
    /// Who this node is to it.
    pub host_nqn: String,
    /// Where it listens.
    pub portal: SocketAddr,
    /// Seconds after which a lost target is given up; none: never.
    pub loss_timeout: Option<u32>,
    /// Seconds between two attempts.
    pub reconnect_delay: u32,
    /// Seconds after which I/O fails while it is still tried; none: with `loss_timeout`.
    pub fast_io_fail: Option<u32>,
}

/// What a grant says to the node it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where the volume is.
    pub source: Source,
    /// Whether it may only be read.
    pub is_read_only: bool,
    /// Which grant it is.
    pub generation: Generation,
}

/// What a request may know of a grant that must not be otherwise by now. (Portals may.)
const FIXED: [&str; 5] = ["devicePath", "nqn", "hostNqn", "nsid", "uuid"];

/// The generation that a request's `publish_context` names.
///
/// # Errors
/// It names none.
pub fn generation(context: &HashMap<String, String>) -> Result<Generation, Failure> {
    let text = context.get("generation").ok_or_else(|| {
        Failure::Invalid(
            "publish_context: `generation` is missing: ControllerPublishVolume gives it".to_owned(),
        )
    })?;
    let number = text.parse().map_err(|_| {
        Failure::Invalid(format!("publish_context: generation `{text}` is no number"))
    })?;
    Ok(Generation(number))
}

/// What is granted to a node.
///
/// # Errors
/// The grant that the request knows is over, not there yet, or another one than it says.
pub fn granted(
    volume: &Volume,
    node: &NodeName,
    context: &HashMap<String, String>,
    link: &Link,
) -> Result<Grant, Failure> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let asked = generation(context)?;
    if volume.metadata.deletion_timestamp.is_some() {
        let message = format!("volume `{name}` is being deleted");
        return Err(Failure::Precondition(message));
    }
    let mut grants = volume.spec.attachments.iter();
    let Some(own) = grants.find(|one| one.node_name == *node) else {
        let message = format!("volume `{name}` is not granted to node `{node}`");
        return Err(Failure::Precondition(message));
    };
    if own.generation != asked {
        return Err(Failure::Precondition(format!(
            "volume `{name}`: the request knows grant {asked} to node `{node}`, which is {} by now",
            own.generation
        )));
    }
    let now = attachment::granted(volume, node, asked)?.map_err(|waits| {
        Failure::Precondition(format!(
            "volume `{name}` can't be used on node `{node}` yet: {waits}"
        ))
    })?;
    if let Some(name) = FIXED
        .iter()
        .find(|name| context.contains_key(**name) && context.get(**name) != now.get(**name))
    {
        return Err(Failure::Invalid(format!(
            "publish_context: {name} is `{}`, and the volume's is `{}`",
            context.get(*name).map_or("", String::as_str),
            now.get(*name).map_or("", String::as_str)
        )));
    }
    let source = source(&now, volume.spec.id, node, asked, link).map_err(|wrong| {
        Failure::Internal(format!(
            "volume `{name}`: what its status says of its grant can't be used: {wrong}"
        ))
    })?;
    Ok(Grant {
        source,
        is_read_only: own.read_only,
        generation: asked,
    })
}

fn source(
    context: &BTreeMap<String, String>,
    id: VolumeId,
    node: &NodeName,
    generation: Generation,
    link: &Link,
) -> Result<Source, String> {
    if let Some(path) = context.get("devicePath") {
        return mapping(path, id)
            .map(Source::Local)
            .ok_or_else(|| format!("`{path}` is no device of the volume's"));
    }
    let text = |name: &str| context.get(name).cloned().unwrap_or_default();
    let (nqn, host) = (text("nqn"), text("hostNqn"));
    if VolumeId::from_nqn(&nqn) != Some(id) || text("uuid") != id.to_string() {
        return Err(format!("`{nqn}` is no subsystem of the volume's"));
    }
    if host != host_nqn(node, generation) {
        return Err(format!(
            "host `{host}` is not this node's name for the grant"
        ));
    }
    let portals = text("portals");
    let portals = portals.split(',').map(|one| {
        let address = one
            .strip_prefix("tcp://")
            .and_then(|address| address.parse().ok());
        address.ok_or_else(|| format!("portal `{one}` is no tcp://ADDRESS:PORT"))
    });
    let most = link.portals.map_or(usize::MAX, usize::from);
    let ways = portals.take(most).map(|portal| {
        Ok(Way {
            nqn: nqn.clone(),
            host_nqn: host.clone(),
            portal: portal?,
            loss_timeout: link.loss_timeout,
            reconnect_delay: link.reconnect_delay,
            fast_io_fail: link.fast_io_fail,
        })
    });
    ways.collect::<Result<Vec<_>, String>>().map(Source::Remote)
}

/// The device mapping at a path, if it is the volume's: `/dev/mapper/NAME` or `/dev/GROUP/w_…`.
#[must_use]
pub fn mapping(path: &str, id: VolumeId) -> Option<String> {
    let path = Path::new(path);
    let (directory, last) = (path.parent()?, path.file_name()?.to_str()?);
    let name = match directory.to_str()? {
        "/dev/mapper" => last.to_owned(),
        group => {
            let group = group
                .strip_prefix("/dev/")
                .filter(|group| !group.contains('/'))?;
            // As device mapper spells LVM's names.
            format!("{}-{}", group.replace('-', "--"), last.replace('-', "--"))
        }
    };
    is_of(&name, id).then_some(name)
}

/// Whether a device mapping of this name is a volume's: its logical volume, or a grant's own mapping.
#[must_use]
pub fn is_of(name: &str, id: VolumeId) -> bool {
    let own = name
        .strip_prefix("weir-")
        .and_then(|rest| MappingName::from_dm_uuid(&format!("WEIR-{rest}")));
    own.is_some_and(|own| own.volume() == Some(id)) || is_logical_volume(name, id)
}

/// Whether a device mapping of this name is a volume's logical volume.
#[must_use]
pub fn is_logical_volume(name: &str, id: VolumeId) -> bool {
    // A hyphen between group and volume, which is not one of a doubled pair: the group's name may end in hyphens.
    let group = name
        .strip_suffix(&id.lv_name())
        .and_then(|group| group.strip_suffix('-'));
    group.is_some_and(|group| {
        !group.is_empty() && group.bytes().rev().take_while(|b| *b == b'-').count() % 2 == 0
    })
}

/// Whether a device mapping of this name is a grant to a node.
#[must_use]
pub fn is_grant_to(name: &str, id: VolumeId, node: &NodeName) -> bool {
    let any = id.mapping(node, Generation(0)).dm_name();
    let prefix = any.strip_suffix('0').unwrap_or(&any);
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
