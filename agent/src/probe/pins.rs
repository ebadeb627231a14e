//! The pins: `BPFFS/weir/v<layout>/{maps,links-<object>}/…`, and the lock that lets one agent at a
//! time use them.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use weir_agent_ebpf::layout::VERSION;

use super::ProbeError;

const LINKS: &str = "links-";

/// What a directory is called while its maps are made. (bpffs refuses names with a dot.)
const UNFINISHED: &str = "_new";

/// The pins of this layout, held exclusively.
#[derive(Debug)]
pub(super) struct Pins {
    dir: PathBuf,
    /// A lock on the directory itself, which the kernel drops when the agent dies: bpffs holds no
    /// ordinary files.
    _lock: Flock<File>,
}

impl Pins {
    /// Mounts the BPF file system if need be, takes the lock, and removes the pins of other layouts.
    pub(super) fn open(bpffs: &Path) -> Result<Self, ProbeError> {
        mount_if_missing(bpffs)?;
        let root = bpffs.join("weir");
        create_dir(&root)?;
        let lock = lock(&root)?;
        let ours = format!("v{VERSION}");
        for name in names(&root)? {
            if name != ours {
                // `…_new` is what a predecessor that died left half made.
                if !name.ends_with(UNFINISHED) {
                    tracing::warn!(
                        found = name,
                        "counters of another layout are given up: they start anew"
                    );
                }
                remove(&root.join(name))?;
            }
        }
        Ok(Pins {
            dir: root.join(ours),
            _lock: lock,
        })
    }

    /// Whether the maps were made.
    pub(super) fn exist(&self) -> bool {
        self.dir.exists()
    }

    /// Makes the maps: all or none, also if the agent is killed meanwhile.
    pub(super) fn make(
        &self,
        make_maps: impl FnOnce(&Path) -> Result<(), ProbeError>,
    ) -> Result<(), ProbeError> {
        let mut new = self.dir.clone().into_os_string();
        new.push(UNFINISHED);
        let new = PathBuf::from(new);
        create_dir(&new)?;
        let maps = new.join("maps");
        create_dir(&maps)?;
        make_maps(&maps)?;
        fs::rename(&new, &self.dir).map_err(|source| pins_error("rename", &new, source))
    }

    pub(super) fn maps(&self) -> PathBuf {
        self.dir.join("maps")
    }

    /// The directory of an object's links.
    pub(super) fn links(&self, object: u64) -> Result<PathBuf, ProbeError> {
        let dir = self.dir.join(format!("{LINKS}{object:016x}"));
        create_dir(&dir)?;
        Ok(dir)
    }

    /// Detaches the programs of all other objects. Returns whether there were any.
    pub(super) fn remove_links_but(&self, object: u64) -> Result<bool, ProbeError> {
        let ours = format!("{LINKS}{object:016x}");
        let mut removed = false;
        for name in names(&self.dir)? {
            if name.starts_with(LINKS) && name != ours {
                remove(&self.dir.join(name))?;
                removed = true;
            }
        }
        Ok(removed)
    }
}

/// Removes the pins of every layout. Returns whether there were any.
pub(super) fn remove_all(bpffs: &Path) -> Result<bool, ProbeError> {
    let root = bpffs.join("weir");
    if !root.exists() {
        return Ok(false);
    }
    let _lock = lock(&root)?;
    remove(&root)?;
    Ok(true)
}

fn mount_if_missing(bpffs: &Path) -> Result<(), ProbeError> {
    let state = statfs(bpffs).map_err(|errno| pins_error("look at", bpffs, errno.into()))?;
    if state.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    let (none, options) = (MsFlags::empty(), Some("mode=0700"));
    mount(Some("bpf"), bpffs, Some("bpf"), none, options)
        .map_err(|errno| pins_error("mount the BPF file system on", bpffs, errno.into()))
}

fn lock(root: &Path) -> Result<Flock<File>, ProbeError> {
    let dir = File::open(root).map_err(|source| pins_error("open", root, source))?;
    Flock::lock(dir, FlockArg::LockExclusiveNonblock).map_err(|(dir, errno)| {
        if errno != nix::Error::EWOULDBLOCK {
            return pins_error("lock", root, errno.into());
        }
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        ProbeError::Busy {
            path: root.to_owned(),
            pid: dir.metadata().ok().and_then(|m| holder(&locks, m.ino())),
        }
    })
}

/// The process that holds a lock on an inode, from `/proc/locks`: lines such as
/// `1: FLOCK  ADVISORY  WRITE 708 00:13:1234 0 EOF`. The device number there is that of the file
/// system's superblock, which is not always what `stat` reports: the inode has to do.
fn holder(locks: &str, inode: u64) -> Option<i32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let kind = words.next()?;
        let pid = words.nth(2)?.parse().ok()?;
        let held = words.next()?.rsplit(':').next()?;
        (kind == "FLOCK" && held.parse() == Ok(inode)).then_some(pid)
    })
}

fn create_dir(path: &Path) -> Result<(), ProbeError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(pins_error("create", path, error))
        }
        _ => Ok(()),
    }
}

fn names(dir: &Path) -> Result<Vec<String>, ProbeError> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    read().map_err(|source| pins_error("list", dir, source))
}

fn remove(path: &Path) -> Result<(), ProbeError> {
    fs::remove_dir_all(path).map_err(|source| pins_error("remove", path, source))
}

fn pins_error(what: &'static str, path: &Path, source: io::Error) -> ProbeError {
    ProbeError::Pins {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_its_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 00:13:42 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 22 fd:00:41 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 33 00:2a:42 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 44 00:2a:42 0 EOF\n";
        assert_eq!(holder(locks, 42), Some(33));
        assert_eq!(holder(locks, 43), None);
    }
}
