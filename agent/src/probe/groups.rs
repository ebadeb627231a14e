//! Which programs are attached, and what is off without the others.
//!
//! A group is what makes sense together: with a half of it missing, the other half would count starts
//! that never end.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use weir_agent_ebpf::kernel::{self, Fact};
use weir_agent_ebpf::layout::COPIES;

use super::ProbeError;
use super::handover;
use super::mapper;
use super::maps::Maps;
use super::object::{self, Hook, Object, one_line};
use super::pins::Pins;
use super::resolve::Lacks;
use super::skips::{self, Misses, Skips};
use super::snapshot::StageOff;
use crate::btf::{self, Btf};

struct Group {
    /// Ends before beginnings, so that nothing begins that can't end.
    programs: &'static [Program],
    facts: &'static [&'static [Fact]],
    /// What its programs can do without, and what is missing then.
    optional: Option<(&'static [Fact], &'static str)>,
    /// What is missing without the group.
    stages: &'static [&'static str],
    /// The module that its tracepoints and types belong to, and one of its types: it may be built in.
    module: Option<(&'static str, &'static str)>,
}

struct Program {
    name: &'static str,
    hook: Hook,
    copies: usize,
    /// False if it is detached while there is nothing for it to do: see [`Groups::follow_issues`].
    always: bool,
}

/// The kernel skips a program on a CPU where the same program is not finished (see [`skips`]), and an
/// end may come in an interrupt in the middle of another's end. Another copy of the program is not the
/// same program: so many as there are contexts that can interrupt each other (task, softirq, hardirq)
/// see every end between them. To handle an end twice is harmless: the first one takes its start. Each copy costs every I/O, so
/// all but the first are attached only once an end was skipped, or if they are asked for ([`Copies`]).
const ENDS: usize = COPIES as usize;

/// A second copy would begin everything twice. Beginnings come in tasks only.
const BEGINNINGS: usize = 1;

const fn program(name: &'static str, tracepoint: &'static str, copies: usize) -> Program {
    Program {
        name,
        hook: Hook::Tracepoint(tracepoint),
        copies,
        always: true,
    }
}

const fn typed(name: &'static str, tracepoint: &'static str, copies: usize) -> Program {
    Program {
        name,
        hook: Hook::Typed(tracepoint),
        copies,
        always: true,
    }
}

/// Bios, disks' requests, the NVMe target, the NVMe host, limits of cgroups.
const GROUPS: [Group; 5] = [
    Group {
        programs: &[
            typed("bio_complete", "block_bio_complete", ENDS),
            typed("bio_queue", "block_bio_queue", BEGINNINGS),
        ],
        facts: &[kernel::OPERATION, kernel::BIO],
        optional: None,
        stages: &["backend", "bio_disk"],
        module: None,
    },
    Group {
        programs: &[
            typed("rq_complete", "block_rq_complete", ENDS),
            typed("rq_requeue", "block_rq_requeue", ENDS),
            Program {
                always: false,
                ..typed("rq_issue", "block_rq_issue", BEGINNINGS)
            },
        ],
        facts: &[
            kernel::OPERATION,
            kernel::BIO,
            kernel::CARRIED,
            kernel::REQUEST,
        ],
        optional: None,
        stages: &["disk"],
        module: None,
    },
    Group {
        programs: &[
            program("nvmet_complete", "nvmet_req_complete", ENDS),
            program("nvmet_init", "nvmet_req_init", BEGINNINGS),
        ],
        facts: &[kernel::TARGET],
        optional: Some((kernel::INITIATOR, "initiator")),
        stages: &["exported", "initiator"],
        module: Some(("nvmet", "nvmet_req")),
    },
    Group {
        programs: &[
            program("nvme_complete", "nvme_complete_rq", ENDS),
            program("nvme_setup", "nvme_setup_cmd", BEGINNINGS),
        ],
        facts: &[kernel::BIO, kernel::CARRIED, kernel::HOST],
        optional: None,
        stages: &["import"],
        module: Some(("nvme_core", "nvme_request")),
    },
    Group {
        programs: &[Program {
            name: "throttle",
            hook: Hook::Function("__blk_throtl_bio"),
            copies: BEGINNINGS,
            always: true,
        }],
        facts: &[kernel::BIO],
        optional: None,
        stages: &["throttle"],
        module: None,
    },
];

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

