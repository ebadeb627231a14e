//! One step towards a wanted target: one operation on one path.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;
use uuid::Uuid;

use crate::layout;
use crate::model::{AnaGroupId, AnaState, Family, Nsid, PortId, Transport};
use crate::nqn::Nqn;

/// One step. Each is one operation of the kernel's, so that a plan can stop between any two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the nouns that their names say")]
pub enum Change {
    /// Takes a subsystem off a port; its controllers there are dropped.
    Unlink { port: PortId, subsystem: Nqn },
    /// Hides a namespace; returns when its in-flight I/O is done.
    Disable { subsystem: Nqn, nsid: Nsid },
    /// Removes a namespace; returns when its in-flight I/O is done.
    RemoveNamespace { subsystem: Nqn, nsid: Nsid },
    /// Takes a host off a subsystem's list. Controllers that it has stay: this is no fence.
    DenyHost { subsystem: Nqn, host: Nqn },
    /// Removes a subsystem.
    RemoveSubsystem { subsystem: Nqn },
    /// Removes an ANA group from a port.
    RemoveAnaGroup { port: PortId, group: AnaGroupId },
    /// Removes a port.
    RemovePort { port: PortId },
    /// Removes a host.
    RemoveHost { host: Nqn },
    /// Makes a host known.
    CreateHost { host: Nqn },
    /// Makes a port without an address.
    CreatePort { port: PortId },
    /// Writes one attribute of a port that nothing is linked to.
    SetPort { port: PortId, value: PortValue },
    /// Makes an ANA group on a port, in state inaccessible.
    CreateAnaGroup { port: PortId, group: AnaGroupId },
    /// Sets an ANA group's state on a port.
    SetAnaState {
        port: PortId,
        group: AnaGroupId,
        state: AnaState,
    },
    /// Makes a subsystem.
    CreateSubsystem { subsystem: Nqn },
    /// Writes one attribute of a subsystem.
    SetSubsystem {
        subsystem: Nqn,
        value: SubsystemValue,
    },
    /// Puts a host on a subsystem's list.
    AllowHost { subsystem: Nqn, host: Nqn },
    /// Makes a namespace, disabled.
    CreateNamespace { subsystem: Nqn, nsid: Nsid },
    /// Writes one attribute of a namespace.
    SetNamespace {
        subsystem: Nqn,
        nsid: Nsid,
        value: NamespaceValue,
    },
    /// Opens the device and shows the namespace to hosts. Names the device so that it can be looked
    /// at before anything is written.
    Enable {
        subsystem: Nqn,
        nsid: Nsid,
        device_path: PathBuf,
    },
    /// Puts a subsystem on a port. The first one makes the kernel bind and listen.
    Link { port: PortId, subsystem: Nqn },
}

/// An attribute of a port and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortValue {
    /// `addr_adrfam`
    Family(Family),
    /// `addr_traddr`
    Address(IpAddr),
    /// `addr_trsvcid`
    Service(u16),
    /// `addr_trtype`, the last to be written: a port without it is unfinished.
    Transport(Transport),
}

/// An attribute of a subsystem and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubsystemValue {
    /// `attr_allow_any_host`
    AllowAnyHost(bool),
    /// `attr_serial`
    Serial(String),
    /// `attr_model`
    Model(String),
}

/// An attribute of a namespace and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceValue {
    /// `device_path`
    DevicePath(PathBuf),
    /// `device_uuid`
    Uuid(Uuid),
    /// `device_nguid`
    Nguid(Uuid),
    /// `ana_grpid`
    AnaGroup(AnaGroupId),
}

/// What a change does to the tree. Paths are relative to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Make a directory.
    Mkdir(String),
    /// Remove a directory.
    Rmdir(String),
    /// Write an attribute. The value has no newline: every store takes it without, and
    /// `discovery_nqn` refuses the second write that a newline leads to.
    Write(String, Vec<u8>),
    /// Make a link: its target, then where it is.
    Symlink(String, String),
    /// Remove a link.
    Unlink(String),
}

