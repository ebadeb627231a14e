//! NodeExpandVolume: a volume that was made larger is larger here, and so is its file system.

use weir_api::names::VolumeId;

use super::{Known, Next, refuse, strange};
use crate::capability::FsType;
use crate::failure::Failure;
use crate::node::seen::{Seen, State, Whose};
use crate::node::step::{DeviceOf, Step};

/// What comes next for a volume that is to have at least `least` bytes; what is asked about is the place `target`.
#[must_use]
pub fn next(id: VolumeId, least: u64, seen: &Seen, known: &Known) -> Next {
    let Some(place) = &seen.target else {
        return refuse(Failure::Internal(
            "nobody looked at the volume's path".to_owned(),
        ));
    };
    if let Some(next) = strange(place) {
        return next;
    }
    let absent = || {
        let message = format!("there is no such volume at `{}`", place.path.display());
        refuse(Failure::NotFound(message))
    };
    // A device that is staged is not mounted at its staging path.
    let is_published = place.mount.is_some() || seen.staging.is_some();
    let Some(device) = seen.device.as_ref().filter(|_| is_published) else {
        return absent();
    };
    if seen.is_cut_off() {
        return Next::Wait("its target does not answer".to_owned());
    }
    if device.size < least {
        let live = seen.paths.iter().find(|path| path.state == State::Live);
        return match live.filter(|_| !known.is_rescanned) {
            Some(path) => Next::Do(Step::Rescan {
                controller: path.controller.clone(),
                id,
            }),
            None => Next::Wait(format!("its device has {} of {least} bytes", device.size)),
        };
    }
    let Some(mount) = place.mount.as_ref().filter(|mount| !mount.is_device) else {
        return Next::Done;
    };
    match (&mount.whose, FsType::named(&mount.fs_type)) {
        _ if known.is_grown => Next::Done,
        (Whose::Gone, _) => refuse(Failure::Precondition(
            "its target was given up: it has to be staged again".to_owned(),
        )),
        (_, Some(_)) if mount.is_read_only || mount.is_fs_read_only => {
            refuse(Failure::Precondition(
                "its file system can only be read here: it can't grow".to_owned(),
            ))
        }
        (_, Some(fs_type)) => Next::Do(Step::Grow {
            device: DeviceOf {
                path: device.path.clone(),
                id,
            },
            fs_type,
            path: place.path.clone(),
        }),
        (_, None) => refuse(Failure::Precondition(format!(
            "{} can't grow",
            mount.fs_type
        ))),
    }
}