impl Program {
    /// Where the links of its copies are pinned, by their numbers from 0 on.
    fn pins(&self, links: &Path) -> impl Iterator<Item = (usize, PathBuf)> + use<> {
        let (name, links) = (self.name, links.to_owned());
        (0..self.copies).map(move |copy| (copy, links.join(format!("{name}-{}", copy + 1))))
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

type Facts = HashMap<&'static str, u32>;

impl Group {
    fn is_module_loaded(&self, btf_dir: &Path) -> bool {
        self.module
            .is_some_and(|(module, _)| btf_dir.join(module).exists())
    }

    /// The facts that the programs need, and what is missing of those that they can do without.
    fn facts_of(
        &self,
        types: &mut Option<Btf>,
        btf_dir: &Path,
    ) -> Result<(Facts, Option<StageOff>), State> {
        let off = |error: btf::BtfError| State::Off(one_line(&error));
        let mut kernel = match types.take() {
            Some(kernel) => kernel,
            None => Btf::of_kernel(btf_dir).map_err(off)?,
        };
        if let Some((module, of_module)) = self.module {
            if self.is_module_loaded(btf_dir) {
                kernel = kernel.with_module(btf_dir, module).map_err(off)?;
            } else if kernel.size(of_module).is_none() {
                let reason = format!("the kernel module {module} is not loaded, or has no BTF");
                return Err(State::Waiting(reason));
            }
        }
        let mut facts = Facts::new();
        for some in self.facts {
            facts.extend(btf::lookup(&kernel, some).map_err(State::Off)?);
        }
        let mut missing = None;
        if let Some((optional, stage)) = self.optional {
            match btf::lookup(&kernel, optional) {
                Ok(found) => facts.extend(found),
                Err(reason) => {
                    missing = Some(StageOff {
                        stage: stage.to_owned(),
                        reason,
                    });
                }
            }
        }
        *types = Some(kernel);
        Ok((facts, missing))
    }

    /// Whether each program that always is to be there is, at least once.
    fn is_attached(&self, links: &Path) -> bool {
        let mut first = self
            .programs
            .iter()
            .filter(|program| program.always)
            .flat_map(|program| program.pins(links).take(1));
        first.all(|(_, pin)| pin.exists())
    }

    /// Attaches these copies of its programs: all or none. The error is a reason for people.
    fn attach(
        &self,
        object: &Object<'_>,
        links: &Path,
        facts: &Facts,
        copies: Range<usize>,
        which: impl Fn(&Program) -> bool,
    ) -> Result<(), String> {
        let mut new = Vec::new();
        let attach_all = || -> Result<(), String> {
            for copy in copies {
                // Loaded anew, the object's programs are others to the kernel; the maps are the same.
                let mut facts = facts.clone();
                facts.insert("COPY", u32::try_from(copy + 1).unwrap_or_default());
                let mut ebpf = object.load(&facts).map_err(|error| one_line(&error))?;
                for program in self.programs.iter().filter(|program| which(program)) {
                    let Some((_, pin)) = program.pins(links).nth(copy) else {
                        continue;
                    };
                    if !pin.exists() {
                        let (name, hook) = (program.name, program.hook);
                        object::attach(&mut ebpf, &object.types, name, hook, &pin)?;
                        new.push(pin);
                    }
                }
            }
            Ok(())
        };
        let attached = attach_all();
        if attached.is_err() {
            for pin in new {
                let _ = std::fs::remove_file(pin);
            }
        }
        attached
    }
}
