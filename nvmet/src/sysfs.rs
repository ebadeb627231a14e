//! Reading sysfs: absent is `None`, a name that is no device's is skipped.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;

/// An attribute's text, without blanks around it. `None` if it isn't there, or not any more: a
/// device that goes away while it is looked at answers ENODEV.
pub(crate) fn attribute(directory: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read(directory.join(name)) {
        Ok(value) => Ok(Some(String::from_utf8_lossy(&value).trim().to_owned())),
        Err(error) if has_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory, sorted; none if it isn't there.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if has_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = entries
        .filter_map(|entry| {
            entry
                .map(|entry| entry.file_name().into_string().ok())
                .transpose()
        })
        .collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The last component of what a link points to.
pub(crate) fn link(path: &Path) -> io::Result<Option<String>> {
    match fs::read_link(path) {
        Ok(target) => Ok(target
            .file_name()
            .and_then(OsStr::to_str)
            .map(str::to_owned)),
        Err(error) if has_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn has_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::ENODEV as i32)
        || error.raw_os_error() == Some(Errno::ENXIO as i32)
}
