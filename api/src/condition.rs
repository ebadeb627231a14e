//! Conditions: what an operator should know about an object, each with a reason a program can match.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One aspect of an object's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The aspect, one word in CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z]+$"))]
    pub kind: String,
    /// Whether it holds.
    pub status: Truth,
    /// One word in CamelCase that a program can match.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z]+$"))]
    pub reason: String,
    /// A sentence for a person: what is the case and what to do.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// When `status` became what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// The `metadata.generation` of the object that was looked at; an older one than the object's says
    /// that this may be out of date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// A condition's three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody could find out.
    Unknown,
}

/// The object does what its spec asks for.
pub const READY: &str = "Ready";
/// Its request vanished without an order to delete it: it is kept and served as recorded.
pub const ORPHANED: &str = "Orphaned";

/// The nodes a volume is attached to can reach it.
pub const EXPORTED: &str = "Exported";
/// Every portal of a pool accepts connections, as far as an export tried it.
pub const PORTALS_LISTENING: &str = "PortalsListening";
/// Every disk of a pool is there.
pub const DEVICES_PRESENT: &str = "DevicesPresent";
/// A disk of a pool has a write cache that loses its content with the power.
pub const VOLATILE_WRITE_CACHE: &str = "VolatileWriteCache";
/// A pool's thin pool is too full for more volumes, or takes no more writes; the reason says which. Not said
/// of one that has room.
pub const THIN_POOL_FULL: &str = "ThinPoolFull";
/// A pool holds volumes of Weir's that nobody asks for.
pub const ORPHANS: &str = "Orphans";
/// Somebody on the pool's node has a volume open that is granted to other nodes.
pub const OPENED_LOCALLY: &str = "OpenedLocally";
/// What the spec asks for can't be done and was left as it is.
pub const REFUSED: &str = "Refused";
/// The agent of the volume's pool can't make it there, made nothing, and has recorded so: once the volume
/// names no pool any more, another one may be chosen.
pub const REJECTED: &str = "Rejected";
/// Exports of a pool answer on its portals, as seen from its own node.
pub const DATA_PLANE_HEALTHY: &str = "DataPlaneHealthy";
/// The controller hears a pool's latencies often enough to place by them.
pub const TELEMETRY_FRESH: &str = "TelemetryFresh";
/// Hosts of a pool's exports are told apart by name only: nothing authenticates them.
pub const UNAUTHENTICATED: &str = "Unauthenticated";
/// A pool was chosen for a volume.
pub const SCHEDULED: &str = "Scheduled";
/// The agent of a volume's pool is heard. Said of volumes whose agent was not.
pub const NODE_AVAILABLE: &str = "NodeAvailable";
/// What a tombstone orders to be destroyed is gone.
pub const REMOVED: &str = "Removed";
/// A volume's latency objective is kept.
pub const LATENCY_MET: &str = "LatencyMet";
/// A volume's space is not overwritten when it is given back, as its `wipe` asks for: whoever gets it
/// next may be able to read what was there.
pub const NOT_WIPED: &str = "NotWiped";

