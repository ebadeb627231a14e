//! Which programs are attached, and what is off without the others.

mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use self::table::{ENDS, GROUPS, Group, Program};
use super::ProbeError;
use super::handover;
use super::mapper;
use super::maps::Maps;
use super::object::Object;
use super::pins::Pins;
use super::resolve::Lacks;
use super::skips::{self, Misses, Skips};
use super::snapshot::StageOff;
use crate::btf::Btf;

/// How often each program that sees I/Os end is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Copies {
    /// Once; more often from the moment on that the kernel was seen to skip it.
    #[default]
    OnDemand,
    /// As often as it takes that none is skipped on kernels before 7.0.
    All,
}

/// What is to be attached besides what always is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) copies: Copies,
    /// Whether requests of disks may have to be noted when they are issued, whatever the maps say so far.
    pub(super) issues: bool,
}

/// The state of each group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    skips: BTreeMap<&'static str, Skips>,
    states: [State; GROUPS.len()],
    optional_off: Vec<StageOff>,
    /// Whether device mapper's copies of bios can be followed.
    mapper: State,
    links: PathBuf,
}

/// How far something has come that depends on this kernel.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Untried,
    Attached,
    /// The module may still be loaded.
    Waiting(String),
    Off(String),
}

impl Groups {
    /// Attaches what is not attached and could be. Then lets this object's programs act, and detaches
    /// those of any other.
    pub(super) fn attach(
        &mut self,
        object: &Object<'_>,
        pins: &Pins,
        maps: &mut Maps,
        sysfs: &Path,
        asked: Asked,
    ) -> Result<(), ProbeError> {
        let links = pins.links(object.number())?;
        let btf_dir = sysfs.join("kernel/btf");
        let mut types = None;
        for (group, state) in GROUPS.iter().zip(&mut self.states) {
            if !state.is_due(|| group.is_module_loaded(&btf_dir)) {
                continue;
            }
            if group.is_attached(&links) {
                *state = State::Attached;
                continue;
            }
            *state = match group.facts_of(&mut types, &btf_dir) {
                Ok((facts, off)) => {
                    self.optional_off.extend(off);
                    match group.attach(object, &links, &facts, 0..1, |_| true) {
                        Ok(()) => State::Attached,
                        Err(reason) => State::Off(reason),
                    }
                }
                Err(state) => state,
            };
            match state {
                State::Waiting(reason) => {
                    tracing::info!(reason, stages = ?group.stages, "not measured for now")
                }
                State::Off(reason) => {
                    tracing::warn!(reason, stages = ?group.stages, "not measured")
                }
                State::Untried | State::Attached => {}
            }
        }
        self.attach_copies(object, &links, &mut types, &btf_dir, asked.copies, maps)?;
        let needs_issues = asked.issues || maps.needs_issues();
        self.follow_issues(object, &links, &mut types, &btf_dir, needs_issues);
        if self.mapper.is_due(|| mapper::is_loaded(sysfs)) {
            self.mapper = mapper::follow(maps, sysfs, types)?;
        }
        handover::take_over(&maps.shared, object.number());
        if pins.remove_links_but(object.number())? {
            tracing::info!("the programs of another build were replaced, the counters go on");
        }
        self.links = links;
        Ok(())
    }

    /// Attaches the programs that there is not always something to do for, or detaches them: a program costs every event half as much as
    /// one that does something. One that can't be attached is tried again.
    fn follow_issues(
        &self,
        object: &Object<'_>,
        links: &Path,
        types: &mut Option<Btf>,
        btf_dir: &Path,
        are_needed: bool,
    ) {
        for (group, state) in GROUPS.iter().zip(&self.states) {
            let on_demand = group.programs.iter().filter(|program| !program.always);
            let mut pins = on_demand.flat_map(|program| program.pins(links));
            if !are_needed {
                // What it is about to note now needs no note. What it noted is found when it ends.
                pins.for_each(|(_, pin)| drop(std::fs::remove_file(pin)));
            } else if matches!(state, State::Attached) && !pins.all(|(_, pin)| pin.exists()) {
                let facts = group.facts_of(types, btf_dir);
                let attached = facts
                    .map_err(|state| state.reason().unwrap_or_default().to_owned())
                    .and_then(|(facts, _)| {
                        group.attach(object, links, &facts, 0..1, |program| !program.always)
                    });
                if let Err(reason) = attached {
                    tracing::warn!(reason, "when disks' requests are issued is not noted");
                }
            }
        }
    }

