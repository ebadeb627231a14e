//! NodeUnpublishVolume: a volume is not where a pod had it any more.

use super::{Known, Next, refuse, strange};
use crate::failure::Failure;
use crate::node::seen::{Kind, Seen};
use crate::node::step::Step;

/// What comes next.
#[must_use]
pub fn next(seen: &Seen, _: &Known) -> Next {
    let Some(place) = &seen.target else {
        return refuse(Failure::Internal(
            "nobody looked at the target path".to_owned(),
        ));
    };
    if let Some(next) = strange(place) {
        return next;
    }
    if place.mount.is_some() {
        return Next::Do(Step::Unmount(place.path.clone()));
    }
    match place.kind {
        Kind::Missing => Next::Done,
        Kind::Empty | Kind::File => Next::Do(Step::Remove(place.path.clone())),
        // Data that somebody wrote beside the volume is not ours to remove.
        Kind::Full | Kind::Other => refuse(Failure::Precondition(format!(
            "`{}` has something in it, and the volume is not mounted there: it is left alone",
            place.path.display()
        ))),
    }
}
