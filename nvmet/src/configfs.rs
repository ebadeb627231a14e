//! The target's configfs tree: reading it, and applying changes to it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

use crate::change::{Change, HostValue, Operation, PortValue, SubsystemValue};
use crate::model::{PortId, Secret, Target};
use crate::nqn::Nqn;
use crate::outcome::Outcome;
use crate::tree::{Kernel, Tree};

mod lacks;
mod read;

pub use read::ReadError;

/// Where Linux has the target.
pub const DEFAULT_ROOT: &str = "/sys/kernel/config/nvmet";

/// The target's tree below a root.
///
/// There must be only one writer at a time: a change that somebody else makes between [`read`] and
/// [`apply`] is found out by the kernel's refusal, not by this library.
///
/// [`read`]: Configfs::read
/// [`apply`]: Configfs::apply
#[derive(Clone, Debug)]
pub struct Configfs<T = Kernel> {
    root: PathBuf,
    tree: T,
}

/// Why a change was not made. Those before it in the plan were.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The device of a namespace that is to be enabled is something else. Nothing was written.
    #[error("{}: not a block device, and so not exported as namespace {namespace}", .path.display())]
    NotABlockDevice {
        /// The device's path.
        path: PathBuf,
        /// The namespace's path below the root.
        namespace: String,
    },
    /// The device of a namespace that is to be enabled can't be looked at. Nothing was written.
    #[error("{}: cannot be looked at, and so not exported as namespace {namespace}", .path.display())]
    Device {
        /// The device's path.
        path: PathBuf,
        /// The namespace's path below the root.
        namespace: String,
        /// Why.
        source: io::Error,
    },
    /// A port's address or parameters are to change, for which all that is linked to it has to be
    /// taken off. Nothing was written.
    #[error("{}", interrupted(.ports, .subsystems))]
    Interrupts {
        /// The ports.
        ports: BTreeSet<PortId>,
        /// The subsystems that hosts lose for a while, all of them.
        subsystems: BTreeSet<Nqn>,
    },
    /// The kernel has no such attribute. Nothing was written.
    #[error("{path}: {kernel} has no attribute `{attribute}`")]
    Lacks {
        /// The attribute's path below the root.
        path: String,
        /// Its name.
        attribute: String,
        /// The kernel, with its version.
        kernel: String,
    },
    /// The kernel refused a change.
    #[error("{}: {}{}", .path.display(), refusal(.change), .hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Refused {
        /// The path that was to be made, removed or written.
        path: PathBuf,
        /// The change.
        change: Box<Change>,
        /// What this usually means.
        hint: Option<&'static str>,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel took the change and didn't make it.
    #[error("{}: the kernel accepted `1` and left it disabled (does its subsystem use passthru?)", .path.display())]
    StillDisabled {
        /// The `enable` attribute.
        path: PathBuf,
    },
}

impl Configfs {
    /// The running kernel's tree, at [`DEFAULT_ROOT`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(DEFAULT_ROOT)
    }

    /// The tree below `root`, which is absolute: the targets of links are built from it.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Configfs {
            root: root.into(),
            tree: Kernel,
        }
    }
}

impl Default for Configfs {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Tree> Configfs<T> {
    /// [`DEFAULT_ROOT`] in another tree, such as [`crate::fake::Kernel`].
    pub fn over(tree: T) -> Self {
        Self::of(tree, DEFAULT_ROOT)
    }

