//! What to do next, and what to tell about it: a pure function of what is asked for, recorded and
//! observed.
//!
//! Rules that hold for every plan:
//! - nothing is destroyed, and no export ended, because something is *absent*: only a request that
//!   is there and says so, or a record of such an order, leads to a removal;
//! - the record comes first: each change to the node is preceded by the record of its intent;
//! - a volume is granted to somebody only when nobody else can reach it: in a plan of its own, made
//!   after the export of the one before was seen to be gone.

mod adopt;
mod attach;
mod boot;
mod create;
mod delete;
mod exports;
mod grants;
mod making;
mod marks;
mod multihost;
mod pools;
mod ports;
mod reject;
mod thin;
mod tombstones;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use nvmet::{Nqn, PortId, Target};
use weir_api::condition::{Condition, Truth, reason};
use weir_api::crd::TombstoneStatus;
use weir_api::names::{NodeName, ObjectName, VolumeId};
use weir_api::pool::PoolStatus;
use weir_api::units::Bytes;
use weir_api::volume::VolumeStatus;

use crate::lvm::Group;
use crate::observed::{GroupView, Observed, PoolView, TargetView};
use crate::orphan_volumes;
use crate::record::{BootId, PoolRecord, PoolState, Records};
use crate::requests::Requests;
use crate::step::{Step, Subject, Work};

/// What never changes while the agent runs.
#[derive(Clone, Debug)]
pub struct Node {
    /// This node's name.
    pub name: NodeName,
    /// How many volumes it may hold.
    pub max_volumes: usize,
    /// This boot of it.
    pub boot: BootId,
}

/// What to do, and what is the case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to do, in this order.
    pub work: Vec<Work>,
    /// Status of every pool of this node that is asked for or recorded.
    pub pools: BTreeMap<ObjectName, PoolStatus>,
    /// Status of every volume that is asked for or recorded.
    pub volumes: BTreeMap<ObjectName, VolumeStatus>,
    /// Status of every tombstone that is an order still.
    pub tombstones: BTreeMap<ObjectName, TombstoneStatus>,
    /// Pools that only their volume group's mark tells of.
    pub strays: BTreeMap<ObjectName, GroupView>,
    /// How many LVs carry a volume's mark without being recorded.
    pub orphan_lvs: usize,
}

/// Plans the next steps. Applied, observed and planned again, this ends with an empty plan, unless
/// a step fails or something is waited for.
#[must_use]
pub fn plan(node: &Node, requests: &Requests, records: &Records, observed: &Observed) -> Plan {
    let mut planner = Planner {
        node,
        requests,
        records,
        observed,
        plan: Plan::default(),
        free: free_space(observed),
        volume_count: records.held().count() + records.broken_volumes.len(),
        taken_groups: BTreeSet::new(),
        taken_ports: ports::taken(records, observed),
        planned_ports: BTreeSet::new(),
        wanted_hosts: BTreeSet::new(),
        deletions: BTreeMap::new(),
    };
    planner.pools();
    planner.strays();
    planner.volumes();
    planner.tombstones();
    planner.unused_hosts();
    let Planner { mut plan, .. } = planner;
    orphan_volumes::tell(&mut plan.pools, requests, records, observed);
    plan.work.retain(|work| !work.steps.is_empty());
    plan.work
        .sort_by(|one, other| one.subject.cmp(&other.subject));
    plan
}

struct Planner<'a> {
    node: &'a Node,
    requests: &'a Requests,
    records: &'a Records,
    observed: &'a Observed,
    plan: Plan,
    /// What this plan leaves free in each pool.
    free: BTreeMap<ObjectName, Bytes>,
    volume_count: usize,
    /// Volume groups that pools of this very plan are made on.
    taken_groups: BTreeSet<String>,
    taken_ports: BTreeSet<PortId>,
    planned_ports: BTreeSet<PortId>,
    /// Hosts that volumes of this plan are exported to.
    wanted_hosts: BTreeSet<Nqn>,
    /// What recorded deletions of this plan wait for.
    deletions: BTreeMap<VolumeId, Problem>,
}

fn free_space(observed: &Observed) -> BTreeMap<ObjectName, Bytes> {
    let free = |view: &PoolView| match view {
        PoolView::Present(group) => Some(group.vg.free),
        PoolView::Unknown(_) | PoolView::Missing => None,
    };
    let pools = observed.pools.iter();
    pools
        .filter_map(|(name, view)| Some((name.clone(), free(view)?)))
        .collect()
}

impl<'a> Planner<'a> {
    fn work(&mut self, subject: Subject, steps: Vec<Step>) {
        self.plan.work.push(Work { subject, steps });
    }

    /// A recorded pool that volumes can be served from.
    fn usable_pool(&self, name: &ObjectName) -> Result<(&'a PoolRecord, &'a GroupView), Problem> {
        let unavailable = |message: String| Problem::new(reason::POOL_UNAVAILABLE, message);
        if let Some(broken) = self.records.broken_pools.get(name) {
            let path = broken.path.display();
            return Err(unavailable(format!(
                "the record of pool `{name}`, {path}, can't be read"
            )));
        }
        let Some(pool) = self.records.pools.get(name) else {
            let message = format!("there is no pool `{name}` on this node");
            return Err(Problem::new(reason::POOL_NOT_FOUND, message));
        };
        if pool.state == PoolState::Making {
            return Err(unavailable(format!("pool `{name}` is not made yet")));
        }
        match self.observed.pools.get(name) {
            Some(PoolView::Present(group)) => Ok((pool, group)),
            Some(PoolView::Missing) => {
                let vg = &pool.volume_group;
                Err(unavailable(format!(
                    "no disk of this node holds volume group `{vg}`"
                )))
            }
            Some(PoolView::Unknown(error)) => Err(unavailable(error.clone())),
            None => Err(unavailable("it was not looked at".to_owned())),
        }
    }

    /// The target, an empty one if it isn't loaded; an error if nobody knows what is exported.
    fn target(&self) -> Result<&'a Target, Problem> {
        static EMPTY: std::sync::LazyLock<Target> = std::sync::LazyLock::new(Target::default);
        match &self.observed.target {
            TargetView::Present(target) => Ok(target),
            TargetView::Absent(_) => Ok(&EMPTY),
            TargetView::Unknown(error) => {
                Err(Problem::new(reason::TARGET_UNAVAILABLE, error.clone()))
            }
        }
    }
}

/// Why something can't be done: a reason and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    reason: &'static str,
    message: String,
}

impl Problem {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Problem {
            reason,
            message: message.into(),
        }
    }

    fn condition(&self, kind: &str, status: Truth) -> Condition {
        Condition::new(kind, status, self.reason, self.message.clone())
    }
}

/// What LVM calls of a pool name.
fn group_of(pool: &PoolRecord, view: &GroupView) -> Group {
    Group {
        name: pool.volume_group.clone(),
        devices: view.devices.clone(),
    }
}
