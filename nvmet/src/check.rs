//! What is wrong with a wanted target, found before anything is written. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;
use uuid::Uuid;

use crate::layout;
use crate::model::{AnaGroupId, Nsid, PortId, Subsystem, Target};
use crate::nqn::Nqn;

mod ports;
mod values;

use values::{check_host, check_numbers, path_rule, text_rule};

/// The NQN of the kernel's own discovery subsystem (NVME_DISC_SUBSYS_NAME in include/linux/nvme.h).
const DISCOVERY: &str = "nqn.2014-08.org.nvmexpress.discovery";
/// Characters of a serial number (NVMET_SN_MAX_SIZE in drivers/nvme/target/nvmet.h).
const SERIAL: usize = 20;
/// Characters of a model number (NVMET_MN_MAX_SIZE).
const MODEL: usize = 40;
/// Characters of a firmware revision (NVMET_FR_MAX_SIZE).
const FIRMWARE: usize = 8;
/// Namespaces of a subsystem (NVMET_MAX_NAMESPACES).
const NAMESPACES: usize = 1024;

/// Refuses a target that must not be written, see [`Violation`].
///
/// # Errors
/// Everything that is wrong, not only the first thing.
pub fn check(want: &Target) -> Result<(), CheckError> {
    Check::default().run(want)
}

/// [`check()`] with more to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Check<'a> {
    /// Whether a port may listen on every address of the machine (0.0.0.0, ::).
    pub allow_unspecified_address: bool,
    /// What is there already. Faults that it has too are not the caller's: somebody else's broken
    /// subsystem must not keep others from working.
    pub have: Option<&'a Target>,
}

/// What is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", Lines(.0))]
pub struct CheckError(pub Vec<Violation>);

/// One thing that is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(
    missing_docs,
    reason = "the messages say what the variants and fields are"
)]
pub enum Violation {
    #[error(
        "subsystem {subsystem}: its name is, or begins with, the kernel's own discovery subsystem's"
    )]
    Discovery { subsystem: Nqn },
    #[error("host {host}: {attribute} {rule}")]
    Key {
        host: Nqn,
        attribute: &'static str,
        rule: &'static str,
    },
    #[error("subsystem {subsystem}: {attribute} {value} {rule}")]
    Number {
        subsystem: Nqn,
        attribute: &'static str,
        value: u16,
        rule: &'static str,
    },
    #[error("subsystem {subsystem}, namespace {nsid}: p2pmem `{device}` is no PCI device's name")]
    P2pMem {
        subsystem: Nqn,
        nsid: Nsid,
        device: String,
    },
    #[error("subsystem {subsystem}: {attribute} `{value}` {rule}")]
    Text {
        subsystem: Nqn,
        attribute: &'static str,
        value: String,
        rule: String,
    },
    #[error("subsystem {subsystem}: allowed host {host} is not among the target's hosts")]
    UnknownHost { subsystem: Nqn, host: Nqn },
    #[error("subsystem {subsystem}: allows any host and lists hosts; the kernel has either")]
    AnyHostAndHosts { subsystem: Nqn },
    #[error("subsystem {subsystem}: {count} namespaces, the kernel has at most 1024")]
    TooManyNamespaces { subsystem: Nqn, count: usize },
    #[error("subsystem {subsystem}, namespace {nsid}: device path `{}` {rule}", .path.display())]
    DevicePath {
        subsystem: Nqn,
        nsid: Nsid,
        path: PathBuf,
        rule: &'static str,
    },
    #[error(
        "{kind} {identity} is both namespace {} of {} and namespace {} of {}, which a host could \
         not tell apart", .first.1, .first.0, .second.1, .second.0
    )]
    SameIdentity {
        kind: &'static str,
        identity: Uuid,
        first: (Nqn, Nsid),
        second: (Nqn, Nsid),
    },
    #[error("port {port}{referral}: {attribute} {rule}")]
    Portal {
        port: PortId,
        /// Empty, or which referral of the port's.
        referral: String,
        attribute: &'static str,
        rule: &'static str,
    },
    #[error("port {port}: there is no subsystem {subsystem}")]
    UnknownSubsystem { port: PortId, subsystem: Nqn },
    #[error("port {port}: has no ANA group {group}, in which namespace {nsid} of {subsystem} is")]
    UnknownAnaGroup {
        port: PortId,
        subsystem: Nqn,
        nsid: Nsid,
        group: AnaGroupId,
    },
    #[error("port {port}: {address} would listen everywhere, which has to be asked for")]
    UnspecifiedAddress { port: PortId, address: SocketAddr },
    #[error("port {port}: service 0 would be a random TCP port")]
    NoService { port: PortId },
    #[error("ports {first} and {second}: both listen on {address}")]
    SameAddress {
        first: PortId,
        second: PortId,
        address: SocketAddr,
    },
    #[error("{path}: there is one already that this library can't represent and leaves alone")]
    Unmodelled { path: String },
}

struct Lines<'a>(&'a [Violation]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, violation) in self.0.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

