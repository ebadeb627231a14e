//! Whether anything may have happened to the request directory: the kernel tells, so that a thousand
//! request files need not be looked at twice a second.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Notices changes of one directory and of the files in it.
#[derive(Debug)]
pub struct Notice {
    dir: PathBuf,
    watched: Option<(Inotify, Identity)>,
}

/// Device and inode: another directory may be mounted over the one that is watched.
type Identity = (u64, u64);

impl Notice {
    /// Notices from now on. Where the kernel can't watch, everything may have happened at any time.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        let mut notice = Notice {
            dir: dir.to_owned(),
            watched: None,
        };
        notice.watch();
        notice
    }

    /// Whether anything may have happened since this was asked last.
    pub fn may_have_changed(&mut self) -> bool {
        let here = identity(&self.dir);
        let Some((inotify, _)) = self
            .watched
            .as_ref()
            .filter(|(_, there)| Some(*there) == here)
        else {
            self.watch();
            return true;
        };
        // Those after which the kernel says nothing more, or said not all.
        let ends =
            AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_UNMOUNT | AddWatchFlags::IN_Q_OVERFLOW;
        match inotify.read_events() {
            Err(Errno::EAGAIN) => false,
            Ok(events) if !events.iter().any(|event| event.mask.intersects(ends)) => true,
            Ok(_) | Err(_) => {
                self.watched = None;
                true
            }
        }
    }

    fn watch(&mut self) {
        self.watched = watch(&self.dir);
    }
}

fn watch(dir: &Path) -> Option<(Inotify, Identity)> {
    let identity = identity(dir)?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    let changes = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    inotify.add_watch(dir, changes).ok()?;
    Some((inotify, identity))
}

fn identity(dir: &Path) -> Option<Identity> {
    let meta = fs::metadata(dir).ok()?;
    Some((meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_noticed_and_quiet_is_quiet() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("a"), "1").unwrap();
        fs::write(at("b"), "1").unwrap();
        let mut notice = Notice::of(root.path());
        assert!(!notice.may_have_changed());
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(at("c"), "1").unwrap(),
            &|| fs::write(at("a"), "2").unwrap(),
            &|| fs::rename(at("a"), at("d")).unwrap(),
            &|| fs::remove_file(at("b")).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            change();
            assert!(notice.may_have_changed(), "change {number}");
            assert!(!notice.may_have_changed(), "after change {number}");
        }
    }

    #[test]
    fn a_directory_that_takes_its_place_is_watched_instead() {
        let root = tempfile::tempdir().unwrap();
        let (dir, other) = (root.path().join("dir"), root.path().join("other"));
        let mut notice = Notice::of(&dir);
        assert!(notice.may_have_changed(), "there is no directory");
        fs::create_dir(&dir).unwrap();
        assert!(notice.may_have_changed());
        assert!(!notice.may_have_changed());
        fs::create_dir(&other).unwrap();
        fs::rename(&dir, root.path().join("gone")).unwrap();
        fs::rename(&other, &dir).unwrap();
        while notice.may_have_changed() {}
        fs::write(dir.join("a"), "1").unwrap();
        assert!(notice.may_have_changed());
    }
}
