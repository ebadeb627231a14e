//! NodeStageVolume: a volume that was granted becomes a device here, and its file system is mounted at the staging path.

use std::path::PathBuf;

use uuid::Uuid;
use weir_api::names::VolumeId;

use super::{Known, Next, refuse, strange};
use crate::capability::{Form, FsType};
use crate::failure::Failure;
use crate::node::format::{self, Decision, Found};
use crate::node::marker::Marker;
use crate::node::seen::{Device, Kind, Mounted, Place, Seen, State, Whose};
use crate::node::source::{Source, Way};
use crate::node::step::{DeviceOf, Step};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The volume.
    pub id: VolumeId,
    /// Where it is.
    pub source: Source,
    /// Whether it is only read.
    pub is_read_only: bool,
    /// As what.
    pub form: Form,
    /// Its file system.
    pub fs_type: FsType,
    /// How that is made.
    pub mkfs: Vec<String>,
    /// How it is mounted.
    pub flags: Vec<String>,
    /// Where.
    pub path: PathBuf,
    /// The UUID of its file system, if one is to be made.
    pub fresh: Uuid,
    /// Whether it was somebody's before it was Weir's: then none is ever made.
    pub is_taken_over: bool,
}

/// What comes next.
#[must_use]
pub fn next(asked: &Stage, seen: &Seen, known: &Known) -> Next {
    let Some(place) = &seen.staging else {
        return refuse(Failure::Internal(
            "nobody looked at the staging path".to_owned(),
        ));
    };
    if let Some(next) = strange(place) {
        return next;
    }
    if let Some(next) = asked.old(seen) {
        return next;
    }
    // The device was given up, or its connections were of a grant that is over: nothing can be done with it any more.
    if place
        .mount
        .as_ref()
        .is_some_and(|mount| mount.whose == Whose::Gone)
    {
        return Next::Do(Step::Unmount(place.path.clone()));
    }
    if let Some(mount) = &place.mount
        && let Some(next) = asked.contradicted(mount)
    {
        return next;
    }
    if let Some(next) = asked.connect(seen, known) {
        return next;
    }
    let Some(device) = &seen.device else {
        return Next::Wait("its device has not appeared yet".to_owned());
    };
    let is_used = place.mount.is_some() || !seen.others.is_empty();
    if device.is_read_only != asked.is_read_only {
        if is_used {
            return refuse(Failure::AlreadyExists(format!(
                "it is in use here {}, and asked for {}",
                how(device.is_read_only),
                how(asked.is_read_only)
            )));
        }
        let (device, is_read_only) = (asked.own(device), asked.is_read_only);
        return Next::Do(Step::SetReadOnly {
            device,
            is_read_only,
        });
    }
    match (asked.form, &place.mount) {
        (Form::Block, _) | (_, Some(_)) => Next::Done,
        (Form::Mount, None) => asked.mount(place, device, is_used, known),
    }
}

impl Stage {
    fn ways(&self) -> &[Way] {
        match &self.source {
            Source::Local(_) => &[],
            Source::Remote(ways) => ways,
        }
    }

    fn own(&self, device: &Device) -> DeviceOf {
        DeviceOf {
            path: device.path.clone(),
            id: self.id,
        }
    }

    /// Connections of a grant that is over go first: they may hold writes that must never be written, and the kernel would
    /// take a new connection for another path to the same disk.
    fn old(&self, seen: &Seen) -> Option<Next> {
        let is_old = |path: &&_| {
            !self
                .ways()
                .iter()
                .any(|way| crate::node::seen::Connection::is_granted_as(path, way))
        };
        let mut old = seen.paths.iter().filter(is_old);
        let first = old.next()?;
        let deletable = std::iter::once(first)
            .chain(old)
            .find(|path| path.state != State::Going);
        Some(match deletable {
            Some(path) => Next::Do(Step::Delete {
                controller: path.controller.clone(),
                id: self.id,
            }),
            None => Next::Wait(format!(
                "{}, the connection of an earlier grant, is going away",
                first.controller
            )),
        })
    }

