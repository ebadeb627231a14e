//! Where what is asked for comes from: files in a directory, or a cluster's API.

use std::path::PathBuf;

use weir_api::orphan::Done;

use crate::chain;
use crate::join::Join;
use crate::notice::Notice;
use crate::orders::Answer;
use crate::requests::Requests;
use crate::statuses::Statuses;
use crate::watch::{self, Read, Seen, look};

/// One of the two.
pub enum Source {
    /// Request files.
    Files {
        /// Their directory.
        dir: PathBuf,
        /// Notices that they changed.
        notice: Notice,
    },
    /// An API, which wakes the loop itself.
    Api(Join),
}

impl Source {
    /// Request files in `dir`.
    #[must_use]
    pub fn files(dir: PathBuf) -> Self {
        let notice = Notice::of(&dir);
        Source::Files { dir, notice }
    }

    /// The directory of request files, if that is where requests come from.
    #[must_use]
    pub fn dir(&self) -> Option<&PathBuf> {
        match self {
            Source::Files { dir, .. } => Some(dir),
            Source::Api(_) => None,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn read(&self) -> Read {
        match self {
            Source::Files { dir, .. } => watch::read(dir),
            Source::Api(join) => whole(join.requests()),
        }
    }

    /// The same for a person's order, which wants to know what is asked for now.
    #[must_use]
    pub fn read_now(&self) -> Read {
        match self {
            Source::Files { dir, .. } => watch::read(dir),
            Source::Api(join) => whole(join.requests_now()),
        }
    }

    /// Tells what was found.
    pub fn tell(&self, statuses: &Statuses) {
        match self {
            Source::Files { .. } => {}
            Source::Api(join) => join.tell(statuses),
        }
    }

    /// Does what an answer to a person's order leaves to do.
    #[must_use]
    pub fn carry_out(&self, answer: Answer) -> Answer {
        match (self, answer) {
            (Source::Api(join), Answer::Create(pool)) => match join.create(&pool) {
                Ok(message) => Answer::Done(Done { message, id: None }),
                Err(error) => Answer::Failed(chain(&error)),
            },
            (_, answer) => answer,
        }
    }

    /// Whether files are others than `seen`, as far as it has to be asked: an API wakes the loop itself.
    pub fn has_changed(&mut self, seen: &Seen) -> bool {
        match self {
            Source::Files { dir, notice } => notice.may_have_changed() && look(dir) != *seen,
            Source::Api(_) => false,
        }
    }
}

fn whole(requests: Requests) -> Read {
    Read {
        requests,
        seen: Seen::new(),
        is_partial: false,
    }
}
