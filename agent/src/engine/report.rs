//! Reporting: what is the case, to whoever asked, to Prometheus, and to the probes.

use std::collections::{BTreeMap, BTreeSet};

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::crd::TombstonePhase;
use weir_api::names::{NodeName, ObjectName, VolumeId, host_nqn};
use weir_api::volume::{Access, Attachment, Phase, VolumeStatus};

use super::{Engine, Looked};
use crate::durable;
use crate::fail_point;
use crate::gauges::{Gauges, PoolGauge, VolumeGauge, VolumeUser};
use crate::objects;
use crate::observed::{Observed, PoolView, TargetView};
use crate::plan::Plan;
use crate::probe::{DevT, MeasuredDevice, MeasuredDisk, MeasuredVolume, Mode, Wanted};
use crate::record::{Records, VolumeRecord, VolumeState};
use crate::requests::Requests;
use crate::statuses::Statuses;
use crate::step::Subject;

impl Engine {
    pub(super) fn report(
        &mut self,
        requests: &Requests,
        records: &Records,
        looked: Looked,
        failures: &BTreeMap<Subject, String>,
    ) {
        fail_point::enter("report");
        let Looked { mut plan, observed } = looked;
        portals_condition(&mut plan, records, &observed, failures);
        for (subject, error) in failures {
            if self.told.get(subject) != Some(error) {
                tracing::warn!(?subject, error, "will be tried again");
            }
            fail(&mut plan, records, subject, error);
            fail_tombstones(&mut plan, requests, records, subject, error);
        }
        self.told.clone_from(failures);
        for broken in records.broken() {
            tracing::error!(path = %broken.path.display(), broken.reason, "broken record");
        }
        if let Some(error) = &requests.unreadable {
            tracing::warn!(error, "requests can't be read; everything recorded goes on");
        }
        self.parts
            .measure
            .sync(&wanted(&self.parts.node.name, records, &observed));
        let failed = failures.len();
        *crate::gauges::lock(&self.gauges) = gauges(requests, records, &plan, failed, &self.gauges);
        self.statuses = Statuses::of(requests, records, &plan);
        self.publish(requests, records, plan);
    }