    /// `root` in another tree.
    pub fn of(tree: T, root: impl Into<PathBuf>) -> Self {
        Configfs {
            root: root.into(),
            tree,
        }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tree.
    pub fn tree(&self) -> &T {
        &self.tree
    }

    /// What is there. Attributes that this kernel lacks are `None`; what the model can't say is in
    /// [`Target::unmodelled`]; what goes away while it is read is left out.
    ///
    /// # Errors
    /// There is no target (module not loaded, configfs not mounted), or a path can't be read.
    pub fn read(&self) -> Result<Target, ReadError> {
        read::Reader::new(&self.tree, &self.root).target()
    }

    /// Makes the changes, one by one, and stops at the first that fails.
    ///
    /// Before the first: a plan that interrupts subsystems for a port's sake is refused, see
    /// [`Change::Interrupt`]; every attribute that some kernel lacks is looked for, in what is there
    /// or, where nothing of its kind is, in the first directory that the plan would make, which is
    /// made for that and removed again; and every device that is to be enabled is checked to be a block device: given
    /// anything else, the kernel would export it as a file (drivers/nvme/target/core.c,
    /// nvmet_ns_enable).
    ///
    /// # Errors
    /// One of these, and nothing was written; or the kernel refused a change, and those before
    /// it are made. After reading again, a new plan goes on from there.
    pub fn apply(&self, changes: &[Change]) -> Result<Outcome, ApplyError> {
        self.apply_each(changes, |_| {})
    }

    /// [`Configfs::apply`], telling `made` of each change once the kernel took it.
    ///
    /// # Errors
    /// As [`Configfs::apply`]; `made` was told of every change before the one that failed.
    pub fn apply_each(
        &self,
        changes: &[Change],
        made: impl FnMut(&Change),
    ) -> Result<Outcome, ApplyError> {
        let mut ports = BTreeSet::new();
        let mut subsystems = BTreeSet::new();
        for change in changes {
            if let Change::Interrupt { port, subsystem } = change {
                ports.insert(*port);
                subsystems.insert(subsystem.clone());
            }
        }
        if !ports.is_empty() {
            return Err(ApplyError::Interrupts { ports, subsystems });
        }
        self.make_all(changes, made)
    }

    /// [`Configfs::apply`], also where it interrupts subsystems for a port's sake.
    ///
    /// # Errors
    /// As [`Configfs::apply`].
    pub fn apply_interrupting(&self, changes: &[Change]) -> Result<Outcome, ApplyError> {
        self.make_all(changes, |_| {})
    }

    fn make_all(
        &self,
        changes: &[Change],
        mut made: impl FnMut(&Change),
    ) -> Result<Outcome, ApplyError> {
        changes.iter().try_for_each(|change| self.examine(change))?;
        lacks::examine(&self.tree, &self.root, changes)?;
        for change in changes {
            self.make(change)?;
            made(change);
        }
        if changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        Ok(Outcome::Changed)
    }

    fn examine(&self, change: &Change) -> Result<(), ApplyError> {
        let Change::Enable {
            subsystem,
            nsid,
            device_path: path,
        } = change
        else {
            return Ok(());
        };
        let path = path.clone();
        let namespace = format!("{nsid} of {subsystem}");
        // A relative path would be resolved here and, later, by the kernel, in different places.
        if !path.is_absolute() {
            return Err(ApplyError::NotABlockDevice { path, namespace });
        }
        match self.tree.is_block_device(&path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApplyError::NotABlockDevice { path, namespace }),
            Err(source) => Err(ApplyError::Device {
                path,
                namespace,
                source,
            }),
        }
    }

