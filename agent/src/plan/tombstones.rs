//! Tombstones: orders to destroy what a pool holds of volumes whose objects are gone.
//!
//! One is as good an order as a volume's `deletionTimestamp`, and from the record on both go the same way: it is recorded
//! that the volume is being deleted, and then destroyed with every check there is. Before that there is more to ask than
//! of a volume's object, which says itself that it is deleted: whether the order is of the pool's own cluster, and whether
//! any object asks for the opposite.

use weir_api::condition::{Condition, REMOVED, Truth, reason};
use weir_api::crd::{TombstonePhase, TombstoneStatus};
use weir_api::names::ObjectName;

use super::{Planner, Problem};
use crate::lvm::id_in;
use crate::objects::{name_of, volume_from_tags};
use crate::record::{VolumeRecord, VolumeState};
use crate::requests::Burial;
use crate::step::{Step, Subject};

impl Planner<'_> {
    /// Whether a tombstone orders that a recorded volume be destroyed.
    pub(super) fn is_buried(&self, volume: &VolumeRecord) -> bool {
        let mut burials = self.requests.tombstones.values();
        burials.any(|burial| {
            burial.id == volume.id && burial.pool == volume.pool && self.heed(burial).is_ok()
        })
    }

    /// After all volumes were planned: what they came to is told here too.
    pub(super) fn tombstones(&mut self) {
        for (name, burial) in &self.requests.tombstones {
            let status = match self.bury(burial) {
                Ok(()) => {
                    let message = format!("pool `{}` holds nothing of it", burial.pool);
                    let said = Condition::new(REMOVED, Truth::True, reason::DELETED, message);
                    status(TombstonePhase::Done, said)
                }
                Err(problem) => {
                    let said = problem.condition(REMOVED, Truth::False);
                    status(TombstonePhase::Pending, said)
                }
            };
            self.plan.tombstones.insert(name.clone(), status);
        }
    }

    /// Whether a tombstone is an order to this node now.
    fn heed(&self, burial: &Burial) -> Result<(), Problem> {
        if let Some(unknown) = &self.requests.unreadable {
            return Err(Problem::new(
                reason::WAITING,
                format!("nobody knows whether anybody asks for it: {unknown}"),
            ));
        }
        let mut requests = self.requests.volumes.values();
        let live = requests.find(|request| {
            let spec = &request.spec;
            spec.id == burial.id && spec.pool_name == burial.pool && !request.is_deleted()
        });
        let live = live.map(|request| request.metadata.name.to_string());
        if let Some(name) = live.or_else(|| burial.claimed_by.clone()) {
            return Err(Problem::new(
                reason::LIVE_VOLUME,
                format!(
                    "volume `{name}` asks for it and is not being deleted: nothing is destroyed. Delete that volume, \
                     and its data goes with it; or delete this tombstone"
                ),
            ));
        }
        let pool = &burial.pool;
        let Some(record) = self.records.pools.get(pool) else {
            let message = format!("there is no pool `{pool}` on this node");
            return Err(Problem::new(reason::POOL_NOT_FOUND, message));
        };
        if record.cluster.is_none() || record.cluster != self.requests.cluster {
            let message = format!("pool `{pool}` is not recorded as this cluster's");
            return Err(Problem::new(reason::FOREIGN_CLUSTER, message));
        }
        Ok(())
    }

    /// Does what a tombstone orders, as far as volumes' own plans don't; all is well when nothing is left.
    fn bury(&mut self, burial: &Burial) -> Result<(), Problem> {
        self.heed(burial)?;
        let id = burial.id;
        if let Some(broken) = self.records.broken_volumes.get(&id) {
            let message = format!(
                "{}: {}; restore the file",
                broken.path.display(),
                broken.reason
            );
            return Err(Problem::new(reason::RECORD_BROKEN, message));
        }
        let record = self.records.volumes.get(&id);
        if record.is_some_and(|volume| volume.pool == burial.pool) {
            let why = self.deletions.get(&id).cloned();
            let waiting = || Problem::new(reason::WAITING, "its deletion is being recorded");
            return Err(why.unwrap_or_else(waiting));
        }
        let (_, view) = self.usable_pool(&burial.pool)?;
        let foreign = |message: String| Problem::new(reason::FOREIGN, message);
        let name = id.lv_name();
        let mut lvs = view
            .lvs
            .values()
            .filter(|lv| id_in(&lv.tags) == Some(id) || lv.name == name);
        let Some(lv) = lvs.next() else {
            return Ok(());
        };
        if let Some(other) = lvs.next() {
            let (one, other) = (&lv.name, &other.name);
            let message =
                format!("LVs `{one}` and `{other}` both pass for it; remove the one that is not");
            return Err(foreign(message));
        }
        if let Some(record) = record {
            let (lv, pool) = (&lv.name, &record.pool);
            let message = format!("LV `{lv}` is here, and the volume is recorded in pool `{pool}`");
            return Err(foreign(message));
        }
        let mut requests = self.requests.volumes.values();
        if requests.any(|request| request.spec.id == id) {
            return Err(Problem::new(
                reason::WAITING,
                "its object, which orders the same, is looked at first",
            ));
        }
        let target = self.target()?;
        let found = volume_from_tags(&burial.pool, lv, Some(target)).map_err(foreign)?;
        let is_taken = |name: &ObjectName| {
            let mut recorded = self.records.volumes.values();
            recorded.any(|other| other.name == *name) || self.requests.volumes.contains_key(name)
        };
        let record = VolumeRecord {
            name: if is_taken(&found.name) {
                name_of(id)
            } else {
                found.name.clone()
            },
            state: VolumeState::Deleting,
            attachments: Vec::new(),
            revoked: true,
            ..found
        };
        let subject = Subject::Volume(record.name.clone());
        self.work(subject, vec![Step::WriteVolume(record)]);
        Err(Problem::new(
            reason::WAITING,
            "its deletion is being recorded",
        ))
    }
}

fn status(phase: TombstonePhase, said: Condition) -> TombstoneStatus {
    TombstoneStatus {
        phase,
        conditions: vec![said],
        observed_generation: None,
    }
}
