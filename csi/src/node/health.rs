//! How a volume is on this node, from what is there now.

use super::seen::{Place, Seen, State, Whose};
use crate::proto::VolumeCondition;

/// How the volume is that appears at `place`.
#[must_use]
pub fn of(place: &Place, seen: &Seen) -> VolumeCondition {
    let mut wrong: Vec<String> = Vec::new();
    if let Some(mount) = &place.mount {
        if mount.whose == Whose::Gone {
            wrong.push(
                "its target was given up, and its device is gone: it has to be staged again"
                    .to_owned(),
            );
        } else if mount.is_fs_read_only && !mount.is_read_only {
            wrong.push(
                "its file system can only be read, after an error: the kernel's log says which"
                    .to_owned(),
            );
        }
    }
    let live = seen
        .paths
        .iter()
        .filter(|path| path.state == State::Live)
        .count();
    let all = seen.paths.len();
    match (live, all) {
        (0, 1..) => wrong.push("its target does not answer: I/O waits".to_owned()),
        (live, all) if live < all => wrong.push(format!("{live} of {all} connections work")),
        _ => {}
    }
    let abnormal = !wrong.is_empty();
    if !abnormal {
        wrong.push(match all {
            0 => "it is used on its own node".to_owned(),
            1 => "its connection works".to_owned(),
            all => format!("all of {all} connections work"),
        });
    }
    VolumeCondition {
        abnormal,
        message: wrong.join("; "),
    }
}
