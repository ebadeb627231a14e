//! What is to be done next for a request, as a function of what is there. It is asked again after each step, so that a request that was
//! interrupted anywhere and is made again goes on where it was, and one that was done does nothing.

pub mod expand;
pub mod publish;
pub mod stage;
pub mod unpublish;
pub mod unstage;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::format::Found;
use super::marker::Marker;
use super::seen::{Place, Whose};
use super::step::Step;
use crate::failure::Failure;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: all is as it is to be.
    Done,
    /// This.
    Do(Step),
    /// It has to be found out what is on the device.
    Probe,
    /// This is to be noted in the API.
    Note(Marker),
    /// Others have to do something, in words.
    Wait(String),
    /// It can't be done.
    Refuse(Failure),
}

/// What one run of a request knows besides what is there. None of it outlives the run: a run that begins anew finds it out anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What the API says of the file system.
    pub marker: Option<Marker>,
    /// What is on the device, since it was last changed.
    pub found: Option<Found>,
    /// Whether mkfs came to its end.
    pub is_made: bool,
    /// Whether the file system was checked.
    pub is_checked: bool,
    /// Whether nobody has the device.
    pub is_claimed: bool,
    /// Whether the controllers were asked for the size.
    pub is_rescanned: bool,
    /// Whether the file system was grown.
    pub is_grown: bool,
    /// Portals that could not be connected to, and why.
    pub failed: BTreeMap<SocketAddr, String>,
    /// How long it was waited.
    pub waited: Duration,
    /// How long it may be waited in all.
    pub patience: Duration,
}

impl Known {
    /// A step was done.
    pub fn did(&mut self, step: &Step) {
        match step {
            Step::Format { .. } => {
                self.is_made = true;
                self.found = None;
            }
            Step::Check(_) => self.is_checked = true,
            Step::Claim(_) => self.is_claimed = true,
            Step::Rescan { .. } => self.is_rescanned = true,
            Step::Grow { .. } => self.is_grown = true,
            // The device may be another one from now on.
            Step::Connect(_) | Step::Delete { .. } => {
                self.found = None;
                self.is_checked = false;
            }
            _ => {}
        }
    }

    /// A step failed; whether the request goes on without it.
    pub fn failed(&mut self, step: &Step, why: &Failure) -> bool {
        match step {
            // There may be other portals.
            Step::Connect(way) => {
                self.failed.insert(way.portal, why.to_string());
                true
            }
            _ => false,
        }
    }
}

fn refuse(failure: Failure) -> Next {
    Next::Refuse(failure)
}

/// That what is mounted at a place is nothing of the volume's, which is left alone.
fn strange(place: &Place) -> Option<Next> {
    match &place.mount.as_ref()?.whose {
        Whose::Other(what) => Some(refuse(Failure::Precondition(format!(
            "`{}` has {what} mounted on it, which is not the volume's: it is left alone",
            place.path.display()
        )))),
        _ => None,
    }
}
