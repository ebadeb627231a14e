//! What the parts of a request say, or what is wrong with them.

use std::path::{Component, Path, PathBuf};

use weir_api::crd::Volume;

use super::marker::{MARKER, Marker};
use crate::failure::Failure;
use crate::handle::Handle;

/// The longest path that Linux takes, with its NUL.
const LONGEST: usize = 4096;

/// A path that a request names.
///
/// # Errors
/// It is missing, or none that something could be mounted on: what leads elsewhere than it says is refused.
pub fn path(field: &str, text: &str) -> Result<PathBuf, Failure> {
    let wrong = |what: &str| Err(Failure::Invalid(format!("{field} {what}")));
    if text.is_empty() {
        return wrong("is missing");
    }
    let path = Path::new(text);
    let mut parts = path.components();
    let is_plain = parts.next() == Some(Component::RootDir)
        && parts.all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || path.file_name().is_none() {
        return wrong("is no absolute path without `..`");
    }
    if text.len() >= LONGEST || text.contains('\0') {
        return wrong("is longer than paths are, or has a NUL");
    }
    // As mountinfo has it: no slash at the end, none doubled.
    Ok(path.components().collect())
}

/// What a request names that ends something: the volume, if anything of ours was ever called so, and a path.
///
/// # Errors
/// One of them is missing, or is none.
pub fn end(id: &str, field: &str, text: &str) -> Result<Option<(Handle, PathBuf)>, Failure> {
    let handle = Handle::of(id)?;
    let path = path(field, text)?;
    Ok(handle.map(|handle| (handle, path)))
}

/// What the API says of a volume's file system.
///
/// # Errors
/// It says something that is not understood: that is no reason to think that there is none.
pub fn marker(volume: &Volume) -> Result<Option<Marker>, Failure> {
    let noted = volume
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(MARKER));
    let marker = noted.map(|text| text.parse::<Marker>()).transpose();
    marker.map_err(|error| Failure::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_it_says() {
        for (text, read) in [("/a/b", "/a/b"), ("/a//b/", "/a/b"), ("/a/./b", "/a/b")] {
            assert_eq!(path("p", text).unwrap(), Path::new(read), "{text}");
        }
        let long = format!("/{}", "x".repeat(LONGEST));
        for bad in ["", "/", "a/b", "/a/../b", "/a/b\0", &long] {
            assert_eq!(
                path("p", bad).unwrap_err().code(),
                tonic::Code::InvalidArgument,
                "{bad}"
            );
        }
    }
}
