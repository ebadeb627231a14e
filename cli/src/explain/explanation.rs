//! A volume explained: a function of what the API has.

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use weir_api::condition::{self, SCHEDULED};
use weir_api::crd::Volume;
use weir_api::names::{ObjectName, VolumeId};
use weir_api::units::Bytes;
use weir_api::volume::Phase;

use super::told::{ConditionTold, EventTold, PlacementTold};
use crate::attachment_state::{AttachmentState, attachments};
use crate::elapsed;
use crate::lease::Controller;
use crate::pool_state::PoolState;
use crate::volume_state::{Around, Wait, wait};

/// What is known.
pub(super) struct Known<'a> {
    pub(super) volume: &'a Volume,
    /// The pool that it names, if there is one of that name.
    pub(super) pool: Option<PoolState>,
    pub(super) controller: Controller,
    pub(super) events: &'a [Event],
    pub(super) now: Timestamp,
}

/// A volume explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    pub(super) name: String,
    pub(super) id: VolumeId,
    pub(super) capacity_bytes: Bytes,
    pub(super) phase: Phase,
    pub(super) created_seconds_ago: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deletion_ordered_seconds_ago: Option<u64>,
    pub(super) waits_for: Wait,
    /// The pool that its spec names.
    pub(super) pool_name: Option<ObjectName>,
    /// What is known of it; nothing: there is none of that name.
    pub(super) pool: Option<PoolState>,
    pub(super) controller: Controller,
    pub(super) conditions: Vec<ConditionTold>,
    /// What placement says in words.
    pub(super) scheduled: Option<String>,
    pub(super) placement: Option<PlacementTold>,
    pub(super) attachments: Vec<AttachmentState>,
    pub(super) events: Vec<EventTold>,
}

impl Explanation {
    pub(super) fn of(known: &Known<'_>) -> Self {
        let Known {
            volume,
            pool,
            controller,
            events,
            now,
        } = known;
        let status = volume.status.clone().unwrap_or_default();
        let around = Around {
            pool: pool.as_ref(),
            controller,
            now: *now,
        };
        let metadata = &volume.metadata;
        let ago = |then: Timestamp| elapsed::since(then, *now).as_secs();
        let scheduled = condition::get(&status.conditions, SCHEDULED);
        Explanation {
            name: metadata.name.clone().unwrap_or_default(),
            id: volume.spec.id,
            capacity_bytes: volume.spec.capacity_bytes,
            phase: status.phase,
            created_seconds_ago: metadata.creation_timestamp.as_ref().map(|at| ago(at.0)),
            deletion_ordered_seconds_ago: metadata.deletion_timestamp.as_ref().map(|at| ago(at.0)),
            waits_for: wait(volume, &around),
            pool_name: volume.spec.pool_name.clone(),
            pool: pool.clone(),
            controller: controller.clone(),
            conditions: status
                .conditions
                .iter()
                .map(|one| ConditionTold::of(one, *now))
                .collect(),
            scheduled: scheduled.map(|told| told.message.clone()),
            placement: status
                .placement
                .as_ref()
                .map(|record| PlacementTold::of(record, *now)),
            attachments: attachments(volume),
            events: EventTold::list(events, metadata.uid.as_deref(), *now),
        }
    }
}
