//! The node was started again: which grants survive that.
//!
//! A disk with a volatile write cache may have lost writes that were acknowledged and not flushed. A host
//! that reconnects transparently would get success for its *next* flush and believe them safe. So unless
//! the last boot ended in good order, or the pool accepts it, its grants to other nodes end with the boot:
//! those hosts see an error, and whoever owns the volume grants it anew.

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::names::ObjectName;
use weir_api::volume::Attachment;

use super::{Planner, Problem};
use crate::observed::GroupView;
use crate::record::{BootRecord, PoolRecord, VolumeRecord, VolumeState};
use crate::step::{Step, Subject};

impl Planner<'_> {
    pub(super) fn this_boot(&self) -> BootRecord {
        BootRecord {
            id: self.node.boot,
            ended: false,
        }
    }

    /// Whether a pool's grants are known to be good in this boot. Until they are, nothing of it is exported.
    pub(super) fn is_settled(&self, pool: &PoolRecord) -> bool {
        // A record of before boots were recorded is this boot's: the agent was upgraded under it.
        let boot = pool.boot.as_ref();
        boot.is_none_or(|boot| *boot == self.this_boot())
    }

    /// Ends what does not survive the last boot, and then says in the record that the rest is good in
    /// this one.
    pub(super) fn settle_boot(
        &mut self,
        pool: &PoolRecord,
        view: &GroupView,
    ) -> Option<BootRecord> {
        if self.is_settled(pool) {
            return Some(self.this_boot());
        }
        let ended = pool.boot.as_ref().is_some_and(|boot| boot.ended);
        if ended || pool.accept_volatile_write_cache || !self.may_lose_writes(view) {
            return Some(self.this_boot());
        }
        let lost: Vec<VolumeRecord> = self
            .volumes_of(&pool.name)
            .filter_map(|volume| self.without_hosts(volume))
            .collect();
        if lost.is_empty() {
            return Some(self.this_boot());
        }
        for volume in lost {
            let subject = Subject::Volume(volume.name.clone());
            self.work(subject, vec![Step::WriteVolume(volume)]);
        }
        None
    }

    fn volumes_of(&self, pool: &ObjectName) -> impl Iterator<Item = &VolumeRecord> {
        let volumes = self.records.volumes.values();
        volumes.filter(move |volume| volume.pool == *pool && volume.state == VolumeState::Ready)
    }

    /// The record of a volume without its grants to other nodes, if it has any. What this node itself
    /// used went down with it.
    fn without_hosts(&self, volume: &VolumeRecord) -> Option<VolumeRecord> {
        let attachments = volume.attachments.iter();
        let local: Vec<Attachment> = attachments.filter(|a| self.is_local(a)).cloned().collect();
        (local.len() < volume.attachments.len()).then(|| VolumeRecord {
            attachments: local,
            unclean_stop: true,
            revoked: true,
            ..volume.clone()
        })
    }

    /// A disk that can't be asked is taken for the worse kind.
    fn may_lose_writes(&self, view: &GroupView) -> bool {
        let volatile = |disk: &String| self.observed.volatile.get(disk).copied().unwrap_or(true);
        view.missing > 0 || view.devices.iter().any(volatile)
    }

    /// What a pool's status says about its disks' caches, if there is anything to say.
    pub(super) fn cache_condition(&self, pool: &PoolRecord, view: &GroupView) -> Option<Condition> {
        if !self.may_lose_writes(view) {
            return None;
        }
        let problem = if pool.accept_volatile_write_cache {
            Problem::new(
                reason::ACCEPTED,
                "a power cut may lose writes that were not flushed, and hosts that reconnect are not \
                 told; spec.acceptVolatileWriteCache says so",
            )
        } else {
            Problem::new(
                reason::WRITE_BACK,
                "a power cut may lose writes that were not flushed: after one, volumes have to be \
                 granted anew",
            )
        };
        Some(problem.condition(condition::VOLATILE_WRITE_CACHE, Truth::True))
    }
}
