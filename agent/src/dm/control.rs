//! Device mapper's ioctls, as far as looks and statistics need them: a few calls for each device, where `dmsetup` would be a
//! process (include/uapi/linux/dm-ioctl.h).
//!
//! No call made here waits for I/O. The one message that does, `@stats_create`, goes through `dmsetup`: see [`crate::ladder`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use thiserror::Error;

use super::Mapped;
use super::packet::{self, NotUnderstood, Packet};
use crate::probe::DevT;
use weir_api::names::MappingName;

/// Device mapper did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    /// There is no device mapper here, or not yet.
    #[error("cannot open {path}")]
    Open {
        /// The control device.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("device mapper does not {what}")]
    Refused {
        /// What it was asked to do.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It answered what can't be read.
    #[error("cannot read an answer of device mapper")]
    NotUnderstood(#[from] NotUnderstood),
}

impl ControlError {
    /// Whether this is so because the module is not loaded, which it is before a volume is made.
    pub(crate) fn is_not_there_yet(&self) -> bool {
        // Not loaded: the node is missing, or leads to no driver.
        let missing = [libc::ENOENT, libc::ENODEV, libc::ENXIO];
        matches!(self, ControlError::Open { source, .. }
            if source.raw_os_error().is_some_and(|errno| missing.contains(&errno)))
    }
}

/// A device's answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The name that LVM or Weir gave the device for as long as it exists; empty if it has none. Numbers are used again.
    pub(crate) uuid: String,
    pub(crate) text: String,
}

/// Device mapper.
pub(crate) trait Mapper: Send + Sync {
    /// Every device.
    fn devices(&self) -> Result<Vec<DevT>, ControlError>;
    /// Sends a device a message that does not wait for its I/O.
    fn message(&self, dev: DevT, text: &str) -> Result<Answer, ControlError>;
}

/// This node's.
pub(crate) struct Control {
    path: PathBuf,
    file: OnceLock<File>,
}

impl Control {
    pub(crate) fn new() -> Self {
        Control {
            path: "/dev/mapper/control".into(),
            file: OnceLock::new(),
        }
    }

    /// Whether this process may use device mapper.
    pub(crate) fn probe(&self) -> Result<(), ControlError> {
        let what = || "tell its version".to_owned();
        self.call(packet::VERSION, DevT { major: 0, minor: 0 }, None, what)
            .map(drop)
    }

    /// Where it is asked.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> Result<&File, ControlError> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.map_err(|source| ControlError::Open {
            path: self.path.clone(),
            source,
        })?;
        Ok(self.file.get_or_init(|| file))
    }

    fn call(
        &self,
        command: u8,
        dev: DevT,
        message: Option<&str>,
        what: impl Fn() -> String,
    ) -> Result<Packet, ControlError> {
        let refused = |source| ControlError::Refused {
            what: what(),
            source,
        };
        let file = self.file()?;
        let mut room = packet::ROOM;
        loop {
            let mut packet = Packet::new(dev, message, room);
            let code = nix::request_code_readwrite!(0xfd, command, packet::HEADER);
            // SAFETY: the packet says in its header how long it is, and device mapper writes nothing behind that.
            let done = unsafe { libc::ioctl(file.as_raw_fd(), code, packet.as_mut_ptr()) };
            if done != 0 {
                return Err(refused(io::Error::last_os_error()));
            }
            if !packet.is_full() {
                return Ok(packet);
            }
            if room >= packet::MOST_ROOM {
                return Err(refused(io::Error::other("its answer has no end")));
            }
            room *= 4;
        }
    }
}

impl Control {
    /// Every device, with who uses it and what it uses.
    pub(crate) fn mapped(&self) -> Result<Vec<Mapped>, ControlError> {
        let mut all = Vec::new();
        for number in self.devices()? {
            match self.look_at(number) {
                Ok(device) => all.push(device),
                // It went since it was listed.
                Err(ControlError::Refused { source, .. })
                    if source.raw_os_error() == Some(libc::ENXIO) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    fn look_at(&self, number: DevT) -> Result<Mapped, ControlError> {
        let what = || format!("tell of device {number}");
        let status = self.call(packet::STATUS, number, None, what)?;
        let deps = self.call(packet::DEPS, number, None, what)?;
        let uuid = status.uuid();
        Ok(Mapped {
            mapping: MappingName::from_dm_uuid(&uuid),
            uuid,
            number,
            open: status.open(),
            below: deps.deps()?,
        })
    }
}

impl Mapper for Control {
    fn devices(&self) -> Result<Vec<DevT>, ControlError> {
        let none = DevT { major: 0, minor: 0 };
        let packet = self.call(packet::LIST_DEVICES, none, None, || {
            "list its devices".to_owned()
        })?;
        Ok(packet.devices()?)
    }

    fn message(&self, dev: DevT, text: &str) -> Result<Answer, ControlError> {
        let what = || format!("take `{text}` for device {dev}");
        let packet = self.call(packet::MESSAGE, dev, Some(text), what)?;
        Ok(Answer {
            uuid: packet.uuid(),
            text: packet.text(),
        })
    }
}