impl Check<'_> {
    /// Refuses a target that must not be written.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn run(&self, want: &Target) -> Result<(), CheckError> {
        let mut found = self.violations(want);
        if let Some(have) = self.have {
            let old = self.violations(have);
            found.retain(|violation| !old.contains(violation));
        }
        if found.is_empty() {
            return Ok(());
        }
        Err(CheckError(found))
    }

    fn violations(&self, target: &Target) -> Vec<Violation> {
        let mut found = Vec::new();
        for (host, authentication) in &target.hosts {
            check_host(host, authentication, &mut found);
        }
        for (nqn, subsystem) in &target.subsystems {
            check_subsystem(target, nqn, subsystem, &mut found);
        }
        check_identities(target, &mut found);
        self.check_ports(target, &mut found);
        check_unmodelled(target, &mut found);
        found
    }
}

fn check_subsystem(target: &Target, nqn: &Nqn, subsystem: &Subsystem, found: &mut Vec<Violation>) {
    let discovery = target.discovery_nqn.as_ref().map_or(DISCOVERY, Nqn::as_str);
    if nqn.as_str() == DISCOVERY || nqn.as_str().starts_with(discovery) {
        found.push(Violation::Discovery {
            subsystem: nqn.clone(),
        });
    }
    for (attribute, value, longest) in [
        ("serial", &subsystem.serial, SERIAL),
        ("model", &subsystem.model, MODEL),
        ("firmware", &subsystem.firmware, FIRMWARE),
    ] {
        if let Some(value) = value
            && let Some(rule) = text_rule(value, longest)
        {
            found.push(Violation::Text {
                subsystem: nqn.clone(),
                attribute,
                value: value.clone(),
                rule,
            });
        }
    }
    check_numbers(nqn, subsystem, found);
    let is_unknown = |host: &&Nqn| !target.hosts.contains_key(host);
    for host in subsystem.allowed_hosts.iter().filter(is_unknown) {
        found.push(Violation::UnknownHost {
            subsystem: nqn.clone(),
            host: host.clone(),
        });
    }
    if subsystem.allow_any_host && !subsystem.allowed_hosts.is_empty() {
        found.push(Violation::AnyHostAndHosts {
            subsystem: nqn.clone(),
        });
    }
    if subsystem.namespaces.len() > NAMESPACES {
        found.push(Violation::TooManyNamespaces {
            subsystem: nqn.clone(),
            count: subsystem.namespaces.len(),
        });
    }
    for (&nsid, namespace) in &subsystem.namespaces {
        if let Some(rule) = path_rule(&namespace.device_path, namespace.enabled) {
            found.push(Violation::DevicePath {
                subsystem: nqn.clone(),
                nsid,
                path: namespace.device_path.clone(),
                rule,
            });
        }
    }
}

/// A host refuses the second of two disks with one identity (nvme_global_check_duplicate_ids in
/// drivers/nvme/host/core.c). Two subsystems may only share one if no host can ever see both.
fn check_identities(target: &Target, found: &mut Vec<Violation>) {
    let mut seen: BTreeMap<(&'static str, Uuid), Vec<(&Nqn, Nsid)>> = BTreeMap::new();
    for (nqn, subsystem) in &target.subsystems {
        for (&nsid, namespace) in &subsystem.namespaces {
            for (kind, identity) in [("uuid", namespace.uuid), ("nguid", namespace.nguid)] {
                if identity.is_nil() {
                    continue;
                }
                let others = seen.entry((kind, identity)).or_default();
                if let Some((other, other_nsid)) = others
                    .iter()
                    .find(|(other, _)| share_a_host(target, other, nqn))
                {
                    found.push(Violation::SameIdentity {
                        kind,
                        identity,
                        first: ((*other).clone(), *other_nsid),
                        second: (nqn.clone(), nsid),
                    });
                }
                others.push((nqn, nsid));
            }
        }
    }
}

/// Whether a host may be allowed on both, which may be one and the same. A subsystem that lists none could get any.
fn share_a_host(target: &Target, one: &Nqn, other: &Nqn) -> bool {
    let (one, other) = (&target.subsystems[one], &target.subsystems[other]);
    let open =
        |subsystem: &Subsystem| subsystem.allow_any_host || subsystem.allowed_hosts.is_empty();
    open(one) || open(other) || !one.allowed_hosts.is_disjoint(&other.allowed_hosts)
}

fn check_unmodelled(target: &Target, found: &mut Vec<Violation>) {
    let mut paths: Vec<String> = target.hosts.keys().map(layout::host).collect();
    for (nqn, subsystem) in &target.subsystems {
        paths.push(layout::subsystem(nqn));
        let hosts = subsystem.allowed_hosts.iter();
        paths.extend(hosts.map(|host| layout::allowed_host(nqn, host)));
        let nsids = subsystem.namespaces.keys();
        paths.extend(nsids.map(|nsid| layout::namespace(nqn, *nsid)));
    }
    for (id, port) in &target.ports {
        paths.push(layout::port(*id));
        paths.extend(
            port.subsystems
                .iter()
                .map(|nqn| layout::port_link(*id, nqn)),
        );
        let referrals = port.referrals.keys();
        paths.extend(referrals.map(|name| layout::referral(*id, name)));
        let groups = port.ana_groups.keys();
        paths.extend(groups.map(|group| layout::ana_group(*id, *group)));
    }
    for path in paths {
        if target.unmodelled.contains(&path) {
            found.push(Violation::Unmodelled { path });
        }
    }
}

#[cfg(test)]
mod tests;