    /// Attaches the other copies of programs that see ends, if one was skipped. A copy that can't be attached is tried again.
    fn attach_copies(
        &mut self,
        object: &Object<'_>,
        links: &Path,
        types: &mut Option<Btf>,
        btf_dir: &Path,
        copies: Copies,
        maps: &mut Maps,
    ) -> Result<(), ProbeError> {
        let ends = |group: &'static Group| group.programs.iter().filter(|end| end.copies == ENDS);
        let lacking: Vec<&'static Group> = GROUPS
            .iter()
            .zip(&self.states)
            .filter(|(group, state)| {
                let mut pins = ends(group).flat_map(|program| program.pins(links));
                matches!(state, State::Attached) && !pins.all(|(_, pin)| pin.exists())
            })
            .map(|(group, _)| group)
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let misses = misses(links);
        let of = |end: &Program| misses.get(end.name).copied().unwrap_or_default();
        // Where ends of one kind come in the middle of each other, those of another kind will too.
        let mut all = GROUPS.iter().flat_map(ends);
        let is_skipped = all.any(|end| of(end).iter().flatten().any(|n| *n > 0));
        if copies == Copies::OnDemand && !is_skipped {
            return Ok(());
        }
        // Never taken back, since one day more than one copy is attached: it costs, and harms nothing.
        maps.shared.notes_requests().store(1, Ordering::SeqCst);
        self.follow_issues(object, links, types, btf_dir, true);
        for group in &lacking {
            let facts = group.facts_of(types, btf_dir);
            let attached = facts
                .map_err(|state| state.reason().unwrap_or_default().to_owned())
                .and_then(|(facts, _)| group.attach(object, links, &facts, 1..ENDS, |_| true));
            match attached {
                Err(reason) => tracing::warn!(reason, "the kernel skips ends of I/Os"),
                Ok(()) if is_skipped => {
                    tracing::info!(stages = ?group.stages, "the kernel skipped ends of I/Os: more copies see them now");
                }
                Ok(()) => {}
            }
        }
        let now = self::misses(links);
        for end in lacking.into_iter().flat_map(ends) {
            let now = now.get(end.name).copied().unwrap_or_default();
            let skips = self.skips.entry(end.name).or_default();
            skips.more_copies(&of(end), &now);
        }
        Ok(())
    }

    /// What needs more than one group's events, and can't be measured.
    pub(super) fn lacks(&self) -> Lacks<'_> {
        let [_, requests, _, host, _] = &self.states;
        Lacks {
            division: requests.reason().or(self.mapper.reason()),
            imports: requests.reason().or(host.reason()),
            requests: requests.reason(),
        }
    }

    /// Why no I/O of any volume can be seen: neither on its own device nor under the target.
    pub(super) fn blind(&self) -> Option<&str> {
        let [volumes, _, target, ..] = &self.states;
        match (volumes, target) {
            (State::Off(_), State::Attached) => None,
            (State::Off(reason), _) => Some(reason),
            _ => None,
        }
    }

    /// How many events at most each program missed since it was loaded.
    pub(super) fn skipped(&self) -> Vec<(String, u64)> {
        let all = misses(&self.links).into_iter();
        all.map(|(name, misses)| {
            let skips = self.skips.get(name).copied().unwrap_or_default();
            (name.to_owned(), skips.total(&misses))
        })
        .collect()
    }

    /// What is not measured, and why.
    pub(super) fn off(&self) -> Vec<StageOff> {
        let mut off = Vec::new();
        for (group, state) in GROUPS.iter().zip(&self.states) {
            if let Some(reason) = state.reason() {
                off.extend(group.stages.iter().map(|stage| StageOff {
                    stage: (*stage).to_owned(),
                    reason: reason.to_owned(),
                }));
            }
        }
        off.extend(self.optional_off.iter().cloned());
        off
    }
}

impl State {
    /// Whether there is something to try.
    fn is_due(&self, is_loaded: impl FnOnce() -> bool) -> bool {
        match self {
            State::Untried => true,
            State::Waiting(_) => is_loaded(),
            State::Attached | State::Off(_) => false,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            State::Untried | State::Attached => None,
            State::Waiting(reason) | State::Off(reason) => Some(reason),
        }
    }
}

/// What the kernel tells of every program.
fn misses(links: &Path) -> BTreeMap<&'static str, Misses> {
    let programs = GROUPS.iter().flat_map(|group| group.programs);
    let pins = programs.flat_map(|program| {
        let pins = program.pins(links);
        pins.map(|(copy, pin)| (program.name, copy, pin))
    });
    skips::of_links(pins.filter(|(_, _, pin)| pin.exists()))
}