/// Reasons a program can match; each is said with a message for a person.
pub mod reason {
    /// All is as asked.
    pub const AS_ASKED: &str = "AsAsked";
    /// A step failed and is tried again; the message is the error.
    pub const STEP_FAILED: &str = "StepFailed";
    /// The request can't be read; what is recorded goes on.
    pub const INVALID_REQUEST: &str = "InvalidRequest";
    /// There is no request for what is recorded.
    pub const NO_REQUEST: &str = "NoRequest";
    /// This node's record of the object can't be read: nothing is done about the object.
    pub const RECORD_BROKEN: &str = "RecordBroken";
    /// Deletion was ordered and is done.
    pub const DELETED: &str = "Deleted";
    /// Something is waited for; the message says for what.
    pub const WAITING: &str = "Waiting";
    /// The spec asks for what this version can't do.
    pub const NOT_IMPLEMENTED: &str = "NotImplemented";
    /// No pool passed every filter; the message counts them.
    pub const NO_POOL_FITS: &str = "NoPoolFits";
    /// The volume's data is where no object asks for it, and that pool can't be used now.
    pub const ORPHAN_ELSEWHERE: &str = "OrphanElsewhere";
    /// The volume's data may be in a pool that has not told yet what it holds.
    pub const ORPHANS_UNKNOWN: &str = "OrphansUnknown";
    /// A pool was chosen.
    pub const BOUND: &str = "Bound";
    /// The volume is in no pool any longer; another is looked for.
    pub const UNBOUND: &str = "Unbound";
    /// The pool's node is out of service, as its Node object says.
    pub const NODE_DEAD: &str = "NodeDead";
    /// The pool's agent has not been heard for too long.
    pub const AGENT_SILENT: &str = "AgentSilent";
    /// The pool's agent does not tell what it measures, or not lately.
    pub const NOT_HEARD: &str = "NotHeard";
    /// The controller that leads takes no telemetry.
    pub const NOT_TAKEN: &str = "NotTaken";
    /// The agent of the volume's pool is heard again.
    pub const AGENT_HEARD: &str = "AgentHeard";
    /// A tombstone orders that what a pool holds of a volume of this id be destroyed.
    pub const TOMBSTONE: &str = "Tombstone";
    /// A volume that is not being deleted asks for what a tombstone orders to be destroyed: it is kept.
    pub const LIVE_VOLUME: &str = "LiveVolume";
    /// The pool's node belongs to another cluster.
    pub const FOREIGN_CLUSTER: &str = "ForeignCluster";
    /// The object that is named does not exist.
    pub const NOT_FOUND: &str = "NotFound";
    /// The LV is being zeroed.
    pub const ZEROING: &str = "Zeroing";
    /// The device is open, or holds data that is in use.
    pub const IN_USE: &str = "InUse";

    /// No pool of that name on this node.
    pub const POOL_NOT_FOUND: &str = "PoolNotFound";
    /// The pool can't be served now.
    pub const POOL_UNAVAILABLE: &str = "PoolUnavailable";
    /// The pool has no room, or the node has as many volumes as it may.
    pub const NO_SPACE: &str = "NoSpace";
    /// A thin volume in a pool without a usable thin pool.
    pub const NO_THIN_POOL: &str = "NoThinPool";
    /// The data or the metadata of a thin pool has reached its limit.
    pub const THIN_POOL_NEARLY_FULL: &str = "ThinPoolNearlyFull";
    /// A thin pool has nothing left for what is written to its volumes.
    pub const THIN_POOL_OUT_OF_SPACE: &str = "ThinPoolOutOfSpace";
    /// The kernel lets nobody write to a thin pool until it was checked.
    pub const THIN_POOL_BROKEN: &str = "ThinPoolBroken";
    /// Another volume has this name.
    pub const NAME_IN_USE: &str = "NameInUse";
    /// Another object has this id.
    pub const ID_IN_USE: &str = "IdInUse";
    /// A field was changed that never changes.
    pub const IMMUTABLE_FIELD: &str = "ImmutableField";
    /// The volume was asked to grow.
    pub const RESIZE_NOT_SUPPORTED: &str = "ResizeNotSupported";
    /// The volume was asked to shrink.
    pub const SHRINK_REFUSED: &str = "ShrinkRefused";
    /// A generation is asked for that was used, or is older than one that was.
    pub const STALE_GENERATION: &str = "StaleGeneration";
    /// An LV, a tag or a subsystem is in the way that is not Weir's or not this volume's.
    pub const FOREIGN: &str = "Foreign";
    /// The recorded LV is gone.
    pub const DATA_MISSING: &str = "DataMissing";
    /// The LV says it was never zeroed and the record says it was.
    pub const NOT_ZEROED: &str = "NotZeroed";

