//! Files that survive a power cut: written beside, synced, renamed over, and the directory synced.
//!
//! Everything goes through [`Fs`], so that a test can lose what was not synced.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::fail_point;

/// The operations that durability is made of.
pub trait Fs: Send {
    /// Names of the files in a directory, those beginning with `.` left out.
    ///
    /// # Errors
    /// The directory can't be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Names of the files that a [`replace`] or [`publish`] that was stopped left behind.
    ///
    /// # Errors
    /// The directory can't be read.
    fn unfinished(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A whole file.
    ///
    /// # Errors
    /// It can't be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Creates or truncates a file and writes it, without syncing.
    ///
    /// # Errors
    /// It can't be written.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Renames within a directory, replacing `to`.
    ///
    /// # Errors
    /// It can't be renamed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Unlinks a file.
    ///
    /// # Errors
    /// It can't be unlinked.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Returns once a file's data, or a directory's entries, are on stable storage.
    ///
    /// # Errors
    /// It can't be synced.
    fn sync(&self, path: &Path) -> io::Result<()>;
}

/// Replaces `path` by `bytes`: after a crash at any moment it holds the old content or the new one,
/// and once this returned it holds the new one.
///
/// # Errors
/// Any step failed; the old content is still there.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, beside) = beside(path)?;
    fs.write(&beside, bytes)?;
    fs.sync(&beside)?;
    fs.rename(&beside, path)?;
    fs.sync(dir)
}

/// Replaces `path` by `bytes` atomically, but without syncing: for what can be told again.
///
/// # Errors
/// Any step failed; the old content is still there.
pub fn publish(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (_, beside) = beside(path)?;
    fs.write(&beside, bytes)?;
    fs.rename(&beside, path)
}

/// Removes `path`; once this returned it does not come back.
///
/// # Errors
/// Any step failed, or there is no such file.
pub fn remove(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    let (dir, _) = beside(path)?;
    fs.unlink(path)?;
    fs.sync(dir)
}

/// Removes what stopped writers left behind. To be called where there is no other writer.
///
/// # Errors
/// The directory can't be read, or a file not be removed.
pub fn sweep(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    let mut names = fs.unfinished(dir)?.into_iter();
    names.try_for_each(|name| fs.unlink(&dir.join(name)))
}

/// Whether a file is one that [`replace`] or [`publish`] writes before it renames it.
fn is_beside(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".new")
}

fn beside(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "not a file's path");
    let dir = path.parent().ok_or_else(no_file)?;
    let name = path.file_name().ok_or_else(no_file)?;
    // The leading dot keeps it out of `list` if a crash leaves it behind.
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok((dir, dir.join(hidden)))
}

/// The node's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFs;

impl Fs for HostFs {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = all_names(dir)?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    fn unfinished(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = all_names(dir)?;
        names.retain(|name| is_beside(name));
        Ok(names)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::write(path, bytes)?;
        fail_point::after("write");
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        fail_point::after("rename");
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        fail_point::after("unlink");
        Ok(())
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        // Opening for reading is enough on Linux, and the only way to open a directory.
        File::open(path)?.sync_all()?;
        let is_dir = path.extension().is_none();
        fail_point::after(if is_dir { "sync directory" } else { "sync" });
        Ok(())
    }
}

fn all_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        // A name that is not UTF-8 can't be one of ours, and is not a request either.
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

#[cfg_attr(not(test), expect(dead_code, reason = "only unit tests use all of it"))]
pub(crate) mod fake;

#[cfg(test)]
mod tests {
    use super::fake::MemFs;
    use super::*;
    use crate::fuse::Fuse;

    const PATH: &str = "/record/volume-1.json";

    fn with_old() -> MemFs {
        let fs = MemFs::default();
        replace(&fs, Path::new(PATH), b"old").unwrap();
        fs
    }

    /// Seen red with: `fs.sync(&beside)?` removed from `replace` (the file comes back empty), and
    /// with `fs.sync(dir)` replaced by `Ok(())` (the old content comes back).
    #[test]
    fn once_replaced_a_file_survives_a_power_cut() {
        let fs = with_old();
        replace(&fs, Path::new(PATH), b"new").unwrap();
        fs.power_cut();
        assert_eq!(fs.read(Path::new(PATH)).unwrap(), b"new");
    }

    /// Seen red with: `replace` writing to and syncing `path` itself, without the rename.
    #[test]
    fn a_power_cut_at_any_step_leaves_the_old_file_or_the_new() {
        for steps in 0.. {
            let fs = with_old();
            fs.fuse(Fuse::after(steps));
            let done = replace(&fs, Path::new(PATH), b"new").is_ok();
            fs.power_cut();
            let content = fs.read(Path::new(PATH)).unwrap();
            assert!(content == b"old" || content == b"new", "{content:?}");
            if done {
                assert_eq!(content, b"new");
                return;
            }
        }
    }

    /// Seen red with: `fs.sync(dir)` in `remove` replaced by `Ok(())`.
    #[test]
    fn once_removed_a_file_does_not_come_back() {
        let fs = with_old();
        remove(&fs, Path::new(PATH)).unwrap();
        fs.power_cut();
        let gone = fs.read(Path::new(PATH)).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_real_file_system_replaces_lists_and_removes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        replace(&HostFs, &path, b"1").unwrap();
        publish(&HostFs, &path, b"2").unwrap();
        fs::write(dir.path().join(".b.json.new"), "left over").unwrap();
        assert_eq!(HostFs.list(dir.path()).unwrap(), ["a.json"]);
        assert_eq!(HostFs.read(&path).unwrap(), b"2");
        sweep(&HostFs, dir.path()).unwrap();
        assert!(!dir.path().join(".b.json.new").exists());
        remove(&HostFs, &path).unwrap();
        assert!(HostFs.list(dir.path()).unwrap().is_empty());
    }
}
