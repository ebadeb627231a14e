//! Whether a device may be formatted. That destroys what is on it, so it is only done where three things agree: the marker, which is
//! durable and outside of the device, says that no file system was ever finished there; all of the device that could tell can be read;
//! and it holds nothing at all, as a new volume does, or what our own mkfs left unfinished.
//!
//! A device that was formatted and looks empty is broken, or another one. It is never formatted again. And a marker may be older than
//! the device: an API can be restored from an old copy, and an object be made again for an orphan. So where a file system was mounted
//! since, the device is believed, and the marker mended.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::marker::Marker;
use crate::capability::FsType;

/// What a low-level probe found, after the first and the last MiB were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// No signature of anything, and all of what was read is zero, as a new volume's is.
    Blank,
    /// No signature of anything, and yet something is there.
    Unmarked,
    /// A file system.
    FileSystem {
        /// As the probe calls it, e.g. `ext4`.
        kind: String,
        /// Its UUID, if it has a whole one.
        uuid: Option<Uuid>,
        /// Whether mkfs has come to its end, and it may have been mounted since: it may hold data.
        is_used: bool,
    },
    /// A partition table, another volume manager's label, or several signatures.
    Other(String),
    /// It could not be read, or the probe failed: nobody knows.
    Unreadable(String),
}

/// What is to be done with a device that is to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It has its file system.
    Mount,
    /// It has none and never had: the marker is to be written, and then this is asked again.
    Begin,
    /// It has a file system of which the marker does not know, with this UUID: the marker is to be mended, and then this is asked again.
    Keep(Uuid),
    /// The file system is to be made, with this UUID.
    Format(Uuid),
    /// Nothing; says why, for a person.
    Refuse(String),
}

/// What is to be done with a device on which `wanted` is to be mounted.
#[must_use]
pub fn decide(
    marker: Option<Marker>,
    found: &Found,
    wanted: FsType,
    is_read_only: bool,
) -> Decision {
    let refuse = |why: String| Decision::Refuse(why);
    if let Some(marker) = marker.filter(|marker| marker.fs_type != wanted) {
        return refuse(format!(
            "it was to have {}, and {} is asked for",
            marker.fs_type.name(),
            wanted.name()
        ));
    }
    match (marker, found) {
        (_, Found::Unreadable(why)) => refuse(format!("what is on it can't be told: {why}")),
        (_, Found::Other(what)) => refuse(format!("it holds {what}, which is not ours")),
        (Some(Marker { is_done: true, .. }), Found::Blank | Found::Unmarked) => refuse(
            "it was formatted and holds no file system any more: it is broken, or another device; it is not formatted again".to_owned(),
        ),
        (None, Found::Unmarked) => refuse(
            "it holds no file system, and is not empty as a new volume is: nobody knows what is on it".to_owned(),
        ),
        (_, Found::Blank | Found::Unmarked) if is_read_only => {
            refuse("it has no file system yet, and who only reads can't make one".to_owned())
        }
        (Some(Marker { is_done: false, uuid, .. }), Found::Blank | Found::Unmarked) => {
            Decision::Format(uuid)
        }
        (None, Found::Blank) => Decision::Begin,
        (Some(marker), Found::FileSystem { kind, uuid, is_used }) => {
            let is_ours = kind == wanted.name() && *uuid == Some(marker.uuid);
            match (is_ours, marker.is_done, is_used) {
                (true, true, _) => Decision::Mount,
                // The marker is from before mkfs came to its end: from an old copy, or its last note was lost.
                (true, false, true) => Decision::Keep(marker.uuid),
                (true, false, false) if is_read_only => refuse("its file system is not finished, and who only reads can't finish it".to_owned()),
                // It may be whole; but nobody ever mounted it, and nobody knows whether mkfs came to its end.
                (true, false, false) => Decision::Format(marker.uuid),
                (false, ..) => refuse(format!("it holds {}, and not the file system that was made for it, {marker}", told(kind, *uuid))),
            }
        }
        // Data from before Weir, or of a volume whose object was made again. It is used, never made anew, and noted: where its signature is lost
        // one day, it must not be taken for new.
        (None, Found::FileSystem { kind, uuid, .. }) if kind == wanted.name() => match uuid {
            _ if is_read_only => Decision::Mount,
            Some(uuid) => Decision::Keep(*uuid),
            None => refuse(format!("its {kind} has no UUID, by which it could be told: give it one")),
        },
        (None, Found::FileSystem { kind, uuid, .. }) => {
            refuse(format!("it holds {}, and {} is asked for", told(kind, *uuid), wanted.name()))
        }
    }
}

fn told(kind: &str, uuid: Option<Uuid>) -> String {
    match uuid {
        Some(uuid) => format!("{kind} {uuid}"),
        None => format!("{kind} without a UUID"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn marker(is_done: bool, fs_type: FsType) -> Option<Marker> {
        Some(Marker {
            is_done,
            fs_type,
            uuid: OURS,
        })
    }

    fn fs(kind: &str, uuid: Option<Uuid>, is_used: bool) -> Found {
        let kind = kind.to_owned();
        Found::FileSystem {
            kind,
            uuid,
            is_used,
        }
    }

    /// Every state of marker and device, and what is done with it to write `ext4`: `M`ount, `B`egin, `F`ormat, `K`eep, or nothing.
    ///
    /// Seen red with: the arm of a formatted device that holds nothing left out; `*uuid == Some(marker.uuid)` left out of `is_ours`;
    /// `is_used` not looked at; the arm of no marker and `Unmarked` left out.
    #[test]
    fn a_device_is_formatted_only_if_it_can_hold_nothing() {
        use FsType::{Ext4, Xfs};
        let unreadable = Found::Unreadable("EIO".to_owned());
        let other = Found::Other("a partition table".to_owned());
        let found = [
            Found::Blank,
            Found::Unmarked,
            fs("ext4", Some(OURS), false),
            fs("ext4", Some(OURS), true),
            fs("ext4", Some(OTHER), false),
            fs("ext4", Some(OTHER), true),
            fs("ext4", None, true),
            fs("xfs", Some(OURS), false),
            fs("btrfs", None, true),
            other,
            unreadable,
        ];
        for (marker, write, read) in [
            (None, "B-KKKK-----", "--MMMMM----"),
            (marker(false, Ext4), "FFFK-------", "---K-------"),
            (marker(true, Ext4), "--MM-------", "--MM-------"),
            (marker(false, Xfs), "-----------", "-----------"),
            (marker(true, Xfs), "-----------", "-----------"),
        ] {
            for (row, is_read_only) in [(write, false), (read, true)] {
                let told =
                    found
                        .iter()
                        .map(|found| match decide(marker, found, Ext4, is_read_only) {
                            Decision::Mount => 'M',
                            Decision::Begin => 'B',
                            Decision::Keep(_) => 'K',
                            Decision::Format(uuid) => {
                                assert_eq!(uuid, OURS);
                                'F'
                            }
                            Decision::Refuse(_) => '-',
                        });
                let told: String = told.collect();
                assert_eq!(told, row, "{marker:?}, to read: {is_read_only}");
            }
        }
    }
}