    /// Whether what is mounted is not what is asked for.
    fn contradicted(&self, mount: &Mounted) -> Option<Next> {
        let exists = |message: String| Some(refuse(Failure::AlreadyExists(message)));
        if self.form == Form::Block || mount.is_device {
            return exists(
                "it is staged as a file system already, and asked for as a device".to_owned(),
            );
        }
        if mount.fs_type != self.fs_type.name() {
            return exists(format!(
                "it is staged with {} already, and {} is asked for",
                mount.fs_type,
                self.fs_type.name()
            ));
        }
        if mount.is_read_only != self.is_read_only {
            return exists(format!(
                "it is staged {} already, and asked for {}",
                how(mount.is_read_only),
                how(self.is_read_only)
            ));
        }
        None
    }

    fn connect(&self, seen: &Seen, known: &Known) -> Option<Next> {
        let ways = self.ways();
        let missing = |way: &&Way| !seen.paths.iter().any(|path| path.is(way));
        let mut missing = ways.iter().filter(missing);
        if let Some(way) = missing.find(|way| !known.failed.contains_key(&way.portal)) {
            return Some(Next::Do(Step::Connect(way.clone())));
        }
        if ways.is_empty() || seen.is_live() {
            return None;
        }
        if seen.paths.is_empty() {
            let why: Vec<&str> = known.failed.values().map(String::as_str).collect();
            let message = format!("no portal can be connected to: {}", why.join("; "));
            return Some(refuse(Failure::Unavailable(message)));
        }
        Some(Next::Wait(
            "its target does not answer, and is tried".to_owned(),
        ))
    }

    fn mount(&self, place: &Place, device: &Device, is_used: bool, known: &Known) -> Next {
        match place.kind {
            Kind::Missing => return Next::Do(Step::MakeDirectory(place.path.clone())),
            Kind::Empty => {}
            Kind::Full | Kind::File | Kind::Other => {
                return refuse(Failure::Precondition(format!(
                    "`{}` is no empty directory: what is there would be hidden",
                    place.path.display()
                )));
            }
        }
        // Before anything else is asked: what mkfs was seen to end with is noted, and then looked at.
        if known.is_made
            && let Some(marker) = known.marker.filter(|marker| !marker.is_done)
        {
            return Next::Note(Marker {
                is_done: true,
                ..marker
            });
        }
        let Some(found) = &known.found else {
            return Next::Probe;
        };
        match format::decide(known.marker, found, self.fs_type, self.is_read_only) {
            Decision::Refuse(why) => refuse(Failure::Precondition(format!(
                "the device is not mounted: {why}"
            ))),
            Decision::Begin | Decision::Format(_) if is_used => refuse(Failure::Precondition(
                "the device is in use here: no file system is made on it".to_owned(),
            )),
            Decision::Begin | Decision::Format(_) if self.is_taken_over => {
                refuse(Failure::Precondition(
                    "it was somebody's before it was Weir's, and has no file system: whoever knows that it holds nothing has to make one"
                        .to_owned(),
                ))
            }
            Decision::Keep(uuid) => Next::Note(Marker {
                is_done: true,
                fs_type: self.fs_type,
                uuid,
            }),
            Decision::Begin => Next::Note(Marker {
                is_done: false,
                fs_type: self.fs_type,
                uuid: self.fresh,
            }),
            Decision::Format(uuid) => Next::Do(Step::Format {
                device: self.own(device),
                fs_type: self.fs_type,
                uuid,
                options: self.mkfs.clone(),
                is_begun: matches!(found, Found::FileSystem { .. }),
            }),
            Decision::Mount => {
                // Where it is mounted elsewhere it was checked, and can't be.
                let is_checked = known.is_checked || is_used || self.is_read_only;
                if self.fs_type == FsType::Ext4 && !is_checked {
                    return Next::Do(Step::Check(self.own(device)));
                }
                Next::Do(Step::Mount {
                    device: self.own(device),
                    path: place.path.clone(),
                    fs_type: self.fs_type,
                    flags: self.flags.clone(),
                    is_read_only: self.is_read_only,
                })
            }
        }
    }
}

fn how(is_read_only: bool) -> &'static str {
    match is_read_only {
        true => "to read",
        false => "to write",
    }
}
