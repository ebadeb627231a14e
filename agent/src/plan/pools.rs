//! Pools: what becomes of each recorded or requested one, and what is told about it.

use std::collections::BTreeSet;

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::names::ObjectName;
use weir_api::pool::{PoolStatus, StoragePool};

use super::marks::is_pool_mark;
use super::thin::{allocated, full_condition};
use super::{Planner, Problem, group_of};
use crate::lvm::report::Lv;
use crate::lvm::{self, THIN_POOL, THIN_TAG, pool_in, pool_tag};
use crate::observed::{GroupView, PoolView};
use crate::record::{PoolRecord, PoolState};
use crate::step::{Step, Subject};

/// What was decided about a pool.
pub(super) struct Verdict {
    steps: Vec<Step>,
    ready: Result<(), Problem>,
    refused: Option<Problem>,
    view: Option<GroupView>,
}

impl Verdict {
    pub(super) fn of(problem: Problem) -> Self {
        Verdict {
            steps: Vec::new(),
            ready: Err(problem),
            refused: None,
            view: None,
        }
    }

    pub(super) fn to_do(steps: Vec<Step>) -> Self {
        let mut verdict = Verdict::of(Problem::new(reason::WAITING, "the pool is being made"));
        verdict.steps = steps;
        verdict
    }
}

impl<'a> Planner<'a> {
    pub(super) fn pools(&mut self) {
        let ours = |pool: &&'a StoragePool| pool.spec.node_name == self.node.name;
        let asked = self
            .requests
            .pools
            .values()
            .filter(ours)
            .map(|pool| &pool.metadata.name);
        let kept = self
            .records
            .pools
            .keys()
            .chain(self.records.broken_pools.keys());
        let names: BTreeSet<ObjectName> = asked.chain(kept).cloned().collect();
        for name in names {
            let request = self.requests.pools.get(&name);
            let verdict = self.pool(&name, request);
            let orphans = verdict
                .view
                .as_ref()
                .map(|view| self.orphan_lvs(view).len());
            self.plan.orphan_lvs += orphans.unwrap_or(0);
            let status = self.pool_status(&name, request, &verdict);
            self.plan.pools.insert(name.clone(), status);
            self.work(Subject::Pool(name), verdict.steps);
        }
    }

    /// Reports volume groups that are marked as pools nobody asks for and nothing is recorded of.
    pub(super) fn strays(&mut self) {
        for (name, view) in &self.observed.strays {
            self.plan.orphan_lvs += self.orphan_lvs(view).len();
            if self.plan.pools.contains_key(name) {
                continue;
            }
            let problem = Problem::new(
                reason::NO_REQUEST,
                format!(
                    "volume group `{}` is kept; ask for the pool to use it",
                    view.vg.name
                ),
            );
            let mut verdict = Verdict::of(problem);
            verdict.view = Some(view.clone());
            let status = self.pool_status(name, None, &verdict);
            self.plan.pools.insert(name.clone(), status);
            self.plan.strays.insert(name.clone(), view.clone());
        }
    }

    fn pool(&mut self, name: &ObjectName, request: Option<&'a StoragePool>) -> Verdict {
        if let Some(broken) = self.records.broken_pools.get(name) {
            return Verdict::of(Problem::new(
                reason::RECORD_BROKEN,
                format!(
                    "{}: {}; restore the file",
                    broken.path.display(),
                    broken.reason
                ),
            ));
        }
        match (self.records.pools.get(name), request) {
            (Some(pool), _) => match pool.state {
                PoolState::Making => self.pool_making(pool, request),
                PoolState::Ready => self.pool_ready(pool, request),
                PoolState::Deleting => self.pool_deleting(pool),
            },
            (None, Some(request)) if request.is_deleted() => Verdict::of(Problem::new(
                reason::DELETED,
                "its volume group was left as it is",
            )),
            (None, Some(request)) => self.pool_new(request).unwrap_or_else(Verdict::of),
            (None, None) => Verdict::of(Problem::new(reason::POOL_NOT_FOUND, "not recorded")),
        }
    }