    /// The kernel's NVMe target can't be used.
    pub const TARGET_UNAVAILABLE: &str = "TargetUnavailable";
    /// The pool names no portal.
    pub const NO_PORTAL: &str = "NoPortal";
    /// A portal's address can't be listened on.
    pub const PORTAL_UNAVAILABLE: &str = "PortalUnavailable";
    /// No node is attached.
    pub const NOT_ATTACHED: &str = "NotAttached";
    /// Attached to the pool's own node, which uses the device itself.
    pub const LOCAL_USE: &str = "LocalUse";

    /// The volume group is not there.
    pub const VOLUME_GROUP_MISSING: &str = "VolumeGroupMissing";
    /// A volume group of that name is there and not this pool's.
    pub const VOLUME_GROUP_TAKEN: &str = "VolumeGroupTaken";
    /// A named device can't be used.
    pub const DEVICE_REFUSED: &str = "DeviceRefused";
    /// The kernel says so of a disk of the pool, or can't be asked.
    pub const WRITE_BACK: &str = "WriteBack";
    /// The same, and it was accepted.
    pub const ACCEPTED: &str = "Accepted";
    /// The node stopped without a word, and what was not flushed may be lost: the grant was ended.
    pub const UNCLEAN_STOP: &str = "UncleanStop";
    /// A disk of the pool is gone.
    pub const DEVICE_MISSING: &str = "DeviceMissing";
    /// The pool holds volumes.
    pub const VOLUMES_EXIST: &str = "VolumesExist";
}

impl Condition {
    /// A condition of type `kind`.
    pub fn new(
        kind: &str,
        status: Truth,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Condition {
            kind: kind.to_owned(),
            status,
            reason: reason.into(),
            message: message.into(),
            last_transition_time: None,
            observed_generation: None,
        }
    }
}

/// Puts `new` in the place of the condition of its type. Its time of transition is `now` only where its
/// status differs from what it was: a new message alone is no transition.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition, now: &Time) {
    let old = conditions.iter_mut().find(|old| old.kind == new.kind);
    let since = old
        .as_ref()
        .filter(|old| old.status == new.status)
        .and_then(|old| old.last_transition_time.clone());
    new.last_transition_time = Some(since.unwrap_or_else(|| now.clone()));
    match old {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// Adds `new`. Of two conditions of one type, which no list may have, one is made: the first says what comes
/// first, and the second's message follows the first's.
pub fn add(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|old| old.kind == new.kind) {
        Some(old) if old.message == new.message => {}
        Some(old) => old.message = format!("{}; {}", old.message, new.message),
        None => conditions.push(new),
    }
}

/// The condition of type `kind`, if there is one.
#[must_use]
pub fn get<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_conditions_of_a_type_become_one_that_says_both() {
        let mut all = Vec::new();
        for (kind, why, message) in [
            (REFUSED, reason::STALE_GENERATION, "a"),
            (READY, reason::WAITING, "b"),
            (REFUSED, reason::INVALID_REQUEST, "c"),
            (REFUSED, reason::INVALID_REQUEST, "a; c"),
        ] {
            add(&mut all, Condition::new(kind, Truth::True, why, message));
        }
        assert_eq!(all.len(), 2);
        let refused = get(&all, REFUSED).unwrap();
        assert_eq!(
            (refused.reason.as_str(), refused.message.as_str()),
            (reason::STALE_GENERATION, "a; c")
        );
    }

    #[test]
    fn only_another_status_is_a_transition() {
        let at = |second| Time(k8s_openapi::jiff::Timestamp::constant(second, 0));
        let mut all = Vec::new();
        let ready = |status, message| Condition::new(READY, status, reason::WAITING, message);
        set(&mut all, ready(Truth::False, "a"), &at(1));
        set(&mut all, ready(Truth::False, "b"), &at(2));
        let now = get(&all, READY).unwrap();
        assert_eq!(
            (now.message.as_str(), &now.last_transition_time),
            ("b", &Some(at(1)))
        );
        set(&mut all, ready(Truth::True, "c"), &at(3));
        assert_eq!(get(&all, READY).unwrap().last_transition_time, Some(at(3)));
        assert_eq!(all.len(), 1);
        assert_eq!(get(&all, ORPHANED), None);
    }
}
