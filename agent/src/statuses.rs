//! What a round found, for whoever tells it on.

use std::collections::BTreeMap;

use weir_api::condition::{self, Condition, Truth, reason};
use weir_api::crd::TombstoneStatus;
use weir_api::names::{ObjectName, VolumeId};
use weir_api::pool::PoolStatus;
use weir_api::volume::VolumeStatus;

use crate::cluster::ClusterId;
use crate::plan::Plan;
use crate::record::Records;
use crate::requests::Requests;

/// Every status, as of one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statuses {
    /// Of pools of this node that are asked for, recorded, or marked on a disk.
    pub pools: BTreeMap<ObjectName, PoolStatus>,
    /// Of volumes that are asked for or recorded, and which volume each is: an object of the same name may be
    /// another one.
    pub volumes: BTreeMap<ObjectName, (VolumeId, VolumeStatus)>,
    /// Of tombstones that order something still.
    pub tombstones: BTreeMap<ObjectName, (VolumeId, TombstoneStatus)>,
    /// What is wrong with objects that ask for what can't be served: kind and name. Those that are recorded
    /// have a status besides, which says it too.
    pub invalid: BTreeMap<(String, ObjectName), String>,
    /// The cluster whose API was heeded.
    pub cluster: Option<ClusterId>,
    /// Why nothing is heeded: the API is another cluster's.
    pub foreign: Option<String>,
}

impl Statuses {
    /// What a plan says of everything.
    #[must_use]
    pub fn of(requests: &Requests, records: &Records, plan: &Plan) -> Self {
        let mut recorded_ids = BTreeMap::new();
        for volume in records.volumes.values() {
            recorded_ids.entry(&volume.name).or_insert(volume.id);
        }
        let volumes = plan.volumes.iter().filter_map(|(name, status)| {
            let asked = requests.volumes.get(name).map(|volume| volume.spec.id);
            let id = asked.or_else(|| recorded_ids.get(name).copied())?;
            Some((name.clone(), (id, status.clone())))
        });
        let tombstones = plan.tombstones.iter().filter_map(|(name, status)| {
            let id = requests.tombstones.get(name)?.id;
            Some((name.clone(), (id, status.clone())))
        });
        let invalid = requests.invalid.iter();
        Statuses {
            pools: plan.pools.clone(),
            volumes: volumes.collect(),
            tombstones: tombstones.collect(),
            invalid: invalid
                .filter_map(|invalid| Some((invalid.object.clone()?, invalid.error.clone())))
                .collect(),
            cluster: requests.cluster,
            foreign: requests.foreign.clone(),
        }
    }
}

/// What is said of an object that can't be served.
#[must_use]
pub fn of_invalid(error: &str) -> Vec<Condition> {
    let said = |kind, truth| Condition::new(kind, truth, reason::INVALID_REQUEST, error);
    vec![
        said(condition::READY, Truth::False),
        said(condition::REFUSED, Truth::True),
    ]
}

/// What is said of a pool of this node in another cluster's API.
#[must_use]
pub fn of_foreign(message: &str) -> Vec<Condition> {
    let said = Condition::new(
        condition::READY,
        Truth::False,
        reason::FOREIGN_CLUSTER,
        message,
    );
    vec![said]
}