    fn publish(&mut self, requests: &Requests, records: &Records, plan: Plan) {
        let mut files = BTreeMap::new();
        for (name, status) in plan.pools {
            let request = requests.pools.get(&name);
            let node = &self.parts.node.name;
            let recorded = records.pools.get(&name);
            let recorded = recorded.map(|pool| objects::of_pool(node, pool));
            let stray = plan.strays.get(&name);
            let stray = stray.and_then(|view| objects::of_group(node, &name, view));
            if let Some(mut object) = request.cloned().or(recorded).or(stray) {
                object.status = Some(status);
                files.insert(format!("storagepool-{name}.json"), json(&object));
            }
        }
        for (name, status) in plan.volumes {
            let request = requests.volumes.get(&name);
            let mut recorded = records
                .volumes
                .values()
                .filter(|volume| volume.name == name);
            let recorded = recorded.next().map(objects::of_volume);
            if let Some(mut object) = request.cloned().or(recorded) {
                object.status = Some(status);
                files.insert(format!("volume-{name}.json"), json(&object));
            }
        }
        for invalid in &requests.invalid {
            let (kind, name) = invalid.object.clone().unzip();
            let said = serde_json::json!({
                "file": invalid.file,
                "kind": kind,
                "name": name,
                "error": invalid.error,
            });
            files.insert(format!("invalid-{}.json", invalid.file), json(&said));
        }
        let (fs, dir) = (self.parts.fs.as_ref(), &self.parts.status);
        // Only our own kinds of files: the directory may be shared.
        let is_ours = |name: &String| {
            let kinds = ["storagepool-", "volume-", "invalid-"];
            kinds.iter().any(|kind| name.starts_with(kind)) && name.ends_with(".json")
        };
        let listed = fs.list(dir).unwrap_or_default();
        let there: BTreeSet<String> = listed.into_iter().filter(is_ours).collect();
        let mut published = BTreeMap::new();
        for (name, bytes) in files {
            let is_new = self.published.get(&name) != Some(&bytes) || !there.contains(&name);
            let result = if is_new {
                durable::publish(fs, &dir.join(&name), &bytes)
            } else {
                Ok(())
            };
            match result {
                Ok(()) => {
                    published.insert(name, bytes);
                }
                Err(error) => tracing::warn!(name, %error, "status could not be published"),
            }
        }
        for name in there.iter().filter(|name| !published.contains_key(*name)) {
            if let Err(error) = fs.unlink(&dir.join(name)) {
                tracing::warn!(name, %error, "an old status file could not be removed");
            }
        }
        self.published = published;
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn set(conditions: &mut Vec<Condition>, condition: Condition) {
    conditions.retain(|other| other.kind != condition.kind);
    conditions.push(condition);
}

/// Tells of a failed step where it belongs.
fn fail(plan: &mut Plan, records: &Records, subject: &Subject, error: &str) {
    let failed = |kind: &str| Condition::new(kind, Truth::False, reason::STEP_FAILED, error);
    match subject {
        Subject::Pool(name) | Subject::Port(name, _) => {
            if let Some(status) = plan.pools.get_mut(name) {
                set(&mut status.conditions, failed(condition::READY));
            }
        }
        // A volume that needs the host fails too, and says so.
        Subject::Host(_) => {}
        Subject::Volume(name) => {
            let Some(status) = plan.volumes.get_mut(name) else {
                return;
            };
            // A volume whose data is fine stays Ready if only its export could not be changed.
            let kind = if status.phase == Phase::Ready {
                condition::EXPORTED
            } else {
                condition::READY
            };
            set(&mut status.conditions, failed(kind));
            not_reachable(status);
        }
        Subject::Link { volume, pool, port } => {
            let Some(status) = plan.volumes.get_mut(volume) else {
                return;
            };
            let portals = records
                .pools
                .get(pool)
                .into_iter()
                .flat_map(|pool| &pool.portals);
            let mut portals = portals.filter(|portal| portal.port_id == port.0);
            let portal = portals.next().map(|record| record.portal.clone());
            let attached = status.attachments.iter_mut();
            let targets = attached.filter_map(|attachment| attachment.target.as_mut());
            let mut is_reachable = false;
            for target in targets.chain(&mut status.target) {
                target
                    .portals
                    .retain(|other| Some(other) != portal.as_ref());
                is_reachable |= !target.portals.is_empty();
            }
            if is_reachable {
                return;
            }
            let kind = condition::EXPORTED;
            // The volume's own failure says more than that of its link.
            if !status
                .conditions
                .iter()
                .any(|c| c.kind == kind && c.status == Truth::False)
            {
                let said = Condition::new(kind, Truth::False, reason::PORTAL_UNAVAILABLE, error);
                set(&mut status.conditions, said);
            }
            not_reachable(status);
        }
    }
}

/// Tells of a failed step in the tombstones whose order it is part of.
fn fail_tombstones(
    plan: &mut Plan,
    requests: &Requests,
    records: &Records,
    subject: &Subject,
    error: &str,
) {
    let Subject::Volume(volume) = subject else {
        return;
    };
    let is_of = |id: &VolumeId| {
        let record = records.volumes.get(id);
        record.is_some_and(|record| record.name == *volume)
    };
    for (name, status) in &mut plan.tombstones {
        let burial = requests.tombstones.get(name);
        if status.phase == TombstonePhase::Pending && burial.is_some_and(|burial| is_of(&burial.id))
        {
            let said = Condition::new(condition::REMOVED, Truth::False, reason::STEP_FAILED, error);
            set(&mut status.conditions, said);
        }
    }
}

fn not_reachable(status: &mut VolumeStatus) {
    status.device_path = None;
    status.target = None;
    for attachment in &mut status.attachments {
        attachment.device_path = None;
        attachment.target = None;
    }
}

/// Whether each pool's portals accept connections. The kernel binds a port with its first link.
fn portals_condition(
    plan: &mut Plan,
    records: &Records,
    observed: &Observed,
    failures: &BTreeMap<Subject, String>,
) {
    for (name, status) in &mut plan.pools {
        let Some(pool) = records.pools.get(name) else {
            continue;
        };
        let portals: Vec<_> = pool
            .portals
            .iter()
            .filter(|portal| !portal.retiring)
            .collect();
        if portals.is_empty() {
            continue;
        }
        let is_bound = |port_id: u16| match &observed.target {
            TargetView::Present(target) => {
                let port = target.ports.get(&nvmet::PortId(port_id));
                port.is_some_and(|port| !port.subsystems.is_empty())
            }
            TargetView::Absent(_) | TargetView::Unknown(_) => false,
        };
        let failure = failures.iter().find_map(|(subject, error)| match subject {
            Subject::Port(_, port) | Subject::Link { port, .. } => {
                let portal = portals.iter().find(|portal| portal.port_id == port.0)?;
                Some(format!("{}: {error}", portal.portal))
            }
            Subject::Pool(_) | Subject::Host(_) | Subject::Volume(_) => None,
        });
        let (truth, reason, message) = match failure {
            Some(message) => (Truth::False, reason::PORTAL_UNAVAILABLE, message),
            None if portals.iter().all(|portal| is_bound(portal.port_id)) => (
                Truth::True,
                reason::AS_ASKED,
                "all portals listen".to_owned(),
            ),
            None => {
                let message = "a portal listens from its first export on".to_owned();
                (Truth::Unknown, reason::WAITING, message)
            }
        };
        let said = Condition::new(condition::PORTALS_LISTENING, truth, reason, message);
        set(&mut status.conditions, said);
    }
}

fn wanted(node: &NodeName, records: &Records, observed: &Observed) -> Wanted {
    let mut wanted = Wanted::default();
    for (pool, view) in &observed.pools {
        let PoolView::Present(group) = view else {
            continue;
        };
        for disk in &group.devices {
            if let Some(&dev) = observed.numbers.get(disk) {
                let (pool, disk) = (pool.clone(), disk.clone());
                wanted.disks.push(MeasuredDisk { pool, disk, dev });
            }
        }
        let volumes = records
            .volumes
            .values()
            .filter(|volume| volume.pool == *pool);
        for volume in volumes.filter(|volume| volume.state == VolumeState::Ready) {
            let lv = group.lvs.get(&volume.id.lv_name());
            let Some(lv) = lv.and_then(|lv| lv.number) else {
                continue;
            };
            wanted.volumes.push(MeasuredVolume {
                id: volume.id,
                name: volume.name.clone(),
                pool: pool.clone(),
                devices: devices(node, volume, lv, observed),
            });
        }
    }
    wanted
}

/// The devices whose I/Os are a volume's: its LV, or the mappings of its grants. A mapping's I/O passes the
/// LV too, and would count twice there.
fn devices(
    node: &NodeName,
    volume: &VolumeRecord,
    lv: DevT,
    observed: &Observed,
) -> Vec<MeasuredDevice> {
    let mode = |grant: &Attachment| {
        if grant.node_name == *node {
            return Mode::Local;
        }
        let host = host_nqn(&grant.node_name, grant.generation);
        Mode::Exported {
            initiators: vec![(host, grant.node_name.clone())],
        }
    };
    let number = |grant: &Attachment| {
        let mapping = volume.id.mapping(&grant.node_name, grant.generation);
        let mut mapped = observed.mapped.iter().flatten();
        let device = mapped.find(|device| device.mapping.as_ref() == Some(&mapping));
        device.map(|device| device.number)
    };
    let grants = volume.attachments.iter();
    match volume.access {
        Access::SingleHost => vec![MeasuredDevice {
            dev: lv,
            mode: volume.attachments.first().map_or(Mode::Local, mode),
        }],
        Access::MultiHost => grants
            .filter_map(|grant| {
                Some(MeasuredDevice {
                    dev: number(grant)?,
                    mode: mode(grant),
                })
            })
            .collect(),
    }
}

fn gauges(
    requests: &Requests,
    records: &Records,
    plan: &Plan,
    failed: usize,
    before: &std::sync::Mutex<Gauges>,
) -> Gauges {
    let is_orphan = |volume: &&VolumeRecord| {
        let request = requests.volumes.get(&volume.name);
        // Where not all requests are known, it may be asked for.
        requests.unreadable.is_none()
            && request.is_none_or(|request| request.spec.id != volume.id)
            && !requests.has_tombstone(volume.id, &volume.pool)
    };
    let pool_and_id = |name: &ObjectName| {
        let request = requests.volumes.get(name);
        let request = request.map(|volume| (volume.spec.pool_name.clone(), volume.spec.id));
        let mut recorded = records
            .volumes
            .values()
            .filter(|volume| volume.name == *name);
        request.or_else(|| {
            recorded
                .next()
                .map(|volume| (volume.pool.clone(), volume.id))
        })
    };
    let (errors, rounds) = {
        let before = crate::gauges::lock(before);
        (before.failed_steps_total, before.rounds_total)
    };
    Gauges {
        volumes: plan
            .volumes
            .iter()
            .filter_map(|(name, status)| {
                let (pool, id) = pool_and_id(name)?;
                Some(VolumeGauge {
                    name: name.to_string(),
                    pool: pool.to_string(),
                    id,
                    // Objects do not say yet whose they are.
                    user: VolumeUser::default(),
                    phase: status.phase,
                })
            })
            .collect(),
        pools: plan
            .pools
            .iter()
            .map(|(name, status)| PoolGauge {
                name: name.to_string(),
                capacity: status.capacity_bytes,
                free: status.free_bytes,
                allocated: status.allocated_bytes,
                thin: status.thin,
            })
            .collect(),
        orphan_volumes: records.held().filter(is_orphan).count(),
        orphan_lvs: plan.orphan_lvs,
        invalid_requests: requests.invalid.len(),
        broken_records: records.broken().count(),
        failed_steps_total: errors + failed as u64,
        rounds_total: rounds + 1,
    }
}
