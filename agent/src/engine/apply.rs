//! Applying: each step, on the node.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::Path;

use nvmet::Outcome;

use super::{Engine, Parts, on_disk};
use crate::chain;
use crate::disk::DiskError;
use crate::dm::Dm;
use crate::fail_point;
use crate::lvm::{Group, Lvm};
use crate::signatures;
use crate::step::{Step, Subject, Work};

type StepError = Box<dyn Error>;

impl Engine {
    /// Applies the steps of one subject, until one fails.
    pub(super) fn apply(&mut self, work: &Work, failures: &mut BTreeMap<Subject, String>) {
        // Without its subsystem, or its port, a link would fail with an error about a path.
        if let Some(error) = need_of(&work.subject, failures) {
            failures.insert(work.subject.clone(), error);
            return;
        }
        for (number, step) in work.steps.iter().enumerate() {
            fail_point::before(work, number);
            match self.step(step) {
                Ok(outcome) => tracing::debug!(?step, ?outcome, "step"),
                Err(error) => {
                    failures.insert(work.subject.clone(), chain(error.as_ref()));
                    return;
                }
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, StepError> {
        let parts = &mut self.parts;
        let runner = parts.runner.as_ref();
        let lvm = Lvm(runner);
        match step {
            Step::WritePool(pool) => parts.store.write_pool(pool)?,
            Step::RemovePool(name) => parts.store.remove_pool(name)?,
            Step::WriteVolume(volume) => parts.store.write_volume(volume)?,
            Step::RemoveVolume(id) => parts.store.remove_volume(*id)?,
            Step::WipeSignatures(device) => signatures::erase(runner, device)?,
            Step::CreateGroup(group, tag) => lvm.create_group(group, tag)?,
            Step::TagGroup(group, tag) => lvm.tag_group(group, tag)?,
            Step::UntagGroup(group, tag) => lvm.untag_group(group, tag)?,
            Step::CreateThinPool(group, extents) => lvm.create_thin_pool(group, *extents)?,
            Step::CreateLinear(group, id, name, extents) => {
                lvm.create_linear(group, *id, name, *extents)?;
            }
            Step::CreateThin(group, id, name, size) => lvm.create_thin(group, *id, name, *size)?,
            Step::Activate(group, lv) => lvm.activate(group, lv)?,
            Step::RetagLv {
                group,
                lv,
                uuid,
                add,
                remove,
            } => lvm.retag(group, lv, uuid, (add, remove))?,
            Step::RenameLv {
                group,
                from,
                uuid,
                to,
            } => {
                // lvrename(8) can't be told the UUID: look once more whose name it is.
                check_closed(parts, group, from, uuid)?;
                lvm.rename(group, from, to)?;
            }
            Step::RemoveLv {
                group,
                lv,
                uuid,
                tag,
            } => lvm.remove(group, lv, uuid, tag)?,
            Step::FlushDisks(disks) => {
                for disk in disks {
                    parts.disks.flush(Path::new(disk))?;
                }
            }
            Step::DropCache(device) => parts.disks.drop_cache(device)?,
            Step::Map {
                mapping,
                device,
                size,
            } => Dm(runner).create(mapping, device, *size)?,
            Step::FailMapping(mapping) => Dm(runner).fail(mapping)?,
            Step::Unmap(mapping) => Dm(runner).remove(mapping)?,
            Step::StartZeroing(job, device, size) => {
                parts.zeroing.start(job, device.clone(), *size);
            }
            Step::StopZeroing(job) => parts.zeroing.stop(job),
            Step::CheckClosed(group, name, uuid) => {
                check_closed(parts, group, name, uuid)?;
                return Ok(Outcome::Unchanged);
            }
            Step::Export { have, want } => return Ok(parts.exports.change(have, want)?),
        }
        Ok(Outcome::Changed)
    }
}

fn need_of(subject: &Subject, failures: &BTreeMap<Subject, String>) -> Option<String> {
    let Subject::Link { volume, port, .. } = subject else {
        return None;
    };
    let needed = |failed: &Subject| match failed {
        Subject::Volume(failed) => failed == volume,
        Subject::Port(_, failed) => failed == port,
        Subject::Pool(_) | Subject::Host(_) | Subject::Link { .. } => false,
    };
    let mut failures = failures.iter();
    failures
        .find(|(failed, _)| needed(failed))
        .map(|(_, error)| error.clone())
}

/// Looks once more: an LV of this name and UUID is there, and nobody has it open.
fn check_closed(parts: &Parts, group: &Group, name: &str, uuid: &str) -> Result<(), StepError> {
    let lvm = Lvm(parts.runner.as_ref());
    let lvs = match on_disk::lvs(parts, group) {
        Some(lvs) => lvs,
        None => {
            let pvs = lvm.group(group)?;
            let vg = pvs.iter().find_map(|pv| pv.vg.as_ref());
            let lvs = vg.map(|vg| lvm.lvs(group, &vg.uuid)).transpose()?;
            lvs.unwrap_or_default()
        }
    };
    let lv = lvs.iter().find(|lv| lv.uuid == uuid && lv.name == name);
    if lv.is_some_and(|lv| !lv.is_open) {
        return Ok(());
    }
    let busy = io::Error::from(io::ErrorKind::ResourceBusy);
    Err(DiskError::new("export", Path::new(name), busy).into())
}
