//! Whether a device may be formatted. That destroys what is on it, so it is only done where three things agree: the marker, which is
//! durable and outside of the device, says that no file system was ever finished there; all of the device that could tell can be read;
//! and it holds nothing, or what our own mkfs left unfinished.
//!
//! A device that was formatted and looks empty is broken, or another one. It is never formatted again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::marker::Marker;
use crate::capability::FsType;

/// What a low-level probe found, after the first and the last MiB were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// No signature of anything.
    Nothing,
    /// A file system.
    FileSystem {
        /// As the probe calls it, e.g. `ext4`.
        kind: String,
        /// Its UUID, if it has a whole one.
        uuid: Option<Uuid>,
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
        (Some(Marker { is_done: true, .. }), Found::Nothing) => refuse(
            "it was formatted and holds no file system any more: it is broken, or another device; it is not formatted again".to_owned(),
        ),
        (Some(Marker { is_done: false, .. }) | None, Found::Nothing) if is_read_only => {
            refuse("it has no file system yet, and who only reads can't make one".to_owned())
        }
        (Some(Marker { is_done: false, uuid, .. }), Found::Nothing) => Decision::Format(uuid),
        (None, Found::Nothing) => Decision::Begin,
        (Some(marker), Found::FileSystem { kind, uuid }) => {
            let is_ours = kind == wanted.name() && *uuid == Some(marker.uuid);
            match (is_ours, marker.is_done) {
                (true, true) => Decision::Mount,
                // It may be whole; but it was never mounted, and nobody knows whether mkfs came to its end.
                (true, false) if is_read_only => refuse("its file system is not finished, and who only reads can't finish it".to_owned()),
                (true, false) => Decision::Format(marker.uuid),
                (false, _) => refuse(format!("it holds {}, and not the file system that was made for it, {marker}", told(kind, *uuid))),
            }
        }
        // Data from before Weir: a logical volume that was taken over. It is used, and never made anew.
        (None, Found::FileSystem { kind, .. }) if kind == wanted.name() => Decision::Mount,
        (None, Found::FileSystem { kind, uuid }) => {
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

    fn fs(kind: &str, uuid: Option<Uuid>) -> Found {
        let kind = kind.to_owned();
        Found::FileSystem { kind, uuid }
    }

    /// Every state of marker and device, and what is done with it to write `ext4`: `M`ount, `B`egin, `F`ormat, or nothing.
    ///
    /// Not seen red yet: the arm of a formatted device that holds nothing left out; `*uuid == Some(marker.uuid)` left out of `is_ours`; the arm
    /// of `Unreadable` below that of `Nothing` is no sabotage, it is one to take `Unreadable` for `Nothing`.
    #[test]
    fn a_device_is_formatted_only_if_it_can_hold_nothing() {
        use FsType::{Ext4, Xfs};
        let unreadable = Found::Unreadable("EIO".to_owned());
        let other = Found::Other("a partition table".to_owned());
        let found = [
            Found::Nothing,
            fs("ext4", Some(OURS)),
            fs("ext4", Some(OTHER)),
            fs("ext4", None),
            fs("xfs", Some(OURS)),
            fs("btrfs", None),
            other,
            unreadable,
        ];
        for (marker, row) in [
            (None, "BMMM----"),
            (marker(false, Ext4), "FF------"),
            (marker(true, Ext4), "-M------"),
            (marker(false, Xfs), "--------"),
            (marker(true, Xfs), "--------"),
        ] {
            let told = found
                .iter()
                .map(|found| match decide(marker, found, Ext4, false) {
                    Decision::Mount => 'M',
                    Decision::Begin => 'B',
                    Decision::Format(uuid) => {
                        assert_eq!(uuid, OURS);
                        'F'
                    }
                    Decision::Refuse(_) => '-',
                });
            assert_eq!(told.collect::<String>(), row, "{marker:?}");
            // Who only reads makes nothing, and may mount what others may.
            let read = found
                .iter()
                .map(|found| match decide(marker, found, Ext4, true) {
                    Decision::Mount => 'M',
                    Decision::Begin | Decision::Format(_) => '!',
                    Decision::Refuse(_) => '-',
                });
            assert_eq!(
                read.collect::<String>(),
                row.replace(['B', 'F'], "-"),
                "{marker:?}"
            );
        }
    }
}
