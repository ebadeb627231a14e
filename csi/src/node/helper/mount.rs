//! Mounting. What was mounted is compared with the device that was opened, since the kernel is given a name.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::{major, minor};

use super::device::pin;
use super::failed;
use crate::capability::FsType;
use crate::node::host::{Roots, Trouble};
use crate::node::mountinfo;
use crate::node::step::DeviceOf;

type NoText<'a> = Option<&'a str>;

/// Flags of mount(2), by the words that mount(8) has for them: what each sets, and what it takes away.
const FLAGS: &[(&str, MsFlags, MsFlags)] = &[
    ("rw", MsFlags::empty(), MsFlags::MS_RDONLY),
    ("ro", MsFlags::MS_RDONLY, MsFlags::empty()),
    ("suid", MsFlags::empty(), MsFlags::MS_NOSUID),
    ("nosuid", MsFlags::MS_NOSUID, MsFlags::empty()),
    ("dev", MsFlags::empty(), MsFlags::MS_NODEV),
    ("nodev", MsFlags::MS_NODEV, MsFlags::empty()),
    ("exec", MsFlags::empty(), MsFlags::MS_NOEXEC),
    ("noexec", MsFlags::MS_NOEXEC, MsFlags::empty()),
    ("async", MsFlags::empty(), MsFlags::MS_SYNCHRONOUS),
    ("sync", MsFlags::MS_SYNCHRONOUS, MsFlags::empty()),
    ("dirsync", MsFlags::MS_DIRSYNC, MsFlags::empty()),
    ("atime", MsFlags::empty(), MsFlags::MS_NOATIME),
    ("noatime", MsFlags::MS_NOATIME, MsFlags::empty()),
    ("diratime", MsFlags::empty(), MsFlags::MS_NODIRATIME),
    ("nodiratime", MsFlags::MS_NODIRATIME, MsFlags::empty()),
    ("relatime", MsFlags::MS_RELATIME, MsFlags::empty()),
    ("norelatime", MsFlags::empty(), MsFlags::MS_RELATIME),
    ("strictatime", MsFlags::MS_STRICTATIME, MsFlags::empty()),
    ("lazytime", MsFlags::MS_LAZYTIME, MsFlags::empty()),
    ("nolazytime", MsFlags::empty(), MsFlags::MS_LAZYTIME),
    ("iversion", MsFlags::MS_I_VERSION, MsFlags::empty()),
];

/// Words as the kernel takes them: its flags, and what is for the file system.
fn parse<'a>(words: impl Iterator<Item = &'a str>) -> (MsFlags, String) {
    let (mut flags, mut rest) = (MsFlags::empty(), Vec::new());
    for word in words {
        match FLAGS.iter().find(|(name, ..)| *name == word) {
            Some((_, set, unset)) => flags = (flags | *set) - *unset,
            None => rest.push(word),
        }
    }
    (flags, rest.join(","))
}

/// Mounts a file system.
pub(super) fn mount(
    device: &DeviceOf,
    path: &Path,
    fs_type: FsType,
    words: &[String],
    is_read_only: bool,
) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    let (mut flags, text) = parse(words.iter().map(String::as_str));
    // Who writes says so by the claim's mode, and not by a flag.
    flags.set(MsFlags::MS_RDONLY, is_read_only);
    let mounted = nix::mount::mount(
        Some(&device.path),
        path,
        Some(fs_type.name()),
        flags,
        Some(text.as_str()),
    );
    mounted.map_err(|errno| refused(errno, device, path, is_read_only))?;
    let there = std::fs::metadata(path).map_err(failed("looking at", path))?;
    let number = (major(there.dev()), minor(there.dev()));
    if number == (pinned.number.0.into(), pinned.number.1.into()) {
        return Ok(());
    }
    unmount(path)?;
    Err(Trouble::Busy(format!(
        "`{}` became another device while it was mounted",
        device.path.display()
    )))
}

fn refused(errno: Errno, device: &DeviceOf, path: &Path, is_read_only: bool) -> Trouble {
    let what = format!(
        "mounting `{}` at `{}`: {}",
        device.path.display(),
        path.display(),
        errno.desc()
    );
    match errno {
        Errno::EBUSY => Trouble::Busy(what),
        // A journal can't be replayed on a device that can only be read, and without that what was flushed need not be there.
        Errno::EROFS | Errno::EACCES if is_read_only => Trouble::Unfit(format!(
            "{what}: it was not unmounted in order by who wrote it last, and has to be mounted once to write"
        )),
        _ => Trouble::Failed(format!("{what} (the kernel's log may say more)")),
    }
}

/// Lets a directory appear elsewhere, with the flags it has where it is.
pub(super) fn bind(from: &Path, to: &Path) -> Result<(), Trouble> {
    let bound = nix::mount::mount(Some(from), to, NoText::None, MsFlags::MS_BIND, NoText::None);
    bound.map_err(|errno| failed("binding to", to)(errno.into()))
}

/// Lets a device appear elsewhere.
pub(super) fn bind_device(device: &DeviceOf, to: &Path) -> Result<(), Trouble> {
    let pinned = pin(device)?;
    bind(&device.path, to)?;
    if crate::node::host::number(to) == Some(pinned.number) {
        return Ok(());
    }
    unmount(to)?;
    Err(Trouble::Busy(format!(
        "`{}` became another device while it was bound",
        device.path.display()
    )))
}

/// Lets what is mounted at a path only be read there. All other flags have to be said again, or they would go.
pub(super) fn harden(path: &Path) -> Result<(), Trouble> {
    let mounts = Roots::default().mounted()?;
    let mount = mountinfo::at(&mounts, path);
    let mount = mount
        .ok_or_else(|| Trouble::Failed(format!("nothing is mounted at `{}`", path.display())))?;
    let (flags, _) = parse(mount.options.iter().map(String::as_str));
    let flags = flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let done = nix::mount::mount(NoText::None, path, NoText::None, flags, NoText::None);
    done.map_err(|errno| failed("remounting", path)(errno.into()))
}

/// Unmounts the last of what is mounted at a path.
pub(super) fn unmount(path: &Path) -> Result<(), Trouble> {
    match umount2(path, MntFlags::UMOUNT_NOFOLLOW) {
        // Nothing is mounted there, or nothing is there: somebody was quicker.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(failed("unmounting", path)(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_flags_and_the_rest_is_the_file_systems() {
        let read = |text: &str| parse(text.split(','));
        assert_eq!(
            read("noatime,commit=30,nosuid,discard"),
            (
                MsFlags::MS_NOATIME | MsFlags::MS_NOSUID,
                "commit=30,discard".to_owned()
            )
        );
        assert_eq!(read("ro,rw,noexec,exec"), (MsFlags::empty(), String::new()));
        assert_eq!(read("rw,relatime").0, MsFlags::MS_RELATIME);
    }
}
