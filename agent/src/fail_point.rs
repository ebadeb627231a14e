//! Fail points: where a test ends the agent at once, as `kill -9` would.
//!
//! There is one before each step of a plan and one after each of its effects: a rename, a sync, a
//! command that was started, a command that ended, a write into configfs. They are named after the
//! work that they lie in, so that the same effect in another plan is another point:
//!
//! ```text
//! volume WriteVolume(Creating)+CreateLinear+FlushDisks #2 CreateLinear: command
//! ```
//!
//! They are in every build, so that what is tested is what ships, and armed by the environment
//! variable [`VARIABLE`] alone. Unarmed, each costs a load and a branch beside a system call.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uuid::Uuid;

use crate::record::{VolumeRecord, VolumeState};
use crate::step::{Step, Subject, Work};

/// Names the file of the points that were hit already. The agent ends itself at the first point that
/// is not in it, after adding it: started again and again, it ends at each point once.
pub const VARIABLE: &str = "WEIR_FAIL_POINTS";

/// Which of the points the agent ends itself at, as `1/3`: the second of three parts. It notes the others and goes past them.
/// Without it, at all.
pub const PART: &str = "WEIR_FAIL_POINTS_PART";

static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
    let file = PathBuf::from(std::env::var_os(VARIABLE)?);
    tracing::warn!(file = %file.display(), "fail points are armed: this agent will end itself");
    Some(Armed {
        // Unreadable is fatal: a test that hits nothing must not look like one that hit everything.
        hit: Mutex::new(read(&file).expect("the file of fail points can be read")),
        file,
        part: Part::from_env(),
        place: Mutex::new("start".to_owned()),
    })
});

struct Armed {
    file: PathBuf,
    part: Part,
    hit: Mutex<BTreeSet<String>>,
    /// What the agent is doing.
    place: Mutex<String>,
}

/// The agent is about to take step `number` of some work.
pub(crate) fn before(work: &Work, number: usize) {
    if let Some(armed) = &*ARMED {
        armed.enter(name(work, number));
    }
}

/// The agent is about to do something that is no step.
pub(crate) fn enter(place: &str) {
    if let Some(armed) = &*ARMED {
        armed.enter(place.to_owned());
    }
}

/// Something just took effect, as a part of what was entered last.
pub(crate) fn after(effect: &str) {
    if let Some(armed) = &*ARMED {
        armed.after(effect);
    }
}

/// [`after`], for effects whose names have to be made.
pub(crate) fn after_with(effect: impl FnOnce() -> String) {
    if let Some(armed) = &*ARMED {
        armed.after(&effect());
    }
}

/// Something just took effect on a thread of its own, whatever the agent is doing meanwhile.
pub(crate) fn beside(effect: &str) {
    if let Some(armed) = &*ARMED {
        armed.hit(effect.to_owned());
    }
}

impl Armed {
    fn enter(&self, place: String) {
        self.place().clone_from(&place);
        self.hit(place);
    }

    fn after(&self, effect: &str) {
        let point = format!("{}: {effect}", self.place());
        self.hit(point);
    }

    fn place(&self) -> std::sync::MutexGuard<'_, String> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hit(&self, point: String) {
        let mut hit = self.hit.lock().unwrap_or_else(PoisonError::into_inner);
        if hit.contains(&point) {
            return;
        }
        // If the agent ends here, no thread gets past this one any more: the lock is not given back.
        let written = add(&self.file, &point);
        assert!(written.is_ok(), "a fail point can be noted: {written:?}");
        let is_end = self.part.has(&point);
        hit.insert(point);
        if !is_end {
            return;
        }
        let ended = kill(Pid::this(), Signal::SIGKILL);
        unreachable!("SIGKILL can't be caught: {ended:?}");
    }
}

/// A part of all points, told by their names, so that it is the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    number: u128,
    of: u128,
}

impl Part {
    fn from_env() -> Self {
        match std::env::var(PART) {
            Err(_) => Part { number: 0, of: 1 },
            Ok(text) => Part::parse(&text).expect("a part of the fail points is given as 1/3"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let part = Part {
            number: number.parse().ok()?,
            of: of.parse().ok()?,
        };
        (part.number < part.of).then_some(part)
    }

    fn has(self, point: &str) -> bool {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, point.as_bytes()).as_u128() % self.of == self.number
    }
}

fn read(file: &Path) -> io::Result<BTreeSet<String>> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    Ok(text.lines().map(str::to_owned).collect())
}

fn add(file: &Path, point: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(file, "{point}")
}

/// What a step is called: its work's subject and all of its steps, its number, itself.
fn name(work: &Work, number: usize) -> String {
    let subject = <&str>::from(&work.subject);
    let shape: Vec<String> = work.steps.iter().map(label).collect();
    let step = &shape[number];
    format!("{subject} {} #{} {step}", shape.join("+"), number + 1)
}

fn label(step: &Step) -> String {
    let name = <&str>::from(step);
    match step {
        Step::WriteVolume(volume) => format!("{name}({})", state(volume)),
        Step::WritePool(pool) => format!("{name}({:?})", pool.state),
        _ => name.to_owned(),
    }
}

fn state(volume: &VolumeRecord) -> &'static str {
    match (volume.state, volume.attachments.is_empty(), volume.revoked) {
        (VolumeState::Creating, ..) => "Creating",
        (VolumeState::Ready, false, false) => "Granted",
        (VolumeState::Ready, false, true) => "SomeRevoked",
        (VolumeState::Ready, true, true) => "Revoked",
        (VolumeState::Ready, true, false) => "Ready",
        (VolumeState::Deleting, ..) => "Deleting",
        (VolumeState::Rejected, ..) => "Rejected",
    }
}

/// Every kind of subject and of step there is: what a run over all fail points has to hit.
#[must_use]
pub fn kinds() -> Vec<&'static str> {
    use strum::VariantNames;
    [Subject::VARIANTS, Step::VARIANTS].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_after_the_work_around_it() {
        let work = Work {
            subject: Subject::Pool("p".parse().unwrap()),
            steps: vec![
                Step::FlushDisks(Vec::new()),
                Step::RemovePool("p".parse().unwrap()),
            ],
        };
        assert_eq!(name(&work, 1), "Pool FlushDisks+RemovePool #2 RemovePool");
        assert!(kinds().contains(&"Pool") && kinds().contains(&"RemovePool"));
    }

    #[test]
    fn every_point_is_in_one_of_the_parts() {
        for (text, part) in [
            ("0/1", Some((0, 1))),
            ("3/3", None),
            ("1", None),
            ("a/b", None),
        ] {
            let part = part.map(|(number, of)| Part { number, of });
            assert_eq!(Part::parse(text), part, "{text}");
        }
        for point in ["Pool A #1 A", "Pool A #1 A: command", "start"] {
            let parts = (0..3).filter(|number| {
                Part {
                    number: *number,
                    of: 3,
                }
                .has(point)
            });
            assert_eq!(parts.count(), 1);
        }
    }

    #[test]
    fn what_was_hit_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hit");
        assert!(read(&file).unwrap().is_empty());
        add(&file, "a: b").unwrap();
        add(&file, "c").unwrap();
        assert_eq!(
            read(&file).unwrap(),
            ["a: b", "c"].map(str::to_owned).into()
        );
    }
}
