//! What is mounted, as the kernel tells it: `/proc/self/mountinfo`, see proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number.
    pub id: u32,
    /// That of the mount it is on.
    pub parent: u32,
    /// Device number of the file system: major and minor.
    pub device: (u32, u32),
    /// Which part of the file system appears.
    pub root: PathBuf,
    /// Where.
    pub path: PathBuf,
    /// Its own options, such as `nosuid`.
    pub options: Vec<String>,
    /// Whether this mount can only be read; the file system may be writable elsewhere.
    pub is_read_only: bool,
    /// Whether what is mounted below is seen by other namespaces.
    pub is_shared: bool,
    /// The file system's type.
    pub fs_type: String,
    /// What was mounted, for a block device its path at that time.
    pub source: PathBuf,
    /// Whether the file system itself can only be read.
    pub is_fs_read_only: bool,
}

/// A line that is not as the kernel writes them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {number} of mountinfo is not as expected: `{line}`")]
pub struct MountinfoError {
    number: usize,
    line: String,
}

/// All mounts, in the order in which the kernel tells them.
///
/// # Errors
/// A line is not as the kernel writes them: nothing may be concluded from the others then.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, MountinfoError> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let mount = |(index, line): (usize, &[u8])| {
        self::mount(line).ok_or_else(|| MountinfoError {
            number: index + 1,
            line: String::from_utf8_lossy(line).into_owned(),
        })
    };
    lines.map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let mut word = || words.next().filter(|word| !word.is_empty());
    let (id, parent) = (number(word()?)?, number(word()?)?);
    let device = std::str::from_utf8(word()?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let (root, path) = (unescape(word()?)?, unescape(word()?)?);
    let options = word()?;
    let mut is_shared = false;
    // Any number of these, then a hyphen.
    loop {
        match word()? {
            b"-" => break,
            tag => is_shared |= tag.starts_with(b"shared:"),
        }
    }
    let fs_type = String::from_utf8(word()?.to_vec()).ok()?;
    // A source may be empty, which leaves two spaces.
    let source = unescape(words.next()?)?;
    let fs_options = words.next()?;
    let has =
        |options: &[u8], name: &[u8]| options.split(|byte| *byte == b',').any(|one| one == name);
    Some(Mount {
        id,
        parent,
        device: (major.parse().ok()?, minor.parse().ok()?),
        root,
        path,
        options: std::str::from_utf8(options)
            .ok()?
            .split(',')
            .map(str::to_owned)
            .collect(),
        is_read_only: has(options, b"ro"),
        is_shared,
        fs_type,
        source,
        is_fs_read_only: has(fs_options, b"ro"),
    })
}

fn number(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Spaces, tabs, newlines, backslashes and `#` are written as three octal digits.
fn unescape(word: &[u8]) -> Option<PathBuf> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            plain.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(3)?;
        plain.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?);
        rest = after;
    }
    Some(OsString::from_vec(plain).into())
}

/// What is seen at a path: the last of the mounts on it, if there is one. Those below it are hidden.
#[must_use]
pub fn at<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    // A mount on another at the same path has that one as its parent; the kernel tells children after parents.
    mounts.iter().rev().find(|mount| mount.path == path)
}

/// Every mount of a device.
pub fn of(mounts: &[Mount], device: (u32, u32)) -> impl Iterator<Item = &Mount> {
    mounts.iter().filter(move |mount| mount.device == device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
30 22 0:25 / /proc rw,nosuid shared:5 master:2 - proc proc rw
41 22 259:3 / /var/lib/kubelet/a\\040b\\134c rw - xfs /dev/nvme1n1 rw,attr2
42 22 259:3 / /var/lib/kubelet/pod/mount ro,noatime - xfs /dev/nvme1n1 rw,attr2
43 42 259:4 /sub /var/lib/kubelet/pod/mount rw propagate_from:3 - ext4 /dev/nvme2n1 ro
44 22 0:50 / /mnt/empty rw - tmpfs  rw
";

    #[test]
    fn mounts_are_read_as_the_kernel_writes_them() {
        let mounts = parse(TEXT).unwrap();
        assert_eq!(mounts.len(), 6);
        let root = at(&mounts, Path::new("/")).unwrap();
        assert!(root.is_shared && !root.is_read_only);
        assert_eq!(mounts[2].path, Path::new("/var/lib/kubelet/a b\\c"));
        assert_eq!(mounts[2].device, (259, 3));
        assert!(mounts[3].is_read_only && !mounts[3].is_fs_read_only);
        let top = at(&mounts, Path::new("/var/lib/kubelet/pod/mount")).unwrap();
        assert_eq!(
            (top.id, top.root.as_path(), top.is_fs_read_only),
            (43, Path::new("/sub"), true)
        );
        assert_eq!(of(&mounts, (259, 3)).count(), 2);
        assert_eq!(mounts[5].source, Path::new(""));
        // A part of a path is not the path.
        assert_eq!(at(&mounts, Path::new("/var/lib/kubelet/pod")), None);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for bad in [
            "22 1 253:0 / / rw",
            "22 1 253 / / rw - ext4 /dev/vda1 rw",
            "x 1 253:0 / / rw - ext4 /dev/vda1 rw",
            "22 1 253:0 / /a\\04 rw - ext4 /dev/vda1 rw",
            "22 1 253:0 / /a\\999 rw - ext4 /dev/vda1 rw",
            "22 1 253:0 / / rw - ext4 /dev/vda1",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(parse(b""), Ok(Vec::new()));
    }

    #[test]
    fn this_machines_mounts_are_read() {
        let text = std::fs::read("/proc/self/mountinfo").unwrap();
        assert!(!parse(&text).unwrap().is_empty());
    }
}
