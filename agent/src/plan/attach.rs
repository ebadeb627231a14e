//! Granting a volume to nodes, and taking it back.

use nvmet::{Nqn, PortId, Subsystem, Target};
use weir_api::condition::reason;
use weir_api::names::host_nqn;
use weir_api::volume::{Access, Attachment, AttachmentStatus, Phase, TargetStatus, Volume};

use super::grants::Grants;
use super::volumes::{Verdict, mismatch};
use super::{Planner, Problem, exports, group_of, ports};
use crate::lvm::report::Lv;
use crate::lvm::{Group, UNZEROED_TAG};
use crate::observed::TargetView;
use crate::record::{PoolRecord, VolumeRecord};
use crate::step::{Step, Subject};

/// A ready volume and where it is.
#[derive(Clone, Copy)]
pub(super) struct Served<'a> {
    pub(super) volume: &'a VolumeRecord,
    pub(super) pool: &'a PoolRecord,
    pub(super) group: &'a Group,
    pub(super) lv: &'a Lv,
}

/// How one grant's I/O reaches the LV.
pub(super) struct Export<'a> {
    pub(super) attachment: &'a Attachment,
    pub(super) nqn: Nqn,
    /// The subsystem as it should be.
    pub(super) wanted: Subsystem,
}

impl Planner<'_> {
    pub(super) fn ready(&mut self, volume: &VolumeRecord, request: Option<&Volume>) -> Verdict {
        let (refused, grants) = self.grants(volume, request);
        let mut verdict = self.ready_as(volume, &grants);
        verdict.refused = verdict.refused.or(refused);
        verdict
    }

    fn ready_as(&mut self, volume: &VolumeRecord, grants: &Grants) -> Verdict {
        let failed = |problem| Verdict::new(Phase::Failed, Err(problem));
        let (pool, view) = match self.usable_pool(&volume.pool) {
            Ok(usable) => usable,
            Err(problem) => return failed(problem),
        };
        let Some(lv) = view.lvs.get(&volume.id.lv_name()) else {
            let lv = format!("{}/{}", pool.volume_group, volume.id.lv_name());
            let message = format!("LV `{lv}` is gone; restore it, or order the volume's deletion");
            return failed(Problem::new(reason::DATA_MISSING, message));
        };
        if let Some(problem) = mismatch(volume, lv) {
            return failed(problem);
        }
        if lv.tags.contains(UNZEROED_TAG) {
            let message = format!(
                "LV `{}` is marked as not zeroed although it was in use; if its data is good, \
                 remove the tag {UNZEROED_TAG}",
                lv.name
            );
            return failed(Problem::new(reason::NOT_ZEROED, message));
        }
        let mut verdict = Verdict::new(Phase::Ready, Ok(()));
        if !self.is_settled(pool) {
            let message = "whether it survived the last stop of this node is being found out";
            verdict.exported = Some(Err(Problem::new(reason::WAITING, message)));
            return verdict;
        }
        let group = group_of(pool, view);
        if lv.number.is_none() {
            verdict
                .steps
                .push(Step::Activate(group.clone(), lv.name.clone()));
        }
        let served = Served {
            volume,
            pool,
            group: &group,
            lv,
        };
        let attached = match volume.access {
            Access::SingleHost => self.attach_one(served, grants, &mut verdict),
            Access::MultiHost => self.attach_several(served, grants, &mut verdict),
        };
        if let Err(problem) = attached {
            verdict.exported = Some(Err(problem));
        }
        verdict
    }

    /// The one grant of a single-host volume, if it has one.
    fn attach_one(
        &mut self,
        served: Served<'_>,
        grants: &Grants,
        verdict: &mut Verdict,
    ) -> Result<(), Problem> {
        let Served { volume, lv, .. } = served;
        let target = self.target()?;
        let nqn = exports::sole_nqn(volume.id);
        let exported = target.subsystems.get(&nqn);
        let fencing = Problem::new(reason::WAITING, "the export before is being ended");
        if grants.ordered && grants.keep.is_empty() {
            let local = volume.attachments.iter().find(|a| self.is_local(a));
            if let Some(local) = local
                && let Some(problem) = self.opened(lv)
            {
                verdict.attachments.push(waiting(local, &problem));
                return Err(problem);
            }
            let is_left = exported.is_some() && !volume.revoked;
            if !volume.attachments.is_empty() || is_left {
                verdict.record(VolumeRecord {
                    attachments: Vec::new(),
                    revoked: true,
                    ..volume.clone()
                });
            }
        }
        // The export of a record that was lost and made anew, without a request that names somebody,
        // is nobody's order to end it.
        let is_order = grants.ordered || volume.revoked;
        let mut kept = grants.keep.first();
        if kept.is_none() {
            if exported.is_some() && is_order {
                self.end_export(served, target, &nqn, verdict);
                return Err(fencing);
            }
            let Some(new) = grants.new.first() else {
                return Ok(());
            };
            if !volume.attachments.is_empty() {
                return Err(fencing);
            }
            if let Some(problem) = self.opened(lv) {
                return Err(problem);
            }
            verdict.record(VolumeRecord {
                attachments: vec![new.clone()],
                highest_generation: Some(new.generation),
                unclean_stop: false,
                revoked: false,
                ..volume.clone()
            });
            kept = Some(new);
        }
        let Some(attachment) = kept else {
            return Ok(());
        };
        if self.is_local(attachment) {
            if exported.is_some() {
                self.end_export(served, target, &nqn, verdict);
                return Err(fencing);
            }
            verdict.device_path = Some(lv.dm_path.clone());
            verdict.attachments.push(AttachmentStatus {
                device_path: Some(lv.dm_path.clone()),
                ..granted(attachment)
            });
            let message = "this node itself uses the device";
            verdict.exported = Some(Ok(Problem::new(reason::LOCAL_USE, message)));
            return Ok(());
        }
        let host = exports::host_of(attachment);
        let wanted = exports::subsystem(volume, &host, &lv.dm_path);
        if exported.is_some_and(|exported| !exports::is_part_of(exported, &wanted)) {
            self.end_export(served, target, &nqn, verdict);
            return Err(fencing);
        }
        self.check_portals(served.pool)?;
        self.check_foreign(served, target, &nqn)?;
        let shown = exported.is_some_and(|exported| exports::shows(exported, &lv.dm_path));
        if shown {
            // Without device mapper's count nothing is known against it.
            let is_opened = self.strangers(lv).is_some_and(|strangers| strangers > 0);
            verdict.opened_locally = is_opened.then(|| self.in_use(lv));
        } else {
            if let Some(problem) = self.opened(lv) {
                return Err(problem);
            }
            self.open_to_exports(served, verdict);
        }
        let export = Export {
            attachment,
            nqn,
            wanted,
        };
        verdict.target = Some(self.export(served, target, export, verdict));
        let message = format!("node `{}` can connect", attachment.node_name);
        verdict.exported = Some(Ok(Problem::new(reason::AS_ASKED, message)));
        Ok(())
    }

    /// Ends the export of a single-host volume.
    fn end_export(
        &self,
        Served { lv, .. }: Served<'_>,
        target: &Target,
        nqn: &Nqn,
        verdict: &mut Verdict,
    ) {
        verdict.steps.push(exports::fence(target, nqn));
        if lv.number.is_some() {
            let device = lv.dm_path.clone().into();
            verdict.steps.push(Step::DropCache(device));
        }
    }

    /// What precedes the first export of an LV that nobody on this node has open.
    pub(super) fn open_to_exports(
        &self,
        Served { group, lv, .. }: Served<'_>,
        verdict: &mut Verdict,
    ) {
        // What a local user read stays in the page cache, and nvmet would serve reads beside it.
        verdict
            .steps
            .push(Step::DropCache(lv.dm_path.clone().into()));
        let closed = Step::CheckClosed(group.clone(), lv.name.clone(), lv.uuid.clone());
        verdict.steps.push(closed);
    }

    pub(super) fn is_local(&self, attachment: &Attachment) -> bool {
        attachment.node_name == self.node.name
    }

    /// Why an LV can't be handed to another user: somebody on this node has it open.
    pub(super) fn opened(&self, lv: &Lv) -> Option<Problem> {
        lv.number?;
        let strangers = self.strangers(lv);
        // Without device mapper's count LVM's word has to do, which takes exports for openers too.
        let is_opened = strangers.map_or(lv.is_open, |strangers| strangers > 0);
        is_opened.then(|| self.in_use(lv))
    }

    /// How often an LV is open on this node besides by Weir's exports, if that can be told.
    fn strangers(&self, lv: &Lv) -> Option<u32> {
        self.observed.strangers(lv.number?, &lv.dm_path)
    }

    pub(super) fn in_use(&self, lv: &Lv) -> Problem {
        let users = lv
            .number
            .and_then(|number| self.observed.users.get(&number));
        let by = match users.map(|users| users.join(", ")) {
            Some(users) if !users.is_empty() => format!(" by {users}"),
            _ => String::new(),
        };
        let name = &lv.name;
        let message = format!("LV `{name}` is open on this node{by}; unmount or close it");
        Problem::new(reason::IN_USE, message)
    }

    pub(super) fn check_portals(&self, pool: &PoolRecord) -> Result<(), Problem> {
        if let TargetView::Absent(message) = &self.observed.target {
            return Err(Problem::new(reason::TARGET_UNAVAILABLE, message.clone()));
        }
        if pool.portals.iter().all(|portal| portal.retiring) {
            let message = format!("pool `{}` has no portal; give it one", pool.name);
            return Err(Problem::new(reason::NO_PORTAL, message));
        }
        Ok(())
    }

    /// Whether a subsystem besides `nqn` exports the LV.
    pub(super) fn check_foreign(
        &self,
        Served { lv, .. }: Served<'_>,
        target: &Target,
        nqn: &Nqn,
    ) -> Result<(), Problem> {
        let mut others = target.subsystems.iter().filter(|(other, _)| *other != nqn);
        match others.find(|(_, other)| exports::shows(other, &lv.dm_path)) {
            None => Ok(()),
            Some((other, _)) => {
                let message = format!("subsystem `{other}` exports the same device; remove it");
                Err(Problem::new(reason::FOREIGN, message))
            }
        }
    }

    /// Makes or completes one grant's export. Says how to connect, once all of it is done.
    pub(super) fn export(
        &mut self,
        Served { volume, pool, .. }: Served<'_>,
        target: &Target,
        export: Export<'_>,
        verdict: &mut Verdict,
    ) -> TargetStatus {
        let Export {
            attachment,
            nqn,
            wanted,
        } = export;
        self.want_host(target, &exports::host_of(attachment));
        verdict.steps.extend(exports::serve(target, &nqn, wanted));
        self.link(volume, pool, &nqn);
        let portals = pool.portals.iter().filter(|portal| !portal.retiring);
        let status = TargetStatus {
            nqn: nqn.to_string(),
            host_nqn: host_nqn(&attachment.node_name, attachment.generation),
            nsid: nvmet::Nsid::FIRST.into(),
            uuid: volume.id,
            portals: portals.map(|portal| portal.portal.clone()).collect(),
        };
        verdict.attachments.push(AttachmentStatus {
            target: Some(status.clone()),
            ..granted(attachment)
        });
        status
    }

    fn link(&mut self, volume: &VolumeRecord, pool: &PoolRecord, nqn: &Nqn) {
        let Ok(target) = self.target() else { return };
        for record in pool.portals.iter().filter(|record| !record.retiring) {
            let id = PortId(record.port_id);
            let subject = Subject::Link {
                volume: volume.name.clone(),
                pool: pool.name.clone(),
                port: id,
            };
            let wanted = ports::port(&record.portal);
            let port = target.ports.get(&id).unwrap_or(&wanted);
            if !port.subsystems.contains(nqn) {
                // A port of ours that somebody gave another address gets none of our subsystems.
                let port = if ports::is_at(port, &record.portal) {
                    port
                } else {
                    &wanted
                };
                self.work(subject, vec![exports::link(nqn, id, port)]);
            }
        }
    }
}

/// The status of a grant of which nothing more is known yet.
pub(super) fn granted(attachment: &Attachment) -> AttachmentStatus {
    AttachmentStatus {
        node_name: attachment.node_name.clone(),
        generation: attachment.generation,
        device_path: None,
        target: None,
        message: None,
    }
}

/// The status of a grant that waits.
pub(super) fn waiting(attachment: &Attachment, problem: &Problem) -> AttachmentStatus {
    AttachmentStatus {
        message: Some(problem.message.clone()),
        ..granted(attachment)
    }
}
