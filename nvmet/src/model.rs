//! The target as plain data: what [`crate::configfs`] reads, what a caller wants, what
//! [`crate::plan()`] compares.
//!
//! An attribute that is an `Option` is `None` where the kernel lacks it; wanted as `None` it is left
//! as it is. `Subsystem::default()` and its like therefore ask for nothing but what they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::nqn::Nqn;
use crate::unique;

mod authentication;
mod numbers;
mod portal;
mod referral;

pub use authentication::{Authentication, DhGroup, DhHash, Secret};
pub use numbers::{AnaGroupId, Nsid, Oui, OutOfRange, PortId, Version, VersionError};
pub use portal::{Family, Portal, Transport, Treq, Tsas};
pub(crate) use portal::{Parsed, Raw};
pub use referral::{Referral, ReferralName, ReferralNameError};

use crate::words::words;

/// Everything below `/sys/kernel/config/nvmet`.
///
/// Whoever wants a change reads the target, edits its own things in a copy and plans from the one
/// to the other: what it doesn't know is equal on both sides and therefore stays.
///
/// Read from JSON, a key or an entry that is there twice is an error, not the last one's win.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name of the kernel's own discovery subsystem (Linux 6.9). No subsystem's name may begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_nqn: Option<Nqn>,
    /// Hosts that a subsystem may name, and how each proves who it is.
    #[serde(deserialize_with = "unique::map")]
    pub hosts: BTreeMap<Nqn, Authentication>,
    /// Subsystems.
    #[serde(deserialize_with = "unique::map")]
    pub subsystems: BTreeMap<Nqn, Subsystem>,
    /// Ports.
    #[serde(deserialize_with = "unique::map")]
    pub ports: BTreeMap<PortId, Port>,
    /// Ports whose making stopped half-way: a directory without a usable address, and what is below
    /// it. One that is in [`Target::ports`] too is made anew by the plan (`ports` wins); one that
    /// is here on both sides stays; one that is not wanted at all is removed.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique::map"
    )]
    pub unfinished_ports: BTreeMap<PortId, UnfinishedPort>,
    /// Paths below the root that this model can't say, such as a port of another transport, a
    /// passthru subsystem, or a host whose name is no NQN. Reading reports them, [`crate::plan()`]
    /// never looks at them, and no change ever names them. Where one of them lies below or links to
    /// something that is to be removed, the kernel refuses that removal (ENOTEMPTY, EBUSY).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unmodelled: BTreeSet<String>,
}

/// What a host connects to.
///
/// The kernel takes serial, model, firmware, IEEE OUI and version until the first host connects and
/// then never again for this directory: a subsystem for which one of them is to change is removed
/// and made anew, it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsystem {
    /// Whether any host may connect, whatever `allowed_hosts` says. Skips authentication too.
    pub allow_any_host: bool,
    /// Hosts that may connect; each is in [`Target::hosts`].
    #[serde(deserialize_with = "unique::set")]
    pub allowed_hosts: BTreeSet<Nqn>,
    /// Serial number, at most 20 printable ASCII characters. The kernel makes up a random one per
    /// directory, and a host that sees another serial after a reboot sees another disk.
    pub serial: Option<String>,
    /// Model number, at most 40 printable ASCII characters.
    pub model: Option<String>,
    /// Firmware revision, at most 8 printable ASCII characters (Linux 6.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Who assigned the controllers' identifiers (Linux 6.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ieee_oui: Option<Oui>,
    /// NVMe version that it says it implements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Lowest controller id, at least 1. Two targets that serve one NQN need ranges that don't overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cntlid_min: Option<u16>,
    /// Highest controller id. 6.1 refuses one that equals the lowest, later kernels take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cntlid_max: Option<u16>,
    /// I/O queues of a controller at most, 1 to 128. Writing it drops the subsystem's controllers
    /// (not on Linux 6.1), which then connect again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qid_max: Option<u16>,
    /// T10 protection information (only with BLK_DEV_INTEGRITY). Never tried: RDMA alone carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pi_enable: Option<bool>,
    /// PCI vendor id (Linux 6.14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<u16>,
    /// PCI subsystem vendor id (Linux 6.14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsys_vendor_id: Option<u16>,
    /// Namespaces.
    #[serde(deserialize_with = "unique::map")]
    pub namespaces: BTreeMap<Nsid, Namespace>,
}

