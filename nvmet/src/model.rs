//! The target as plain data: what [`crate::configfs`] reads, what a caller wants, what
//! [`crate::plan()`] compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::nqn::Nqn;
use crate::unique;

/// Everything below `/sys/kernel/config/nvmet`.
///
/// Whoever wants a change reads the target, edits its own things in a copy and plans from the one
/// to the other: what it doesn't know is equal on both sides and therefore stays.
///
/// Read from JSON, a key or an entry that is there twice is an error, not the last one's win.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Hosts that a subsystem may name.
    #[serde(deserialize_with = "unique::set")]
    pub hosts: BTreeSet<Nqn>,
    /// Subsystems.
    #[serde(deserialize_with = "unique::map")]
    pub subsystems: BTreeMap<Nqn, Subsystem>,
    /// Ports.
    #[serde(deserialize_with = "unique::map")]
    pub ports: BTreeMap<PortId, Port>,
    /// Ports whose making stopped half-way: a directory without a usable address, and their ANA
    /// groups. One that is in [`Target::ports`] too is finished by the plan (`ports` wins); one that
    /// is here on both sides stays; one that is not wanted at all is removed.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique::map"
    )]
    pub unfinished_ports: BTreeMap<PortId, BTreeMap<AnaGroupId, AnaState>>,
    /// Paths below the root that this model can't say, such as a port of another transport, a
    /// passthru subsystem, or a host whose name is no NQN. Reading reports them, [`crate::plan()`]
    /// never looks at them, and no change ever names them. Where one of them lies below or links to
    /// something that is to be removed, the kernel refuses that removal (ENOTEMPTY, EBUSY).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unmodelled: BTreeSet<String>,
}

/// What a host connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsystem {
    /// Whether any host may connect, whatever `allowed_hosts` says. Skips authentication too.
    pub allow_any_host: bool,
    /// Hosts that may connect; each is in [`Target::hosts`].
    #[serde(deserialize_with = "unique::set")]
    pub allowed_hosts: BTreeSet<Nqn>,
    /// Serial number, at most 20 printable ASCII characters. The kernel makes up a random one per
    /// directory, and a host that sees another serial after a reboot sees another disk. `None`
    /// leaves the kernel's.
    pub serial: Option<String>,
    /// Model number, at most 40 printable ASCII characters. `None` leaves the kernel's.
    pub model: Option<String>,
    /// Namespaces.
    #[serde(deserialize_with = "unique::map")]
    pub namespaces: BTreeMap<Nsid, Namespace>,
}

/// A block device, as a namespace of a subsystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The block device, as an absolute path. Empty where none was set yet: a namespace that was
    /// made and not finished.
    pub device_path: PathBuf,
    /// Identity by which hosts know the disk.
    pub uuid: Uuid,
    /// Identity by which hosts that don't read the UUID know the disk.
    pub nguid: Uuid,
    /// ANA group; its state on a port says whether the namespace is reachable there.
    pub ana_group: AnaGroupId,
    /// Whether hosts see it.
    pub enabled: bool,
}

/// An address that the target listens on, and the subsystems reachable there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Transport.
    pub transport: Transport,
    /// Address family and address. Its family is what `addr_adrfam` says.
    pub address: IpAddr,
    /// Transport service id: the TCP port.
    pub service: u16,
    /// State of each ANA group that has a directory; group 1 always has one. A wanted port that
    /// doesn't name group 1 leaves it as it is.
    #[serde(deserialize_with = "unique::map")]
    pub ana_groups: BTreeMap<AnaGroupId, AnaState>,
    /// Subsystems reachable here. The first one makes the kernel bind and listen.
    #[serde(deserialize_with = "unique::set")]
    pub subsystems: BTreeSet<Nqn>,
}

/// NVMe transports of the kernel's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// NVMe/TCP (module `nvmet_tcp`).
    Tcp,
}

/// Address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `ipv4` in configfs.
    Ipv4,
    /// `ipv6` in configfs.
    Ipv6,
}

/// A port's number: the name of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u16);

/// A namespace's number: 1 to 0xFFFFFFFE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Nsid(u32);

/// An ANA group's number: 1 to 127. The kernels we know accept 128 and then use group 0 for it
/// (`array_index_nospec(128, 128)` in drivers/nvme/target/configfs.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct AnaGroupId(u32);

/// A number that is not allowed where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {number} is not in {low}..={high}")]
pub struct OutOfRange {
    what: &'static str,
    number: u32,
    low: u32,
    high: u32,
}

/// Asymmetric namespace access states (the words of the kernel's `ana_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnaState {
    /// Use this path.
    Optimized,
    /// Use this path if no optimized one is left.
    NonOptimized,
    /// No I/O here now.
    Inaccessible,
    /// No I/O here any more.
    PersistentLoss,
    /// In transition.
    Change,
}

impl Port {
    /// The family of its address.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        }
    }

    /// The kernel's word, as in `addr_adrfam`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        }
    }
}

impl Transport {
    /// The kernel's word, as in `addr_trtype`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
        }
    }
}

impl AnaState {
    /// Every state.
    pub const ALL: [AnaState; 5] = [
        AnaState::Optimized,
        AnaState::NonOptimized,
        AnaState::Inaccessible,
        AnaState::PersistentLoss,
        AnaState::Change,
    ];

    /// The kernel's word, as in `ana_state`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AnaState::Optimized => "optimized",
            AnaState::NonOptimized => "non-optimized",
            AnaState::Inaccessible => "inaccessible",
            AnaState::PersistentLoss => "persistent-loss",
            AnaState::Change => "change",
        }
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Nsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for AnaGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Nsid {
    /// Namespace 1.
    pub const FIRST: Nsid = Nsid(1);
}

impl AnaGroupId {
    /// The group every namespace begins in; the kernel makes it with every port.
    pub const DEFAULT: AnaGroupId = AnaGroupId(1);
}

impl TryFrom<u32> for Nsid {
    type Error = OutOfRange;
    fn try_from(number: u32) -> Result<Self, OutOfRange> {
        let (low, high) = (1, 0xFFFF_FFFE);
        if (low..=high).contains(&number) {
            return Ok(Nsid(number));
        }
        Err(OutOfRange {
            what: "namespace id",
            number,
            low,
            high,
        })
    }
}

impl From<Nsid> for u32 {
    fn from(nsid: Nsid) -> u32 {
        nsid.0
    }
}

impl TryFrom<u32> for AnaGroupId {
    type Error = OutOfRange;
    fn try_from(number: u32) -> Result<Self, OutOfRange> {
        let (low, high) = (1, 127);
        if (low..=high).contains(&number) {
            return Ok(AnaGroupId(number));
        }
        Err(OutOfRange {
            what: "ANA group",
            number,
            low,
            high,
        })
    }
}

impl From<AnaGroupId> for u32 {
    fn from(group: AnaGroupId) -> u32 {
        group.0
    }
}
