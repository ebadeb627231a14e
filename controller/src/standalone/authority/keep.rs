//! Files that only their owner reads, and that are whole or not there.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a directory that only its owner enters; one that is there already is closed to others.
///
/// # Errors
/// It can't be made, or is not a directory of ours.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Replaces a file: written beside under a name that nobody reads, synced, renamed over.
///
/// # Errors
/// Any step failed; what was there before is there still.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let no_directory = || io::Error::other("it has no directory");
    let directory = path.parent().ok_or_else(no_directory)?;
    let name = path.file_name().ok_or_else(no_directory)?.to_string_lossy();
    let beside = directory.join(format!(".{name}.new"));
    // Left over from a crash: its mode may be anything, so it is made anew rather than truncated.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}

/// A whole file, or `None` if there is none.
///
/// # Errors
/// It is there and can't be read.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        directory(&inner).unwrap();
        let path = inner.join("key");
        assert_eq!(read(&path).unwrap(), None);
        fs::write(inner.join(".key.new"), "a crash's").unwrap();
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&inner)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }
}