impl Change {
    /// What it does to the tree.
    #[must_use]
    pub fn operation(&self) -> Operation {
        use Operation::{Mkdir, Rmdir, Symlink, Unlink};
        match self {
            Change::Unlink { port, subsystem } => Unlink(layout::port_link(*port, subsystem)),
            Change::Disable { subsystem, nsid } => write(
                layout::namespace(subsystem, *nsid),
                "enable",
                &false_or_true(false),
            ),
            Change::RemoveNamespace { subsystem, nsid } => {
                Rmdir(layout::namespace(subsystem, *nsid))
            }
            Change::DenyHost { subsystem, host } => Unlink(layout::allowed_host(subsystem, host)),
            Change::RemoveSubsystem { subsystem } => Rmdir(layout::subsystem(subsystem)),
            Change::RemoveAnaGroup { port, group } => Rmdir(layout::ana_group(*port, *group)),
            Change::RemovePort { port } => Rmdir(layout::port(*port)),
            Change::RemoveHost { host } => Rmdir(layout::host(host)),
            Change::CreateHost { host } => Mkdir(layout::host(host)),
            Change::CreatePort { port } => Mkdir(layout::port(*port)),
            Change::SetPort { port, value } => {
                let (attribute, value) = value.attribute();
                write(layout::port(*port), attribute, &value)
            }
            Change::CreateAnaGroup { port, group } => Mkdir(layout::ana_group(*port, *group)),
            Change::SetAnaState { port, group, state } => write(
                layout::ana_group(*port, *group),
                "ana_state",
                &state.as_str(),
            ),
            Change::CreateSubsystem { subsystem } => Mkdir(layout::subsystem(subsystem)),
            Change::SetSubsystem { subsystem, value } => {
                let (attribute, value) = value.attribute();
                write(layout::subsystem(subsystem), attribute, &value)
            }
            Change::AllowHost { subsystem, host } => {
                Symlink(layout::host(host), layout::allowed_host(subsystem, host))
            }
            Change::CreateNamespace { subsystem, nsid } => {
                Mkdir(layout::namespace(subsystem, *nsid))
            }
            Change::SetNamespace {
                subsystem,
                nsid,
                value,
            } => {
                let (attribute, value) = value.attribute();
                write(layout::namespace(subsystem, *nsid), attribute, &value)
            }
            Change::Enable {
                subsystem, nsid, ..
            } => write(
                layout::namespace(subsystem, *nsid),
                "enable",
                &false_or_true(true),
            ),
            Change::Link { port, subsystem } => Symlink(
                layout::subsystem(subsystem),
                layout::port_link(*port, subsystem),
            ),
        }
    }

    /// The path that it makes, removes or writes, relative to the root.
    #[must_use]
    pub fn path(&self) -> String {
        match self.operation() {
            Operation::Mkdir(path)
            | Operation::Rmdir(path)
            | Operation::Write(path, _)
            | Operation::Symlink(_, path)
            | Operation::Unlink(path) => path,
        }
    }

    /// The subsystem that it is about, if it is about one.
    #[must_use]
    pub fn subsystem(&self) -> Option<&Nqn> {
        match self {
            Change::Unlink { subsystem, .. }
            | Change::Disable { subsystem, .. }
            | Change::RemoveNamespace { subsystem, .. }
            | Change::DenyHost { subsystem, .. }
            | Change::RemoveSubsystem { subsystem }
            | Change::CreateSubsystem { subsystem }
            | Change::SetSubsystem { subsystem, .. }
            | Change::AllowHost { subsystem, .. }
            | Change::CreateNamespace { subsystem, .. }
            | Change::SetNamespace { subsystem, .. }
            | Change::Enable { subsystem, .. }
            | Change::Link { subsystem, .. } => Some(subsystem),
            _ => None,
        }
    }

    /// Whether a host that uses [`Change::subsystem`] notices: it loses a path or the disk.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        matches!(
            self,
            Change::Unlink { .. }
                | Change::Disable { .. }
                | Change::RemoveNamespace { .. }
                | Change::RemoveSubsystem { .. }
        )
    }
}

fn write(directory: String, attribute: &str, value: &(impl AsRef<[u8]> + ?Sized)) -> Operation {
    Operation::Write(
        format!("{directory}/{attribute}"),
        value.as_ref().to_owned(),
    )
}

fn false_or_true(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

impl PortValue {
    fn attribute(&self) -> (&'static str, Vec<u8>) {
        match self {
            PortValue::Family(family) => ("addr_adrfam", family.as_str().into()),
            PortValue::Address(address) => ("addr_traddr", address.to_string().into()),
            PortValue::Service(service) => ("addr_trsvcid", service.to_string().into()),
            PortValue::Transport(transport) => ("addr_trtype", transport.as_str().into()),
        }
    }
}

impl SubsystemValue {
    fn attribute(&self) -> (&'static str, Vec<u8>) {
        match self {
            SubsystemValue::AllowAnyHost(any) => {
                ("attr_allow_any_host", false_or_true(*any).into())
            }
            SubsystemValue::Serial(serial) => ("attr_serial", serial.as_str().into()),
            SubsystemValue::Model(model) => ("attr_model", model.as_str().into()),
        }
    }
}

impl NamespaceValue {
    fn attribute(&self) -> (&'static str, Vec<u8>) {
        use std::os::unix::ffi::OsStrExt;
        match self {
            NamespaceValue::DevicePath(path) => {
                ("device_path", path.as_os_str().as_bytes().to_owned())
            }
            NamespaceValue::Uuid(uuid) => ("device_uuid", uuid.to_string().into()),
            NamespaceValue::Nguid(nguid) => ("device_nguid", nguid.to_string().into()),
            NamespaceValue::AnaGroup(group) => ("ana_grpid", group.to_string().into()),
        }
    }
}

/// As a shell would do it: `mkdir ports/1`, `echo -n tcp > ports/1/addr_trtype`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation() {
            Operation::Mkdir(path) => write!(f, "mkdir {path}"),
            Operation::Rmdir(path) => write!(f, "rmdir {path}"),
            Operation::Write(path, value) => {
                write!(f, "echo -n {} > {path}", String::from_utf8_lossy(&value))
            }
            Operation::Symlink(target, link) => write!(f, "ln -s {target} {link}"),
            Operation::Unlink(link) => write!(f, "rm {link}"),
        }
    }
}
