//! A device that is opened, and is known to be a volume's. As long as it is open its number is nobody else's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use uuid::Uuid;
use weir_api::names::VolumeId;

use super::failed;
use crate::node::host::Trouble;
use crate::node::seen::Number;
use crate::node::source;
use crate::node::step::DeviceOf;

/// An open device.
#[derive(Debug)]
pub(super) struct Pinned {
    /// It, for reading.
    pub(super) file: File,
    /// Its number.
    pub(super) number: Number,
}

/// Opens a device, which has to be the volume's.
pub(super) fn pin(device: &DeviceOf) -> Result<Pinned, Trouble> {
    let path = &device.path;
    // Never with O_CREAT: where a disk has gone, that leaves a plain file in its place.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(failed("opening", path))?;
    let meta = file.metadata().map_err(failed("looking at", path))?;
    let wrong = |what: &str| Trouble::Failed(format!("`{}` {what}", path.display()));
    if !meta.file_type().is_block_device() {
        return Err(wrong("is no block device"));
    }
    let narrow =
        |number: u64| u32::try_from(number).map_err(|_| wrong("has no number that is one"));
    let number = (narrow(major(meta.rdev()))?, narrow(minor(meta.rdev()))?);
    match owner(Path::new("/sys"), number, device.id) {
        true => Ok(Pinned { file, number }),
        false => Err(wrong("is not the volume's device (any more)")),
    }
}

/// Whether the device of this number is a volume's.
fn owner(sys: &Path, (major, minor): Number, id: VolumeId) -> bool {
    let directory = sys.join(format!("dev/block/{major}:{minor}"));
    let text = |name: &str| {
        let text = fs::read_to_string(directory.join(name)).ok();
        text.map(|text| text.trim().to_owned())
    };
    if let Some(name) = text("dm/name") {
        return source::is_of(&name, id);
    }
    // With native multipath `device` is the subsystem, without it the controller: both have this. A UUID alone could be any target's.
    let is_subsystem =
        text("device/subsysnqn").is_some_and(|nqn| VolumeId::from_nqn(&nqn) == Some(id));
    let uuid = text("uuid").or_else(|| Some(text("wwid")?.strip_prefix("uuid.")?.to_owned()));
    is_subsystem && uuid.and_then(|uuid| Uuid::try_parse(&uuid).ok()) == Some(id.0)
}

impl Pinned {
    /// A path by which another program opens this device, and no other one that has its name by then.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }
}

/// Waits for nothing: either nobody has the device, and all that was written to it is on it, or this fails.
pub(super) fn claim(device: &DeviceOf) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    let path = pinned.path();
    let claimed = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_EXCL.bits())
        .open(&path);
    match claimed.and_then(|file| file.sync_all()) {
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            Err(Trouble::Busy(format!(
                "`{}` is in use still: its file system is being written back, is mounted in another namespace, or somebody else holds it",
                device.path.display()
            )))
        }
        // A target can't be made to promise what it has not.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        done => done.map_err(failed("claiming", &device.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";
    const OTHER: &str = "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d91";

    /// Seen red with: `is_subsystem` always true; `is_of` replaced by `true`.
    #[test]
    fn a_device_is_a_volumes_by_what_the_kernel_says_of_it() {
        let sys = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = sys.path().join("dev/block").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let nqn = |id: &str| format!("nqn.2026-11.dev.weir:{id}\n");
        write("259:0/uuid", ID);
        write("259:0/device/subsysnqn", &nqn(ID));
        // A target that says that it is ours.
        write("259:1/uuid", ID);
        write("259:1/device/subsysnqn", "nqn.2020-01.org.example:x\n");
        write("259:2/wwid", &format!("uuid.{ID}\n"));
        write("259:2/device/subsysnqn", &nqn(&format!("{ID}:node-a")));
        write("259:3/uuid", OTHER);
        write("259:3/device/subsysnqn", &nqn(ID));
        let lv = |id: &str| format!("vg-w_{}\n", id.replace('-', ""));
        write("253:0/dm/name", &lv(ID));
        write("253:1/dm/name", &lv(OTHER));
        let id = VolumeId(ID.parse().unwrap());
        for (number, is_its) in [
            ((259, 0), true),
            ((259, 1), false),
            ((259, 2), true),
            ((259, 3), false),
            ((253, 0), true),
            ((253, 1), false),
            ((8, 0), false),
        ] {
            assert_eq!(owner(sys.path(), number, id), is_its, "{number:?}");
        }
    }
}