    fn make(&self, change: &Change) -> Result<(), ApplyError> {
        let path = self.root.join(change.path());
        let refused = |source: io::Error| ApplyError::Refused {
            path: path.clone(),
            hint: hint(change, &source),
            change: Box::new(change.clone()),
            source,
        };
        match change.operation() {
            Operation::Mkdir(_) => self.tree.mkdir(&path),
            Operation::Rmdir(_) => self.tree.rmdir(&path),
            Operation::Write(_, value) => self.tree.write(&path, value.as_bytes()),
            Operation::Symlink(target, _) => self.tree.symlink(&self.root.join(target), &path),
            Operation::Unlink(_) => self.tree.unlink(&path),
        }
        .map_err(refused)?;
        if matches!(change, Change::Enable { .. }) {
            // Writing can succeed and change nothing: a passthru subsystem ignores it.
            let enabled = self.tree.read(&path).map_err(refused)?;
            if enabled.trim_ascii() != b"1" {
                return Err(ApplyError::StillDisabled { path });
            }
        }
        Ok(())
    }
}

/// What the target below `root` is, see [`Configfs::read`].
///
/// # Errors
/// As [`Configfs::read`].
pub fn read(root: impl Into<PathBuf>) -> Result<Target, ReadError> {
    Configfs::at(root).read()
}

fn refusal(change: &Change) -> String {
    match change.operation() {
        Operation::Mkdir(_) => "cannot be made".to_owned(),
        Operation::Rmdir(_) => "cannot be removed".to_owned(),
        Operation::Write(_, value) => format!("cannot be set to `{value}`"),
        Operation::Symlink(target, _) => format!("cannot be linked to {target}"),
        Operation::Unlink(_) => "cannot be unlinked".to_owned(),
    }
}

fn interrupted(ports: &BTreeSet<PortId>, subsystems: &BTreeSet<Nqn>) -> String {
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    let subsystems: Vec<_> = subsystems.iter().map(Nqn::as_str).collect();
    format!(
        "changing port {} interrupts {}, which has to be asked for",
        ports.join(", "),
        subsystems.join(", ")
    )
}

/// What an errno means for a change, where the kernel's message doesn't say (its own reasons are
/// only in its log).
fn hint(change: &Change, error: &io::Error) -> Option<&'static str> {
    let errno = error.raw_os_error().map(Errno::from_raw)?;
    Some(match (change, errno) {
        (Change::Link { .. }, Errno::EADDRINUSE) => "something else listens on this port's address",
        (Change::Link { .. }, Errno::EADDRNOTAVAIL) => "no interface has this port's address",
        (Change::Link { .. }, Errno::EINVAL) => {
            "the port's address is incomplete, or the transport's module (nvmet-tcp, nvme-loop) can't be loaded"
        }
        (Change::AllowHost { .. }, Errno::EINVAL) => "the subsystem allows any host",
        (Change::SetPort { .. }, Errno::EACCES) => "the port is enabled: something is linked to it",
        (Change::SetNamespace { .. }, Errno::EBUSY) => "the namespace is enabled",
        (
            Change::SetSubsystem {
                value: SubsystemValue::AllowAnyHost(_),
                ..
            },
            Errno::EINVAL,
        ) => "hosts are listed",
        (Change::SetSubsystem { .. }, Errno::EINVAL) => {
            "not accepted once a host has connected, nor if it is too long or not printable"
        }
        (
            Change::SetHost {
                value: HostValue::Key(key) | HostValue::ControllerKey(key),
                ..
            },
            Errno::EINVAL,
        ) if *key == Secret::NONE => {
            "this kernel can't take a key away: remove the host and make it anew"
        }
        (Change::SetHost { .. }, Errno::EINVAL) => {
            "the kernel doesn't know it, or lacks the algorithm (modprobe dh_generic, sha512_generic)"
        }
        (
            Change::SetPort {
                value: PortValue::Treq(_),
                ..
            },
            Errno::EINVAL,
        ) => "with TLS it has to be `required` or `not required`",
        (Change::SetDiscoveryNqn { .. }, Errno::EINVAL) => "a subsystem's name begins with it",
        (Change::SetReferral { .. }, Errno::EACCES) => "the referral is enabled",
        (Change::RevalidateSize { .. }, Errno::EINVAL) => "the namespace is not enabled",
        (Change::SetNamespace { .. }, Errno::EINVAL) => {
            "not accepted while the namespace is enabled, or no such value"
        }
        (Change::Enable { .. }, Errno::EMFILE | Errno::ENOMEM) => {
            "the subsystem has as many namespaces as the kernel allows"
        }
        (Change::Enable { .. }, Errno::EACCES | Errno::EROFS) => {
            "the target opens devices for writing, always"
        }
        (_, Errno::EBUSY) => "something links to it that this plan doesn't know",
        (_, Errno::ENOTEMPTY) => "it holds something that this plan doesn't know",
        (Change::SetPort { .. } | Change::SetSubsystem { .. }, Errno::ENOENT) => {
            "it has gone, or this kernel lacks the attribute"
        }
        (_, Errno::EEXIST) => "it is there already, made since the target was read or unmodelled",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
