//! NodeUnstageVolume: nothing of a volume is left on this node.

use std::time::Duration;

use weir_api::names::VolumeId;

use super::{Known, Next, refuse, strange};
use crate::failure::Failure;
use crate::node::seen::{Seen, State};
use crate::node::step::{DeviceOf, Step};

/// So long at most, and for half of the request's time, a target that does not answer is waited for, since what was written and not flushed is lost with its connections. Its pods are
/// gone by now: nobody is left who would be told that it was lost, and nobody who may count on it, as nobody flushed it.
pub const GRACE: Duration = Duration::from_secs(20);

/// What comes next.
#[must_use]
pub fn next(id: VolumeId, seen: &Seen, known: &Known) -> Next {
    if let Some(next) = seen.staging.as_ref().and_then(strange) {
        return next;
    }
    if let Some(path) = seen.others.first() {
        let message = format!("it is still published at `{}`", path.display());
        return refuse(Failure::Precondition(message));
    }
    // Unmounting writes what was not written yet, which waits for a target that is gone as long as its connections are there: they go
    // first.
    if seen.is_cut_off() {
        return match known.waited < GRACE.min(known.patience / 2) {
            true if seen.paths.iter().any(|path| path.state == State::Trying) => {
                Next::Wait("its target does not answer".to_owned())
            }
            _ => delete(id, seen),
        };
    }
    if let Some(place) = seen.staging.as_ref().filter(|place| place.mount.is_some()) {
        return Next::Do(Step::Unmount(place.path.clone()));
    }
    if let Some(device) = &seen.device {
        let own = DeviceOf {
            path: device.path.clone(),
            id,
        };
        if !known.is_claimed {
            return Next::Do(Step::Claim(own));
        }
        // It stays here, and may be granted to who writes.
        if device.is_local && device.is_read_only {
            return Next::Do(Step::SetReadOnly {
                device: own,
                is_read_only: false,
            });
        }
    }
    match seen.paths.is_empty() {
        true => Next::Done,
        false => delete(id, seen),
    }
}

fn delete(id: VolumeId, seen: &Seen) -> Next {
    let there = seen.paths.iter().find(|path| path.state != State::Going);
    match (there, seen.paths.first()) {
        (Some(path), _) => Next::Do(Step::Delete {
            controller: path.controller.clone(),
            id,
        }),
        (None, Some(path)) => Next::Wait(format!("{} is going away", path.controller)),
        (None, None) => Next::Done,
    }
}
