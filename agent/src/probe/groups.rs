//! Which programs are attached, and what is off without the others.
//!
//! A group is what makes sense together: with a half of it missing, the other half would count starts
//! that never end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use weir_agent_ebpf::kernel::{self, Fact};

use super::ProbeError;
use super::maps::Maps;
use super::object::{self, Object, one_line};
use super::pins::Pins;
use super::skips;
use super::snapshot::StageOff;
use crate::btf::{self, Btf};

struct Group {
    /// Programs and their tracepoints, ends before beginnings, so that nothing begins that can't end.
    programs: &'static [(&'static str, &'static str)],
    facts: &'static [&'static [Fact]],
    /// What is missing without the group.
    stages: &'static [&'static str],
    /// The module that its tracepoints and types belong to, unless it is built in.
    module: Option<&'static str>,
}

const GROUPS: [Group; 3] = [
    Group {
        programs: &[
            ("bio_complete", "block_bio_complete"),
            ("bio_queue", "block_bio_queue"),
        ],
        facts: &[kernel::OPERATION, kernel::BIO],
        stages: &["backend", "bio_disk"],
        module: None,
    },
    Group {
        programs: &[
            ("rq_complete", "block_rq_complete"),
            ("rq_requeue", "block_rq_requeue"),
            ("rq_issue", "block_rq_issue"),
        ],
        facts: &[kernel::OPERATION, kernel::REQUEST],
        stages: &["disk"],
        module: None,
    },
    Group {
        programs: &[
            ("nvmet_complete", "nvmet_req_complete"),
            ("nvmet_init", "nvmet_req_init"),
        ],
        facts: &[kernel::TARGET],
        stages: &["exported", "initiator"],
        module: Some("nvmet"),
    },
];

/// The state of each group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    states: [State; GROUPS.len()],
    initiator_off: Option<String>,
    links: PathBuf,
}

#[derive(Debug, Default)]
enum State {
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
    ) -> Result<(), ProbeError> {
        let links = pins.links(object.number())?;
        let btf_dir = sysfs.join("kernel/btf");
        let mut types = None;
        for (group, state) in GROUPS.iter().zip(&mut self.states) {
            let due = match state {
                State::Untried => true,
                State::Waiting(_) => group.module.is_some_and(|m| btf_dir.join(m).exists()),
                State::Attached | State::Off(_) => false,
            };
            if !due {
                continue;
            }
            if group.is_attached(&links) {
                *state = State::Attached;
                continue;
            }
            *state = match group.facts_of(&mut types, &btf_dir) {
                Ok((facts, initiator_off)) => {
                    if group.module.is_some() {
                        self.initiator_off = initiator_off;
                    }
                    group.attach(object, &links, &facts)
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
        if maps.gate.get(0)? != object.number() {
            maps.gate.set(0, &object.number())?;
        }
        if pins.remove_links_but(object.number())? {
            tracing::info!("the programs of another build were replaced, the counters go on");
        }
        self.links = links;
        Ok(())
    }

    /// How often the kernel skipped each program, since it was loaded.
    pub(super) fn skipped(&self) -> Vec<(String, u64)> {
        let programs = GROUPS.iter().flat_map(|group| group.programs);
        let pins = programs.map(|(program, _)| (*program, self.links.join(program)));
        skips::of_links(pins.filter(|(_, pin)| pin.exists()).collect())
    }

    /// What is not measured, and why.
    pub(super) fn off(&self) -> Vec<StageOff> {
        let mut off = Vec::new();
        for (group, state) in GROUPS.iter().zip(&self.states) {
            if let State::Waiting(reason) | State::Off(reason) = state {
                off.extend(group.stages.iter().map(|stage| StageOff {
                    stage: (*stage).to_owned(),
                    reason: reason.clone(),
                }));
            }
        }
        off.extend(self.initiator_off.iter().map(|reason| StageOff {
            stage: "initiator".to_owned(),
            reason: reason.clone(),
        }));
        off
    }
}

type Facts = HashMap<&'static str, u32>;

impl Group {
    /// The facts that the programs need, and why the initiators can't be told apart, if so.
    fn facts_of(
        &self,
        types: &mut Option<Btf>,
        btf_dir: &Path,
    ) -> Result<(Facts, Option<String>), State> {
        let off = |error: btf::BtfError| State::Off(one_line(&error));
        let mut kernel = match types.take() {
            Some(kernel) => kernel,
            None => Btf::of_kernel(btf_dir).map_err(off)?,
        };
        if let Some(module) = self.module {
            if btf_dir.join(module).exists() {
                kernel = kernel.with_module(btf_dir, module).map_err(off)?;
            } else if kernel.offset("nvmet_req", "ns").is_none() {
                let reason = format!("the kernel module {module} is not loaded, or has no BTF");
                return Err(State::Waiting(reason));
            }
        }
        let mut facts = Facts::new();
        for some in self.facts {
            facts.extend(btf::lookup(&kernel, some).map_err(State::Off)?);
        }
        let mut initiator_off = None;
        if self.module.is_some() {
            match btf::lookup(&kernel, kernel::INITIATOR) {
                Ok(found) => facts.extend(found),
                Err(reason) => initiator_off = Some(reason),
            }
        }
        *types = Some(kernel);
        Ok((facts, initiator_off))
    }

    fn is_attached(&self, links: &Path) -> bool {
        let mut programs = self.programs.iter();
        programs.all(|(program, _)| links.join(program).exists())
    }

    fn attach(&self, object: &Object<'_>, links: &Path, facts: &Facts) -> State {
        let attach_all = || -> Result<(), String> {
            let mut ebpf = object.load(facts).map_err(|error| one_line(&error))?;
            for (program, tracepoint) in self.programs {
                let pin = links.join(program);
                if !pin.exists() {
                    object::attach(&mut ebpf, program, tracepoint, &pin)?;
                }
            }
            Ok(())
        };
        let Err(reason) = attach_all() else {
            return State::Attached;
        };
        for (program, _) in self.programs {
            // Only those before the one that failed are there.
            let _ = std::fs::remove_file(links.join(program));
        }
        State::Off(reason)
    }
}