    fn pool_ready(&mut self, pool: &'a PoolRecord, request: Option<&StoragePool>) -> Verdict {
        let (_, view) = match self.usable_pool(&pool.name) {
            Ok(usable) => usable,
            Err(mut problem) => {
                if self.observed.pools.get(&pool.name) == Some(&PoolView::Missing) {
                    problem.reason = reason::VOLUME_GROUP_MISSING;
                }
                return Verdict::of(problem);
            }
        };
        let tag = pool_tag(&pool.name);
        let group = group_of(pool, view);
        if let Some(owner) = pool_in(&view.vg.tags).filter(|owner| *owner != pool.name.as_str()) {
            let vg = &pool.volume_group;
            return Verdict::of(Problem::new(
                reason::VOLUME_GROUP_TAKEN,
                format!("volume group `{vg}` is marked as pool `{owner}`'s"),
            ));
        }
        let mut steps = Vec::new();
        if !view.vg.tags.contains(&tag) {
            steps.push(Step::TagGroup(group.clone(), tag));
            steps.push(Step::FlushDisks(group.devices.clone()));
        }
        steps.extend(self.mark_pool(pool, view, request));
        let refused = request.and_then(|request| self.refused_changes(pool, view, request));
        let request = request.filter(|_| refused.is_none());
        let mut wanted = PoolRecord {
            devices: view.devices.clone(),
            ..pool.clone()
        };
        let mut ready = Ok(());
        if let Some(request) = request {
            if request.is_deleted() {
                match self.volumes_in(pool, view) {
                    None => wanted.state = PoolState::Deleting,
                    Some(problem) => ready = Err(problem),
                }
            } else {
                let thin = request.spec.engine.kernel.thin_pool.as_ref();
                wanted.thin_pool = pool.thin_pool.or(thin.map(|thin| thin.capacity_bytes));
                self.ask_for_portals(&mut wanted, &request.spec.portals);
                wanted.accept_volatile_write_cache = request.spec.accept_volatile_write_cache;
                wanted.cluster = pool.cluster.or(self.requests.cluster);
            }
        }
        if let Some(boot) = self.settle_boot(pool, view) {
            wanted.boot = Some(boot);
        }
        if wanted != *pool {
            steps.push(Step::WritePool(wanted.clone()));
        }
        if wanted.state == PoolState::Ready {
            self.ports_of(pool);
            match self.thin_pool(&wanted, view) {
                Ok(step) => steps.extend(step),
                Err(problem) => ready = ready.and(Err(problem)),
            }
        }
        Verdict {
            steps,
            ready,
            refused,
            view: Some(view.clone()),
        }
    }

    fn refused_changes(
        &self,
        pool: &PoolRecord,
        view: &GroupView,
        request: &StoragePool,
    ) -> Option<Problem> {
        let immutable = |message: String| Some(Problem::new(reason::IMMUTABLE_FIELD, message));
        let kernel = &request.spec.engine.kernel;
        if request.spec.node_name != self.node.name {
            let node = &self.node.name;
            return immutable(format!(
                "spec.nodeName can't be changed: the pool is on `{node}`"
            ));
        }
        if kernel.volume_group != pool.volume_group {
            let vg = &pool.volume_group;
            return immutable(format!(
                "spec.engine.kernel.volumeGroup can't be changed from `{vg}`"
            ));
        }
        let numbers = &self.observed.numbers;
        let same = |one: &String, other: &String| {
            one == other || (numbers.contains_key(one) && numbers.get(one) == numbers.get(other))
        };
        let is_member = |device: &&String| view.devices.iter().any(|member| same(member, device));
        if let Some(device) = kernel.devices.iter().find(|device| !is_member(device)) {
            return immutable(format!(
                "spec.engine.kernel.devices: `{device}` is not a disk of the pool, and adding \
                 disks is not supported yet"
            ));
        }
        let asked = kernel.thin_pool.as_ref().map(|thin| thin.capacity_bytes);
        match (pool.thin_pool, asked) {
            (Some(had), Some(asked)) if had != asked => Some(Problem::new(
                reason::RESIZE_NOT_SUPPORTED,
                format!(
                    "spec.engine.kernel.thinPool.capacityBytes can't be changed from {}",
                    had.0
                ),
            )),
            (Some(_), None) => immutable("spec.engine.kernel.thinPool can't be removed".to_owned()),
            _ => None,
        }
    }

    fn volumes_in(&self, pool: &PoolRecord, view: &GroupView) -> Option<Problem> {
        let recorded = self
            .records
            .held()
            .filter(|volume| volume.pool == pool.name);
        let marked = view
            .lvs
            .values()
            .filter(|lv| lvm::id_in(&lv.tags).is_some());
        let count = recorded.count().max(marked.count());
        (count > 0).then(|| {
            Problem::new(
                reason::VOLUMES_EXIST,
                format!("{count} volumes have to be deleted first"),
            )
        })
    }

