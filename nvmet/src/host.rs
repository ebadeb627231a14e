//! This machine as an NVMe host: connecting, disconnecting, and finding a namespace's device.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use thiserror::Error;
use uuid::Uuid;

use crate::controllers::{self, Controller, Disk, ListError, State};
use crate::fabrics::{self, ConnectOptions};
use crate::nqn::Nqn;
use crate::outcome::Outcome;
use crate::sysfs;

/// Between two looks at sysfs, which has no event for what is waited for here.
const POLL: Duration = Duration::from_millis(10);

/// Where the kernel's host side is found.
#[derive(Clone, Debug)]
pub struct Host {
    sysfs: PathBuf,
    dev: PathBuf,
}

/// A connection that is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Connected {
    /// Whether it was made now.
    pub outcome: Outcome,
    /// Its controller, such as `nvme0`. One that was there before may be reconnecting.
    pub controller: String,
    /// Controller id that the target gave it.
    pub cntlid: Option<u16>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// What is connected already can't be found out.
    #[error("cannot tell what is connected already")]
    List(#[source] ListError),
    /// `/dev/nvme-fabrics` can't be opened.
    #[error("{}: cannot be opened (are the modules nvme-fabrics and nvme-tcp loaded?)", .path.display())]
    Device {
        /// The device.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The subsystem is connected as another host. With native multipath the new connection would become
    /// a path of the same disk, and writes that the other host's connection could not send before it was
    /// cut off would be sent on the new one (drivers/nvme/host/multipath.c keeps them in the head's
    /// `requeue_list`), over whatever somebody else wrote since.
    #[error(
        "subsystem {subsystem}: {controller} is connected to it as {host}; disconnect that first, so \
         that nothing it still holds is written through this connection"
    )]
    OtherHost {
        /// The subsystem.
        subsystem: Nqn,
        /// The controller of the other connection.
        controller: String,
        /// Who it is to the target.
        host: String,
    },
    /// The kernel or the target refused.
    #[error("subsystem {subsystem} at {address} port {service}: connecting as {host} failed{}", hint(.source))]
    Refused {
        /// The subsystem.
        subsystem: Nqn,
        /// The target's address.
        address: std::net::IpAddr,
        /// The target's service.
        service: u16,
        /// The host that asked.
        host: Nqn,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why a subsystem is still connected.
#[derive(Debug, Error)]
pub enum DisconnectError {
    /// What is connected can't be found out.
    #[error("cannot tell what is connected")]
    List(#[source] ListError),
    /// A controller can't be removed.
    #[error("{}: cannot be written, {subsystem} stays connected", .path.display())]
    Delete {
        /// The attribute.
        path: PathBuf,
        /// The subsystem.
        subsystem: Nqn,
        /// Why.
        source: io::Error,
    },
}

/// Why a namespace can't be used.
#[derive(Debug, Error)]
pub enum WaitError {
    /// What is connected can't be found out.
    #[error("cannot tell what is connected")]
    List(#[source] ListError),
    /// It did not appear in time.
    #[error("namespace {uuid}: did not appear in time; {seen}")]
    Missing {
        /// Its UUID.
        uuid: Uuid,
        /// What was there instead.
        seen: String,
    },
    /// It appeared, and its device isn't one.
    #[error("namespace {uuid}: {} cannot be used", .path.display())]
    Unusable {
        /// Its UUID.
        uuid: Uuid,
        /// The device.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: NotThisDevice,
    },
}

/// Why a path is not the device it should be.
#[derive(Debug, Error)]
pub enum NotThisDevice {
    /// It can't be opened.
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    /// It is something else: opening a device that has gone, with O_CREAT, leaves a plain file.
    #[error("it is not a block device")]
    NotABlockDevice,
    /// It is another device, as in a `/dev` that nobody keeps up to date.
    #[error("it is device {found}, and the namespace is {expected}")]
    Number {
        /// Its number.
        found: String,
        /// The namespace's number in sysfs.
        expected: String,
    },
}

impl Host {
    /// The running kernel: `/sys` and `/dev`.
    #[must_use]
    pub fn new() -> Self {
        Self::at("/sys", "/dev")
    }

    /// A host whose sysfs and device directory are elsewhere.
    #[must_use]
    pub fn at(sysfs: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Host {
            sysfs: sysfs.into(),
            dev: dev.into(),
        }
    }

    /// The controllers there are.
    ///
    /// # Errors
    /// sysfs can't be read.
    pub fn list(&self) -> Result<Vec<Controller>, ListError> {
        controllers::list(&self.sysfs)
    }

    /// Connects, unless this connection is there already, be it live or reconnecting.
    ///
    /// Blocks as long as the kernel tries, which is minutes for an address that doesn't answer. The
    /// namespaces appear later: see [`Host::wait_for_namespace`]. The kernel's sockets are in the
    /// network namespace of the caller now, and in the initial one after a reconnect: call this in
    /// the initial one.
    ///
    /// # Errors
    /// This machine is connected to the subsystem as another host; the module isn't loaded; the target
    /// refuses (its reason is only in the kernel's log).
    pub fn connect(&self, options: &ConnectOptions) -> Result<Connected, ConnectError> {
        if let Some(connected) = self.connected(options)? {
            return Ok(connected);
        }
        let path = self.dev.join("nvme-fabrics");
        let device = OpenOptions::new().read(true).write(true).open(&path);
        let mut device = device.map_err(|source| ConnectError::Device { path, source })?;
        match fabrics::converse(&mut device, &options.to_option_string()) {
            Ok(answer) => Ok(Connected {
                outcome: Outcome::Changed,
                controller: format!("nvme{}", answer.instance),
                cntlid: Some(answer.cntlid),
            }),
            Err(source) => {
                // Somebody was quicker.
                if source.raw_os_error() == Some(Errno::EALREADY as i32)
                    && let Some(connected) = self.connected(options)?
                {
                    return Ok(connected);
                }
                Err(ConnectError::Refused {
                    subsystem: options.subsystem.clone(),
                    address: options.address,
                    service: options.service,
                    host: options.host.clone(),
                    source,
                })
            }
        }
    }

    fn connected(&self, options: &ConnectOptions) -> Result<Option<Connected>, ConnectError> {
        let controllers = self.list().map_err(ConnectError::List)?;
        let of_subsystem = controllers::of_subsystem(&controllers, &options.subsystem);
        for controller in of_subsystem {
            if let Some(host) = &controller.host_nqn
                && host != options.host.as_str()
            {
                return Err(ConnectError::OtherHost {
                    subsystem: options.subsystem.clone(),
                    controller: controller.name.clone(),
                    host: host.clone(),
                });
            }
        }
        let found = controllers
            .into_iter()
            .find(|controller| options.is(controller));
        Ok(found.map(|controller| Connected {
            outcome: Outcome::Unchanged,
            controller: controller.name,
            cntlid: controller.cntlid,
        }))
    }

    /// Disconnects every controller of a subsystem, whatever host it is for. Returns when the
    /// kernel has removed them, unless somebody else was removing them already.
    ///
    /// # Errors
    /// sysfs can't be read, or a controller can't be removed; those before it are.
    pub fn disconnect(&self, subsystem: &Nqn) -> Result<Outcome, DisconnectError> {
        let controllers = self.list().map_err(DisconnectError::List)?;
        let mut outcome = Outcome::Unchanged;
        for controller in controllers::of_subsystem(&controllers, subsystem) {
            let directory = self.sysfs.join("class/nvme").join(controller.name);
            let path = directory.join("delete_controller");
            let written = OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|mut file| file.write(b"1"));
            match written {
                Ok(_) => outcome = Outcome::Changed,
                // It was just removed by somebody else.
                Err(error) if sysfs::has_gone(&error) => {}
                Err(source) => {
                    return Err(DisconnectError::Delete {
                        path,
                        subsystem: subsystem.clone(),
                        source,
                    });
                }
            }
        }
        Ok(outcome)
    }

    /// The device of the namespace with this UUID, as soon as a live controller has it and its
    /// device node can be opened. Waits for it until `deadline`, and looks at least once.
    ///
    /// With native multipath that is the device above all paths. Without it every path has its own
    /// device; the first one of a live controller is returned.
    ///
    /// # Errors
    /// sysfs can't be read; it didn't appear in time, or is no device, and what was there instead.
    pub fn wait_for_namespace(&self, uuid: Uuid, deadline: Instant) -> Result<PathBuf, WaitError> {
        self.wait(uuid, deadline, examine)
    }

    fn wait(
        &self,
        uuid: Uuid,
        deadline: Instant,
        examine: impl Fn(&Path, &Disk) -> Result<(), NotThisDevice>,
    ) -> Result<PathBuf, WaitError> {
        loop {
            let controllers = self.list().map_err(WaitError::List)?;
            let failure = match find(&controllers, uuid) {
                Some(disk) => {
                    let path = self.dev.join(&disk.name);
                    match examine(&path, disk) {
                        Ok(()) => return Ok(path),
                        // devtmpfs and udev may be a moment behind sysfs.
                        Err(problem) => WaitError::Unusable {
                            uuid,
                            path,
                            problem,
                        },
                    }
                }
                None => WaitError::Missing {
                    uuid,
                    seen: describe(&controllers),
                },
            };
            if Instant::now() >= deadline {
                return Err(failure);
            }
            thread::sleep(POLL);
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

fn find(controllers: &[Controller], uuid: Uuid) -> Option<&Disk> {
    controllers
        .iter()
        .filter(|controller| controller.state == State::Live)
        .flat_map(|controller| &controller.namespaces)
        .find(|disk| disk.uuid == Some(uuid))
}

/// What is there, for the message about what is not.
fn describe(controllers: &[Controller]) -> String {
    if controllers.is_empty() {
        return "there are no controllers".to_owned();
    }
    let one = |controller: &Controller| {
        let uuids: Vec<String> = controller
            .namespaces
            .iter()
            .map(|disk| {
                disk.uuid
                    .map_or("no UUID".to_owned(), |uuid| uuid.to_string())
            })
            .collect();
        let Controller {
            name, state, nqn, ..
        } = controller;
        format!("{name} ({state}, {nqn}) has [{}]", uuids.join(", "))
    };
    controllers.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Opens the device, without O_CREAT (the default of [`OpenOptions`]), and compares it with sysfs.
fn examine(path: &Path, disk: &Disk) -> Result<(), NotThisDevice> {
    let metadata = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .and_then(|device: File| device.metadata())
        .map_err(NotThisDevice::Open)?;
    if !metadata.file_type().is_block_device() {
        return Err(NotThisDevice::NotABlockDevice);
    }
    let found = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
    match &disk.device_number {
        Some(expected) if *expected != found => Err(NotThisDevice::Number {
            found,
            expected: expected.clone(),
        }),
        _ => Ok(()),
    }
}

/// What an errno of `/dev/nvme-fabrics` usually means.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED) => " (nothing listens there)",
        Some(Errno::EINVAL) => {
            " (an option is wrong, the transport's module can't be loaded, or this host NQN is in \
             use with another host id; the kernel's log says which)"
        }
        Some(Errno::EIO | Errno::EACCES | Errno::EPERM) => {
            " (the target refused: it has no such subsystem there, or doesn't allow this host; the \
             kernel's log says which)"
        }
        Some(Errno::EALREADY) => " (it is connected already)",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
