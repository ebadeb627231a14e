//! Volumes that several nodes use at once: each grant does its I/O through a device mapping of its own,
//! which is what cuts it off: the mapping fails everything once what was on its way has ended, and the
//! others notice nothing.

use std::collections::BTreeSet;

use nvmet::{Nqn, Subsystem, Target};
use weir_api::condition::reason;
use weir_api::names::{Generation, MappingName, VolumeId};
use weir_api::volume::{Access, Attachment, AttachmentStatus, Volume};

use super::attach::{Export, Served, granted, waiting};
use super::grants::Grants;
use super::volumes::Verdict;
use super::{Planner, Problem, exports};
use crate::dm::Mapped;
use crate::record::VolumeRecord;
use crate::step::Step;

/// What is there of a volume's grants, besides the record.
pub(super) struct Traces<'a> {
    mappings: Vec<(&'a MappingName, &'a Mapped)>,
    subsystems: Vec<(&'a Nqn, &'a Subsystem)>,
}

impl Traces<'_> {
    fn is_empty(&self) -> bool {
        self.mappings.is_empty() && self.subsystems.is_empty()
    }
}

impl<'p> Planner<'p> {
    /// Every mapping and every subsystem of a volume.
    pub(super) fn traces(&self, id: VolumeId) -> Result<Traces<'p>, Problem> {
        let target = self.target()?;
        let subsystems = target.subsystems.iter();
        let is_of = |nqn: &Nqn| VolumeId::from_nqn(nqn.as_str()) == Some(id);
        let mapped = self.observed.mapped.as_ref().map_err(|error| {
            let message = format!("device mapper can't be asked: {error}");
            Problem::new(reason::TARGET_UNAVAILABLE, message)
        })?;
        let mappings = mapped.iter().filter_map(|device| {
            let mapping = device.mapping.as_ref()?;
            (mapping.volume() == Some(id)).then_some((mapping, device))
        });
        Ok(Traces {
            mappings: mappings.collect(),
            subsystems: subsystems.filter(|(nqn, _)| is_of(nqn)).collect(),
        })
    }

    /// The grants of a multi-host volume.
    pub(super) fn attach_several(
        &mut self,
        served: Served<'_>,
        grants: &Grants,
        verdict: &mut Verdict,
    ) -> Result<(), Problem> {
        let Served { volume, lv, .. } = served;
        let target = self.target()?;
        let traces = self.traces(volume.id)?;
        let mut keep = grants.keep.clone();
        let mut leaving = Vec::new();
        for attachment in volume.attachments.iter().filter(|a| !keep.contains(a)) {
            let mapping = mapping_of(volume, attachment);
            let device = traces.mappings.iter().find(|(name, _)| **name == mapping);
            let strangers = device
                .and_then(|(_, device)| self.observed.strangers(device.number, &mapping.path()));
            // Local use ends with its last closer; another host's is cut off.
            if self.is_local(attachment) && strangers.is_some_and(|strangers| strangers > 0) {
                leaving.push(attachment.clone());
            }
        }
        keep.extend(leaving.iter().cloned());
        let unwanted = self.unwanted(served, &keep, &traces);
        let is_order = grants.ordered || volume.revoked;
        if grants.ordered {
            let has_left = |a: &Attachment| !keep.contains(a);
            let is_left = !unwanted.is_empty() && !volume.revoked;
            if volume.attachments.iter().any(has_left) || is_left {
                verdict.record(VolumeRecord {
                    attachments: keep.clone(),
                    revoked: true,
                    ..volume.clone()
                });
            }
        }
        let mut problem = None;
        if !unwanted.is_empty() && is_order {
            cut_off(target, &unwanted, verdict);
            if lv.number.is_some() {
                let device = lv.dm_path.clone().into();
                verdict.steps.push(Step::DropCache(device));
            }
        }
        // All new grants at once, or none: they are recorded under one highest generation.
        if !grants.new.is_empty() {
            let is_ending = !unwanted.is_empty() || keep.len() > grants.keep.len();
            let waits = if is_ending {
                Some(Problem::new(
                    reason::WAITING,
                    "a grant before is being ended",
                ))
            } else {
                self.opened(lv)
            };
            match waits {
                Some(waits) => {
                    let waiting = grants.new.iter().map(|new| waiting(new, &waits));
                    verdict.attachments.extend(waiting);
                    problem = Some(waits);
                }
                None => {
                    keep.extend(grants.new.iter().cloned());
                    verdict.record(VolumeRecord {
                        attachments: keep.clone(),
                        highest_generation: keep.iter().map(|a| a.generation).max(),
                        unclean_stop: false,
                        revoked: volume.revoked,
                        ..volume.clone()
                    });
                }
            }
        }
        verdict.opened_locally = self.opened(lv);
        for attachment in &keep {
            let is_cut = |(nqn, _): &(&Nqn, &Subsystem)| **nqn == nqn_of(volume, attachment);
            if unwanted.subsystems.iter().any(is_cut) {
                continue;
            }
            let granted = self.grant(served, attachment, &traces, verdict);
            if let Err(waits) = granted {
                verdict.attachments.push(waiting(attachment, &waits));
                problem = Some(waits);
            }
        }
        for leaving in &leaving {
            let waits = Problem::new(reason::IN_USE, "its device is still open on this node");
            let status = verdict.attachments.iter_mut();
            for status in status.filter(|status| status.node_name == leaving.node_name) {
                status.message = Some(waits.message.clone());
                status.device_path = None;
            }
            problem = Some(waits);
        }
        verdict
            .attachments
            .sort_by(|one, other| one.node_name.cmp(&other.node_name));
        match problem {
            Some(problem) => Err(problem),
            None if keep.is_empty() => Ok(()),
            None => {
                let message = format!("{} nodes can use it", keep.len());
                verdict.exported = Some(Ok(Problem::new(reason::AS_ASKED, message)));
                Ok(())
            }
        }
    }

    /// What is there and not as `keep` has it.
    fn unwanted(
        &self,
        Served { volume, lv, .. }: Served<'_>,
        keep: &[Attachment],
        traces: &Traces<'p>,
    ) -> Traces<'p> {
        let is_wanted = |name: &MappingName| {
            keep.iter()
                .any(|attachment| mapping_of(volume, attachment) == *name)
        };
        let is_right = |device: &Mapped| lv.number.is_some_and(|lv| device.below == [lv]);
        let mappings = traces.mappings.iter().copied();
        let mappings = mappings.filter(|(name, device)| !is_wanted(name) || !is_right(device));
        let mappings: Vec<_> = mappings.collect();
        let subsystems = traces.subsystems.iter().copied().filter(|(nqn, have)| {
            let mut keep = keep.iter().filter(|attachment| !self.is_local(attachment));
            let attachment = keep.find(|attachment| nqn_of(volume, attachment) == **nqn);
            let Some(attachment) = attachment else {
                return true;
            };
            let mapping = mapping_of(volume, attachment);
            let host = exports::host_of(attachment);
            let wanted = exports::subsystem(volume, &host, &mapping.path());
            // A mapping that has to be made anew takes its subsystem, which has it open, with it.
            let is_gone = mappings.iter().any(|(name, _)| **name == mapping);
            is_gone || !exports::is_part_of(have, &wanted)
        });
        let subsystems: Vec<_> = subsystems.collect();
        Traces {
            mappings,
            subsystems,
        }
    }

    /// Serves one recorded grant.
    fn grant(
        &mut self,
        served: Served<'_>,
        attachment: &Attachment,
        traces: &Traces<'_>,
        verdict: &mut Verdict,
    ) -> Result<(), Problem> {
        let Served {
            volume, pool, lv, ..
        } = served;
        let target = self.target()?;
        let mapping = mapping_of(volume, attachment);
        let nqn = nqn_of(volume, attachment);
        let is_local = self.is_local(attachment);
        if !is_local {
            self.check_portals(pool)?;
        }
        self.check_foreign(served, target, &nqn)?;
        if !traces.mappings.iter().any(|(name, _)| **name == mapping) {
            if let Some(problem) = self.opened(lv) {
                return Err(problem);
            }
            let is_first = traces.mappings.is_empty();
            let is_planned = |step: &Step| matches!(step, Step::Map { .. });
            if is_first && !verdict.steps.iter().any(is_planned) {
                self.open_to_exports(served, verdict);
            }
            verdict.steps.push(Step::Map {
                mapping: mapping.clone(),
                device: lv.dm_path.clone(),
                size: lv.size,
            });
        }
        if is_local {
            verdict.attachments.push(AttachmentStatus {
                device_path: Some(mapping.path()),
                ..granted(attachment)
            });
            return Ok(());
        }
        let wanted = exports::subsystem(volume, &exports::host_of(attachment), &mapping.path());
        let export = Export {
            attachment,
            nqn,
            wanted,
        };
        self.export(served, target, export, verdict);
        Ok(())
    }

    /// The grants of a volume whose record was lost, as far as what is there and what is asked for agree,
    /// and the highest generation there is a trace of. An export that is there and is the one asked for
    /// goes on; any other one is fenced later, when the record says who may use the volume.
    ///
    /// # Errors
    /// What is there was made for another kind of access.
    pub(super) fn seen_grants(
        &self,
        request: &Volume,
    ) -> Result<(Vec<Attachment>, Option<Generation>), Problem> {
        let spec = &request.spec;
        let traces = self.traces(spec.id)?;
        let sole = exports::sole_nqn(spec.id);
        let has_single = traces.subsystems.iter().any(|(nqn, _)| **nqn == sole);
        let is_other = match spec.access {
            Access::SingleHost => {
                !traces.mappings.is_empty() || traces.subsystems.len() > usize::from(has_single)
            }
            Access::MultiHost => has_single,
        };
        if is_other {
            let message = "spec.access is not that with which the volume is exported";
            return Err(Problem::new(reason::IMMUTABLE_FIELD, message));
        }
        let is_served = |attachment: &&Attachment| {
            let nqn = exports::nqn_of(spec.id, spec.access, &attachment.node_name);
            let hosts = BTreeSet::from([exports::host_of(attachment)]);
            let mut subsystems = traces.subsystems.iter();
            subsystems.any(|(seen, have)| **seen == nqn && have.allowed_hosts == hosts)
        };
        let granted = spec.attachments.iter().filter(is_served).cloned();
        let subsystems = traces.subsystems.iter();
        let highest = subsystems.filter_map(|(_, have)| exports::generation_in(have));
        Ok((granted.collect(), highest.max()))
    }

    /// Ends all that is there of a volume's grants, for its deletion. Says whether there was anything.
    pub(super) fn end_all(&self, id: VolumeId, verdict: &mut Verdict) -> Result<bool, Problem> {
        let target = self.target()?;
        let traces = self.traces(id)?;
        cut_off(target, &traces, verdict);
        Ok(!traces.is_empty())
    }
}

/// Cuts hosts off: their mappings fail, their subsystems go, then the mappings. In this order nothing of
/// a host's I/O is on its way any more when the last step begins, whatever the target still holds.
fn cut_off(target: &Target, traces: &Traces<'_>, verdict: &mut Verdict) {
    for (name, device) in &traces.mappings {
        if !device.below.is_empty() {
            verdict.steps.push(Step::FailMapping((*name).clone()));
        }
    }
    for (nqn, _) in &traces.subsystems {
        verdict.steps.push(exports::fence(target, nqn));
    }
    for (name, _) in &traces.mappings {
        verdict.steps.push(Step::Unmap((*name).clone()));
    }
}

fn mapping_of(volume: &VolumeRecord, attachment: &Attachment) -> MappingName {
    volume
        .id
        .mapping(&attachment.node_name, attachment.generation)
}

fn nqn_of(volume: &VolumeRecord, attachment: &Attachment) -> Nqn {
    exports::nqn_of(volume.id, volume.access, &attachment.node_name)
}
