//! One step towards a wanted target: one operation on one path.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::layout;
use crate::model::{AnaGroupId, AnaState, Nsid, PortId, ReferralName};
use crate::nqn::Nqn;

mod value;

pub use value::{HostValue, NamespaceValue, PortValue, ReferralValue, SubsystemValue, Value};
pub(crate) use value::{address, can_become};

/// One step. Each is one operation of the kernel's, so that a plan can stop between any two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the nouns that their names say")]
pub enum Change {
    /// Takes a subsystem off a port; its controllers there are dropped.
    Unlink { port: PortId, subsystem: Nqn },
    /// Takes a subsystem off a port for the sake of the port's address or parameters, which can't be
    /// written while anything is linked; it is linked again later. Nobody asked for a change to this
    /// subsystem, and so [`crate::Configfs::apply`] refuses a plan that has this, and
    /// [`crate::Configfs::apply_interrupting`] doesn't.
    Interrupt { port: PortId, subsystem: Nqn },
    /// Hides a namespace; returns when its in-flight I/O is done.
    Disable { subsystem: Nqn, nsid: Nsid },
    /// Removes a namespace; returns when its in-flight I/O is done.
    RemoveNamespace { subsystem: Nqn, nsid: Nsid },
    /// Takes a host off a subsystem's list. Controllers that it has stay: this is no fence.
    DenyHost { subsystem: Nqn, host: Nqn },
    /// Removes a subsystem.
    RemoveSubsystem { subsystem: Nqn },
    /// Removes a referral.
    RemoveReferral {
        port: PortId,
        referral: ReferralName,
    },
    /// Removes an ANA group from a port.
    RemoveAnaGroup { port: PortId, group: AnaGroupId },
    /// Removes a port.
    RemovePort { port: PortId },
    /// Removes a host.
    RemoveHost { host: Nqn },
    /// Names the kernel's discovery subsystem.
    SetDiscoveryNqn { nqn: Nqn },
    /// Makes a host known.
    CreateHost { host: Nqn },
    /// Writes one attribute of a host.
    SetHost { host: Nqn, value: HostValue },
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
    /// Makes a referral, disabled.
    CreateReferral {
        port: PortId,
        referral: ReferralName,
    },
    /// Writes one attribute of a referral.
    SetReferral {
        port: PortId,
        referral: ReferralName,
        value: ReferralValue,
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
    /// Lets hosts know that an enabled namespace's device grew. No plan has it, because no attribute
    /// says what size hosts were told: whoever grew the device adds it.
    RevalidateSize { subsystem: Nqn, nsid: Nsid },
    /// Puts a subsystem on a port. The first one makes the kernel bind and listen.
    Link { port: PortId, subsystem: Nqn },
}

/// What a change does to the tree. Paths are relative to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Make a directory.
    Mkdir(String),
    /// Remove a directory.
    Rmdir(String),
    /// Write an attribute.
    Write(String, Value),
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
            Change::Unlink { port, subsystem } | Change::Interrupt { port, subsystem } => {
                Unlink(layout::port_link(*port, subsystem))
            }
            Change::Disable { subsystem, nsid } => enable(subsystem, *nsid, "0"),
            Change::RemoveNamespace { subsystem, nsid } => {
                Rmdir(layout::namespace(subsystem, *nsid))
            }
            Change::DenyHost { subsystem, host } => Unlink(layout::allowed_host(subsystem, host)),
            Change::RemoveSubsystem { subsystem } => Rmdir(layout::subsystem(subsystem)),
            Change::RemoveReferral { port, referral } => Rmdir(layout::referral(*port, referral)),
            Change::RemoveAnaGroup { port, group } => Rmdir(layout::ana_group(*port, *group)),
            Change::RemovePort { port } => Rmdir(layout::port(*port)),
            Change::RemoveHost { host } => Rmdir(layout::host(host)),
            Change::SetDiscoveryNqn { nqn } => {
                Operation::Write(layout::DISCOVERY_NQN.to_owned(), Value::new(nqn.as_str()))
            }
            Change::CreateHost { host } => Mkdir(layout::host(host)),
            Change::SetHost { host, value } => write(&layout::host(host), value.attribute()),
            Change::CreatePort { port } => Mkdir(layout::port(*port)),
            Change::SetPort { port, value } => write(&layout::port(*port), value.attribute()),
            Change::CreateAnaGroup { port, group } => Mkdir(layout::ana_group(*port, *group)),
            Change::SetAnaState { port, group, state } => write(
                &layout::ana_group(*port, *group),
                ("ana_state", Value::new(state.as_str())),
            ),
            Change::CreateReferral { port, referral } => Mkdir(layout::referral(*port, referral)),
            Change::SetReferral {
                port,
                referral,
                value,
            } => write(&layout::referral(*port, referral), value.attribute()),
            Change::CreateSubsystem { subsystem } => Mkdir(layout::subsystem(subsystem)),
            Change::SetSubsystem { subsystem, value } => {
                write(&layout::subsystem(subsystem), value.attribute())
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
            } => write(&layout::namespace(subsystem, *nsid), value.attribute()),
            Change::Enable {
                subsystem, nsid, ..
            } => enable(subsystem, *nsid, "1"),
            Change::RevalidateSize { subsystem, nsid } => write(
                &layout::namespace(subsystem, *nsid),
                ("revalidate_size", Value::new("1")),
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
            | Change::Interrupt { subsystem, .. }
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
            | Change::RevalidateSize { subsystem, .. }
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
                | Change::Interrupt { .. }
                | Change::Disable { .. }
                | Change::RemoveNamespace { .. }
                | Change::RemoveSubsystem { .. }
                | Change::SetSubsystem {
                    value: SubsystemValue::QidMax(_),
                    ..
                }
        )
    }
}

fn write(directory: &str, (attribute, value): (&str, Value)) -> Operation {
    Operation::Write(format!("{directory}/{attribute}"), value)
}

fn enable(subsystem: &Nqn, nsid: Nsid, value: &str) -> Operation {
    let directory = layout::namespace(subsystem, nsid);
    write(&directory, ("enable", Value::new(value)))
}

/// As a shell would do it: `mkdir ports/1`, `echo -n tcp > ports/1/addr_trtype`. Keys are hidden.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation() {
            Operation::Mkdir(path) => write!(f, "mkdir {path}"),
            Operation::Rmdir(path) => write!(f, "rmdir {path}"),
            Operation::Write(path, value) => write!(f, "echo -n {value} > {path}"),
            Operation::Symlink(target, link) => write!(f, "ln -s {target} {link}"),
            Operation::Unlink(link) => write!(f, "rm {link}"),
        }
    }
}