/// A block device, as a namespace of a subsystem. All but the ANA group can be changed only while it
/// is disabled: hosts see it go and come back.
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
    /// Whether I/O goes through the target's page cache (files only; a block device ignores it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffered_io: Option<bool>,
    /// Whether hosts may take persistent reservations (Linux 6.13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resv_enable: Option<bool>,
    /// Peer-to-peer memory (only with PCI_P2PDMA). Never tried: it needs hardware that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2pmem: Option<P2pMem>,
}

/// Peer-to-peer memory of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum P2pMem {
    /// None.
    Off,
    /// Whatever suits.
    Auto,
    /// That of one PCI device, such as `0000:03:00.0`.
    Device(String),
}

/// An address that the target listens on, and the subsystems reachable there.
///
/// Address and parameters can be changed only while no subsystem is linked: all of them are taken
/// off the port and come back, which interrupts them; see [`crate::Change::Interrupt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Where it listens.
    pub portal: Portal,
    /// Whether hosts must use a secure channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treq: Option<Treq>,
    /// TLS (TCP) or queue pair type (RDMA), since Linux 6.7. `none` on other transports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tsas: Option<Tsas>,
    /// Bytes of data that a host may send with a command; `None` also where the transport is still
    /// to choose (TCP: 16 KiB), which it does when the first subsystem is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_data_size: Option<u32>,
    /// Commands in a queue at most, 16 to 1024 (Linux 6.9); `None` also where the transport chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queue_size: Option<u16>,
    /// Largest transfer as a power of two of pages, 0 for no limit (Linux 7.1); `None` also where
    /// the transport chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mdts: Option<u8>,
    /// T10 protection information (only with BLK_DEV_INTEGRITY). Never tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pi_enable: Option<bool>,
    /// State of each ANA group that has a directory; group 1 always has one. A wanted port that
    /// doesn't name group 1 leaves it as it is.
    #[serde(deserialize_with = "unique::map")]
    pub ana_groups: BTreeMap<AnaGroupId, AnaState>,
    /// Other discovery services that a host which asks here is told of.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique::map"
    )]
    pub referrals: BTreeMap<ReferralName, Referral>,
    /// Subsystems reachable here. The first one makes the kernel bind and listen.
    #[serde(deserialize_with = "unique::set")]
    pub subsystems: BTreeSet<Nqn>,
}

/// What is below a port that has no usable address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfinishedPort {
    /// As [`Port::ana_groups`].
    #[serde(deserialize_with = "unique::map")]
    pub ana_groups: BTreeMap<AnaGroupId, AnaState>,
    /// As [`Port::referrals`].
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique::map"
    )]
    pub referrals: BTreeMap<ReferralName, Referral>,
}

words! {
    /// Asymmetric namespace access states.
    AnaState {
        /// Use this path.
        Optimized = "optimized",
        /// Use this path if no optimized one is left.
        NonOptimized = "non-optimized",
        /// No I/O here now.
        Inaccessible = "inaccessible",
        /// No I/O here any more.
        PersistentLoss = "persistent-loss",
        /// In transition.
        Change = "change",
    }
}

impl Namespace {
    /// An enabled namespace in the default ANA group, with one identity; everything else is left to
    /// the kernel.
    pub fn new(device_path: impl Into<PathBuf>, identity: Uuid) -> Self {
        Namespace {
            device_path: device_path.into(),
            uuid: identity,
            nguid: identity,
            ana_group: AnaGroupId::DEFAULT,
            enabled: true,
            buffered_io: None,
            resv_enable: None,
            p2pmem: None,
        }
    }
}

impl Port {
    /// A port with the kernel's parameters, the default ANA group optimized, and nothing on it.
    #[must_use]
    pub fn new(portal: Portal) -> Self {
        Port {
            portal,
            treq: None,
            tsas: None,
            inline_data_size: None,
            max_queue_size: None,
            mdts: None,
            pi_enable: None,
            ana_groups: [(AnaGroupId::DEFAULT, AnaState::Optimized)].into(),
            referrals: BTreeMap::new(),
            subsystems: BTreeSet::new(),
        }
    }
}

impl Target {
    /// The same with every key hidden: for what people see and what is logged.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.hosts.values_mut().for_each(Authentication::hide);
        self
    }
}
