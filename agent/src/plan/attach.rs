//! Granting a volume to a node, and taking it back.

use nvmet::PortId;
use weir_api::condition::reason;
use weir_api::names::host_nqn;
use weir_api::units::Bytes;
use weir_api::volume::{Attachment, Phase, TargetStatus, Volume};

use super::volumes::{Verdict, in_use, mismatch};
use super::{Planner, Problem, exports, group_of, ports};
use crate::lvm::report::Lv;
use crate::lvm::{Group, UNZEROED_TAG};
use crate::observed::{PoolView, TargetView};
use crate::record::{PoolRecord, VolumeRecord};
use crate::step::{Step, Subject};

/// Who a request wants to be attached.
enum Wish {
    /// As it is recorded: there is no request, or it is refused.
    AsRecorded,
    /// Nobody: the request is there and names nobody.
    Nobody,
    /// Somebody, with a generation that is new.
    Grant(Attachment),
}

impl Planner<'_> {
    pub(super) fn ready(&mut self, volume: &VolumeRecord, request: Option<&Volume>) -> Verdict {
        let (refused, wish) = self.wish(volume, request);
        let mut verdict = self.ready_as(volume, wish);
        verdict.refused = verdict.refused.or(refused);
        verdict
    }

    /// What a request wants of a recorded volume, and what of it is refused.
    fn wish(&self, volume: &VolumeRecord, request: Option<&Volume>) -> (Option<Problem>, Wish) {
        let Some(request) = request else {
            return (None, Wish::AsRecorded);
        };
        let spec = &request.spec;
        let immutable = |message: String| {
            (
                Some(Problem::new(reason::IMMUTABLE_FIELD, message)),
                Wish::AsRecorded,
            )
        };
        if spec.pool_name != volume.pool {
            return immutable(format!(
                "spec.poolName can't be changed from `{}`",
                volume.pool
            ));
        }
        if spec.provisioning != volume.provisioning {
            return immutable("spec.provisioning can't be changed".to_owned());
        }
        let extent = match self.observed.pools.get(&volume.pool) {
            Some(PoolView::Present(view)) => view.vg.extent,
            _ => Bytes(1),
        };
        let asked = spec
            .capacity_bytes
            .round_up(extent)
            .unwrap_or(spec.capacity_bytes);
        let had = volume.capacity_bytes;
        if asked < had {
            let message = format!("spec.capacityBytes can't be made smaller than {}", had.0);
            return (
                Some(Problem::new(reason::SHRINK_REFUSED, message)),
                Wish::AsRecorded,
            );
        }
        let mut refused = (asked > had).then(|| {
            let message = format!("spec.capacityBytes: it stays at {} for now", had.0);
            Problem::new(reason::RESIZE_NOT_SUPPORTED, message)
        });
        let wish = match spec.attachments.first() {
            None => Wish::Nobody,
            Some(asked) if volume.attachment.as_ref() == Some(asked) => Wish::AsRecorded,
            Some(asked) => match volume.highest_generation {
                Some(highest) if asked.generation <= highest => {
                    let message = format!(
                        "spec.attachments: generation {} was used, the next is {} or higher",
                        asked.generation,
                        highest.0.saturating_add(1)
                    );
                    refused = Some(Problem::new(reason::STALE_GENERATION, message));
                    Wish::AsRecorded
                }
                _ => Wish::Grant(asked.clone()),
            },
        };
        (refused, wish)
    }

    fn ready_as(&mut self, volume: &VolumeRecord, wish: Wish) -> Verdict {
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
        let group = group_of(pool, view);
        if lv.number.is_none() {
            verdict
                .steps
                .push(Step::Activate(group.clone(), lv.name.clone()));
        }
        if let Err(problem) = self.attach(volume, wish, pool, &group, lv, &mut verdict) {
            verdict.exported = Some(Err(problem));
        }
        verdict
    }

    fn attach(
        &mut self,
        volume: &VolumeRecord,
        wish: Wish,
        pool: &PoolRecord,
        group: &Group,
        lv: &Lv,
        verdict: &mut Verdict,
    ) -> Result<(), Problem> {
        let target = self.target()?;
        let nqn = exports::nqn_of(volume);
        let exported = target.subsystems.get(&nqn);
        let is_local = |attachment: &Attachment| attachment.node_name == self.node.name;
        let wanted =
            |attachment: &Attachment| exports::subsystem(volume, &exports::host_of(attachment), lv);
        let fence = |verdict: &mut Verdict| {
            verdict.steps.push(exports::fence(target, &nqn));
            if lv.number.is_some() {
                verdict
                    .steps
                    .push(Step::DropCache(lv.dm_path.clone().into()));
            }
        };
        let revoke = |verdict: &mut Verdict| {
            verdict.record(VolumeRecord {
                attachment: None,
                revoked: true,
                ..volume.clone()
            });
        };
        let fencing = Problem::new(reason::WAITING, "the export before is being ended");

        let attachment = match wish {
            Wish::AsRecorded => volume.attachment.clone(),
            Wish::Nobody => {
                if volume.attachment.is_some() || (exported.is_some() && !volume.revoked) {
                    revoke(verdict);
                }
                if exported.is_some() {
                    fence(verdict);
                    return Err(fencing);
                }
                None
            }
            Wish::Grant(attachment) => {
                if volume.attachment.is_some() || exported.is_some() {
                    revoke(verdict);
                    if exported.is_some() {
                        fence(verdict);
                    }
                    return Err(fencing);
                }
                if lv.is_open {
                    return Err(in_use(lv));
                }
                verdict.record(VolumeRecord {
                    attachment: Some(attachment.clone()),
                    highest_generation: Some(attachment.generation),
                    revoked: false,
                    ..volume.clone()
                });
                Some(attachment)
            }
        };

        let Some(attachment) = attachment else {
            // The export of a record that was lost and made anew, without a request that names
            // somebody, is nobody's order to end it.
            if exported.is_some() && volume.revoked {
                fence(verdict);
                return Err(fencing);
            }
            return Ok(());
        };
        if is_local(&attachment) {
            if exported.is_some() {
                fence(verdict);
                return Err(fencing);
            }
            verdict.device_path = Some(lv.dm_path.clone());
            let message = "this node itself uses the device";
            verdict.exported = Some(Ok(Problem::new(reason::LOCAL_USE, message)));
            return Ok(());
        }
        let wanted = wanted(&attachment);
        if let Some(exported) = exported
            && !exports::is_part_of(exported, &wanted)
        {
            fence(verdict);
            return Err(fencing);
        }
        if let TargetView::Absent(message) = &self.observed.target {
            return Err(Problem::new(reason::TARGET_UNAVAILABLE, message.clone()));
        }
        if pool.portals.iter().all(|portal| portal.retiring) {
            let message = format!("pool `{}` has no portal; give it one", pool.name);
            return Err(Problem::new(reason::NO_PORTAL, message));
        }
        let shown = exported.is_some_and(|exported| exports::shows(exported, &lv.dm_path));
        let mut others = target.subsystems.iter().filter(|(other, _)| **other != nqn);
        if let Some((other, _)) = others.find(|(_, other)| exports::shows(other, &lv.dm_path)) {
            let message = format!("subsystem `{other}` exports the same device; remove it");
            return Err(Problem::new(reason::FOREIGN, message));
        }
        if !shown {
            if lv.is_open {
                return Err(in_use(lv));
            }
            // What a local user read stays in the page cache, and nvmet would serve reads beside it.
            verdict
                .steps
                .push(Step::DropCache(lv.dm_path.clone().into()));
            let closed = Step::CheckClosed(group.clone(), lv.name.clone(), lv.uuid.clone());
            verdict.steps.push(closed);
        }
        self.want_host(target, &exports::host_of(&attachment));
        verdict.steps.extend(exports::serve(target, &nqn, wanted));
        self.link(volume, pool);
        verdict.target = Some(TargetStatus {
            nqn: volume.id.nqn(),
            host_nqn: host_nqn(&attachment.node_name, attachment.generation),
            nsid: nvmet::Nsid::FIRST.into(),
            uuid: volume.id,
            portals: pool
                .portals
                .iter()
                .filter(|portal| !portal.retiring)
                .map(|portal| portal.portal.clone())
                .collect(),
        });
        let message = format!("node `{}` can connect", attachment.node_name);
        verdict.exported = Some(Ok(Problem::new(reason::AS_ASKED, message)));
        Ok(())
    }

    fn link(&mut self, volume: &VolumeRecord, pool: &PoolRecord) {
        let nqn = exports::nqn_of(volume);
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
            if !port.subsystems.contains(&nqn) {
                // A port of ours that somebody gave another address gets none of our subsystems.
                let port = if ports::is_at(port, &record.portal) {
                    port
                } else {
                    &wanted
                };
                self.work(subject, vec![exports::link(&nqn, id, port)]);
            }
        }
    }
}