    fn pool_deleting(&mut self, pool: &'a PoolRecord) -> Verdict {
        let waiting = Problem::new(reason::WAITING, "the pool is being given up");
        let mut verdict = Verdict::of(waiting);
        let forget = Step::RemovePool(pool.name.clone());
        match self.observed.pools.get(&pool.name) {
            Some(PoolView::Present(view)) => {
                let group = group_of(pool, view);
                if let Some(problem) = self.volumes_in(pool, view) {
                    return Verdict::of(problem);
                }
                if !pool.portals.is_empty() {
                    let mut wanted = pool.clone();
                    self.ask_for_portals(&mut wanted, &[]);
                    if wanted == *pool {
                        self.ports_of(pool);
                    } else {
                        verdict.steps.push(Step::WritePool(wanted));
                    }
                    return verdict;
                }
                if let Some(lv) = view
                    .lvs
                    .get(THIN_POOL)
                    .filter(|lv| lv.tags.contains(THIN_TAG))
                {
                    verdict.steps.push(Step::RemoveLv {
                        group: group.clone(),
                        lv: lv.name.clone(),
                        uuid: lv.uuid.clone(),
                        tag: THIN_TAG.to_owned(),
                    });
                }
                if view.vg.tags.contains(&pool_tag(&pool.name)) {
                    verdict
                        .steps
                        .push(Step::UntagGroup(group.clone(), pool_tag(&pool.name)));
                }
                let marks = view.vg.tags.iter().filter(|tag| is_pool_mark(tag));
                let untag = |tag: &String| Step::UntagGroup(group.clone(), tag.clone());
                verdict.steps.extend(marks.map(untag));
                verdict.steps.push(Step::FlushDisks(group.devices));
                verdict.steps.push(forget);
            }
            Some(PoolView::Missing) => verdict.steps.push(forget),
            // It was given up while it was being made: nothing of it is anybody's.
            None => verdict.steps.push(forget),
            Some(PoolView::Unknown(error)) => {
                return Verdict::of(Problem::new(reason::POOL_UNAVAILABLE, error.clone()));
            }
        }
        verdict
    }

    fn pool_status(
        &self,
        name: &ObjectName,
        request: Option<&StoragePool>,
        verdict: &Verdict,
    ) -> PoolStatus {
        let mut status = PoolStatus::default();
        let conditions = &mut status.conditions;
        conditions.push(match &verdict.ready {
            Ok(()) => Condition::new(
                condition::READY,
                Truth::True,
                reason::AS_ASKED,
                "it is served",
            ),
            Err(problem) => problem.condition(condition::READY, Truth::False),
        });
        if let Some(problem) = &verdict.refused {
            let said = problem.condition(condition::REFUSED, Truth::True);
            condition::add(conditions, said);
        }
        if let Some(invalid) = self.requests.invalid_for("StoragePool", name) {
            let message = format!("{}: {}", invalid.file, invalid.error);
            let said = Problem::new(reason::INVALID_REQUEST, message);
            condition::add(conditions, said.condition(condition::REFUSED, Truth::True));
        } else if let Some(message) = &self.requests.foreign {
            let said = Problem::new(reason::FOREIGN_CLUSTER, message.clone());
            condition::add(conditions, said.condition(condition::REFUSED, Truth::True));
        } else if request.is_none()
            && self.requests.unreadable.is_none()
            && self.records.pools.contains_key(name)
        {
            let message = "nobody asks for it any more; it is served as recorded";
            conditions.push(
                Problem::new(reason::NO_REQUEST, message)
                    .condition(condition::ORPHANED, Truth::True),
            );
        }
        let Some(view) = &verdict.view else {
            return status;
        };
        (status.capacity_bytes, status.free_bytes) = (view.vg.size, view.vg.free);
        status.allocated_bytes = Some(allocated(view));
        let present = if view.missing == 0 {
            Condition::new(
                condition::DEVICES_PRESENT,
                Truth::True,
                reason::AS_ASKED,
                "all disks are there",
            )
        } else {
            let message = format!("{} disks are missing; put them back", view.missing);
            Problem::new(reason::DEVICE_MISSING, message)
                .condition(condition::DEVICES_PRESENT, Truth::False)
        };
        status.conditions.push(present);
        if let Some(pool) = self.records.pools.get(name) {
            status.conditions.extend(self.cache_condition(pool, view));
            if let Some(fill) = self.observed.thin.get(name) {
                status.thin = fill.usage;
                let said = full_condition(&pool.volume_group, fill);
                status.conditions.extend(said);
            }
        }
        let orphans = self.orphan_lvs(view);
        if !orphans.is_empty() {
            let message = format!(
                "LVs of volumes that are neither asked for nor recorded are kept: {}",
                orphans.join(", ")
            );
            status.conditions.push(
                Problem::new(reason::NO_REQUEST, message)
                    .condition(condition::ORPHANS, Truth::True),
            );
        }
        status
    }

    /// LVs that carry a volume's mark and of which nothing is recorded.
    fn orphan_lvs(&self, view: &GroupView) -> Vec<String> {
        let is_orphan = |lv: &&Lv| {
            lvm::id_in(&lv.tags).is_some_and(|id| {
                !self.records.volumes.contains_key(&id)
                    && !self.records.broken_volumes.contains_key(&id)
            })
        };
        view.lvs
            .values()
            .filter(is_orphan)
            .map(|lv| lv.name.clone())
            .collect()
    }
}
