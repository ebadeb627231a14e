//! The programs in groups, each of them attached as a whole.
//!
//! A group is what makes sense together: with a half of it missing, the other half would count starts
//! that never end.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use weir_agent_ebpf::kernel::{self, Fact};
use weir_agent_ebpf::layout::COPIES;

use super::State;
use crate::btf::{self, Btf};
use crate::probe::object::{self, Hook, Object, one_line};
use crate::probe::snapshot::StageOff;

pub(super) struct Group {
    /// Ends before beginnings, so that nothing begins that can't end.
    pub(super) programs: &'static [Program],
    facts: &'static [&'static [Fact]],
    /// What its programs can do without, and what is missing then.
    optional: Option<(&'static [Fact], &'static str)>,
    /// What is missing without the group.
    pub(super) stages: &'static [&'static str],
    /// The module that its tracepoints and types belong to, and one of its types: it may be built in.
    module: Option<(&'static str, &'static str)>,
}

pub(super) struct Program {
    pub(super) name: &'static str,
    hook: Hook,
    pub(super) copies: usize,
    /// False if it is detached while there is nothing for it to do: see [`super::Groups`].
    pub(super) always: bool,
}

/// The kernel skips a program on a CPU where the same program is not finished (see [`crate::probe::skips`]), and an
/// end may come in an interrupt in the middle of another's end. Another copy of the program is not the
/// same program: so many as there are contexts that can interrupt each other (task, softirq, hardirq)
/// see every end between them. To handle an end twice is harmless: the first one takes its start. Each copy costs every I/O, so
/// all but the first are attached only once an end was skipped, or if they are asked for ([`super::Copies`]).
pub(super) const ENDS: usize = COPIES as usize;

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
pub(super) const GROUPS: [Group; 5] = [
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

impl Program {
    /// Where the links of its copies are pinned, by their numbers from 0 on.
    pub(super) fn pins(&self, links: &Path) -> impl Iterator<Item = (usize, PathBuf)> + use<> {
        let (name, links) = (self.name, links.to_owned());
        (0..self.copies).map(move |copy| (copy, links.join(format!("{name}-{}", copy + 1))))
    }
}

pub(super) type Facts = HashMap<&'static str, u32>;

impl Group {
    pub(super) fn is_module_loaded(&self, btf_dir: &Path) -> bool {
        self.module
            .is_some_and(|(module, _)| btf_dir.join(module).exists())
    }

    /// The facts that the programs need, and what is missing of those that they can do without.
    pub(super) fn facts_of(
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
    pub(super) fn is_attached(&self, links: &Path) -> bool {
        let mut first = self
            .programs
            .iter()
            .filter(|program| program.always)
            .flat_map(|program| program.pins(links).take(1));
        first.all(|(_, pin)| pin.exists())
    }

    /// Attaches these copies of its programs: all or none. The error is a reason for people.
    pub(super) fn attach(
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
