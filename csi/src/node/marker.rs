//! What is known of a volume's file system, durably and outside of it: an annotation of its object.
//!
//! The file system's UUID is chosen before it is made, and noted: what an interrupted mkfs left behind can be told from what
//! somebody else wrote.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::capability::FsType;

/// The annotation.
pub const MARKER: &str = weir_api::names::FILE_SYSTEM;

/// How far a volume's file system is. No annotation: nobody ever began to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whether mkfs is known to have ended. Until then the volume was never mounted.
    pub is_done: bool,
    /// What is made.
    pub fs_type: FsType,
    /// The file system's UUID.
    pub uuid: Uuid,
}

/// An annotation that says nothing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the annotation {MARKER} is `{0}`, which says neither `formatting` nor `formatted`, a file system and its UUID"
)]
pub struct MarkerError(String);

impl FromStr for Marker {
    type Err = MarkerError;
    fn from_str(text: &str) -> Result<Self, MarkerError> {
        let error = || MarkerError(text.to_owned());
        let mut words = text.split(' ');
        let is_done = match words.next() {
            Some("formatting") => false,
            Some("formatted") => true,
            _ => return Err(error()),
        };
        let fs_type = words.next().and_then(FsType::named).ok_or_else(error)?;
        let uuid = words
            .next()
            .and_then(|uuid| Uuid::try_parse(uuid).ok())
            .ok_or_else(error)?;
        let marker = Marker {
            is_done,
            fs_type,
            uuid,
        };
        match marker.to_string() == text {
            true => Ok(marker),
            false => Err(error()),
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_done {
            "formatted"
        } else {
            "formatting"
        };
        write!(f, "{state} {} {}", self.fs_type.name(), self.uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_has_one_spelling() {
        for text in [
            "formatting ext4 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
            "formatted xfs 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        ] {
            assert_eq!(text.parse::<Marker>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "formatted",
            "formatted ext4",
            "Formatted ext4 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
            "formatted btrfs 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
            "formatted ext4 7F2C8D6E-3c0b-4c8e-9d1a-2b8f6a1e5d90",
            "formatted ext4 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90 ",
            "formatted  ext4 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        ] {
            assert!(bad.parse::<Marker>().is_err(), "{bad}");
        }
    }
}
