//! NodePublishVolume: a staged volume appears where a pod has it.

use std::path::PathBuf;

use weir_api::names::VolumeId;

use super::{Known, Next, refuse, strange};
use crate::capability::Form;
use crate::failure::Failure;
use crate::node::seen::{Kind, Mounted, Place, Seen, Whose};
use crate::node::step::{DeviceOf, Step};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The volume.
    pub id: VolumeId,
    /// As what.
    pub form: Form,
    /// Whether it is only read here.
    pub is_read_only: bool,
    /// Whether nobody else on this node may have it.
    pub is_alone: bool,
    /// Where it is staged.
    pub staging: PathBuf,
    /// Where it is to appear.
    pub path: PathBuf,
}

/// What comes next.
#[must_use]
pub fn next(asked: &Publish, seen: &Seen, _: &Known) -> Next {
    let (Some(staging), Some(place)) = (&seen.staging, &seen.target) else {
        return refuse(Failure::Internal("nobody looked at the paths".to_owned()));
    };
    if let Some(next) = strange(place) {
        return next;
    }
    if let Some(mount) = &place.mount {
        if mount.whose == Whose::Gone {
            return Next::Do(Step::Unmount(place.path.clone()));
        }
        return asked.there(place, mount);
    }
    if asked.is_alone
        && let Some(other) = seen.others.first()
    {
        return refuse(Failure::Precondition(format!(
            "it is published at `{}`, and only one may have it",
            other.display()
        )));
    }
    if let Some(next) = asked.unstaged(seen, staging) {
        return next;
    }
    let path = || place.path.clone();
    match (asked.form, place.kind) {
        (Form::Mount, Kind::Missing) => Next::Do(Step::MakeDirectory(path())),
        (Form::Mount, Kind::Empty) => Next::Do(Step::Bind {
            from: staging.path.clone(),
            to: path(),
        }),
        (Form::Block, Kind::Missing) => Next::Do(Step::MakeFile(path())),
        (Form::Block, Kind::File) => match &seen.device {
            Some(device) => Next::Do(Step::BindDevice {
                device: DeviceOf {
                    path: device.path.clone(),
                    id: asked.id,
                },
                to: path(),
            }),
            None => refuse(not_staged()),
        },
        _ => refuse(Failure::Precondition(format!(
            "`{}` is neither missing nor empty: what is there would be hidden",
            place.path.display()
        ))),
    }
}

fn not_staged() -> Failure {
    Failure::Precondition("it is not staged here".to_owned())
}

impl Publish {
    /// What is to be done where the volume appears already.
    fn there(&self, place: &Place, mount: &Mounted) -> Next {
        if mount.is_device != (self.form == Form::Block) {
            let message = format!(
                "`{}` has it already, and not as {}",
                place.path.display(),
                self.form.name()
            );
            return refuse(Failure::AlreadyExists(message));
        }
        match (self.form, mount.is_read_only, self.is_read_only) {
            // The device itself is what can only be read.
            (Form::Block, ..) => Next::Done,
            (_, now, asked) if now == asked => Next::Done,
            // Left by an attempt that was interrupted. What is taken from a pod, if this is none, is what nobody should have given it.
            (_, false, _) => Next::Do(Step::Harden(place.path.clone())),
            (_, true, _) => refuse(Failure::AlreadyExists(format!(
                "`{}` has it already to read, and it is asked for to write",
                place.path.display()
            ))),
        }
    }

    /// Why it can't appear anywhere, if it can't.
    fn unstaged(&self, seen: &Seen, staging: &Place) -> Option<Next> {
        let wrong = |message: &str| Some(refuse(Failure::Precondition(message.to_owned())));
        if self.form == Form::Mount {
            let Some(mount) = &staging.mount else {
                return Some(refuse(not_staged()));
            };
            return match &mount.whose {
                Whose::Volume if mount.is_device => Some(refuse(not_staged())),
                Whose::Volume if mount.is_read_only && !self.is_read_only => {
                    wrong("it is staged to read, and asked for to write")
                }
                Whose::Volume => None,
                Whose::Gone => wrong("its target was given up: it has to be staged again"),
                Whose::Other(_) => strange(staging),
            };
        }
        if staging.mount.is_some() {
            return wrong("it is staged as a file system");
        }
        let Some(device) = &seen.device else {
            return Some(refuse(not_staged()));
        };
        match (device.is_read_only, self.is_read_only) {
            (true, false) => wrong("it is staged to read, and asked for to write"),
            (false, true) => wrong(
                "its device is staged to write: who has it could write, whatever is asked for",
            ),
            _ => None,
        }
    }
}
