//! A status as several write it: the agent's part is put in, and everything else left as it is. Pure data.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};
use weir_api::condition::{self, Condition};

use super::known::Kind;

/// The longest message that the definitions allow.
const LONGEST_MESSAGE: usize = 4096;

/// The types of conditions that an agent writes on a pool: those that no longer hold are taken away.
const OF_POOLS: [&str; 8] = [
    condition::READY,
    condition::REFUSED,
    condition::ORPHANED,
    condition::ORPHANS,
    condition::DEVICES_PRESENT,
    condition::THIN_POOL_FULL,
    condition::VOLATILE_WRITE_CACHE,
    condition::PORTALS_LISTENING,
];
/// The same on a volume.
const OF_VOLUMES: [&str; 6] = [
    condition::READY,
    condition::EXPORTED,
    condition::OPENED_LOCALLY,
    condition::REFUSED,
    condition::REJECTED,
    condition::ORPHANED,
];

/// The same on a tombstone.
const OF_TOMBSTONES: [&str; 1] = [condition::REMOVED];

/// What an agent has to say in a status.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ours {
    /// Fields; null: is not to be there.
    pub(super) fields: Map<String, Value>,
    /// Conditions, at most one of each type.
    pub(super) conditions: Vec<Condition>,
    /// Types of conditions that are not to be there otherwise.
    pub(super) types: &'static [&'static str],
}

impl Ours {
    /// What a status comes to whose fields are all an agent's, but for `conditions` and those that `left`
    /// names.
    pub(super) fn all(kind: Kind, status: &impl serde::Serialize, left: &[&str]) -> Self {
        let mut fields = match serde_json::to_value(status) {
            Ok(Value::Object(fields)) => fields,
            // A status is an object, and holds nothing that JSON can't.
            _ => Map::new(),
        };
        let conditions = fields.remove("conditions").unwrap_or_default();
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap_or_default();
        let (types, optional): (&'static [&'static str], &[&str]) = match kind {
            // `thin` stays while it is not known: an old figure keeps volumes out of a full pool, and none lets them in.
            Kind::Pool => (&OF_POOLS, &["allocatedBytes"]),
            Kind::Volume => (&OF_VOLUMES, &["devicePath", "target"]),
            Kind::Tombstone => (&OF_TOMBSTONES, &[]),
        };
        for field in optional {
            fields.entry((*field).to_owned()).or_insert(Value::Null);
        }
        if fields.contains_key("orphans") {
            fields
                .entry("orphanVolumes".to_owned())
                .or_insert(Value::Null);
        }
        fields.retain(|field, _| !left.contains(&field.as_str()));
        Ours {
            fields,
            conditions: one_of_each(conditions),
            types,
        }
    }

    /// These conditions alone.
    pub(super) fn conditions(conditions: Vec<Condition>) -> Self {
        Ours {
            fields: Map::new(),
            conditions: one_of_each(conditions),
            types: &[],
        }
    }

    /// What a merge patch has to say for a status to say this too; `None` if it does.
    pub(super) fn patch(&self, there: &Value, now: &Time) -> Option<Map<String, Value>> {
        let mut patch = Map::new();
        for (field, value) in &self.fields {
            if there.get(field).unwrap_or(&Value::Null) != value {
                patch.insert(field.clone(), value.clone());
            }
        }
        let old = there.get("conditions").and_then(Value::as_array);
        let old = old.map_or(&[] as &[Value], Vec::as_slice);
        let new = self.merged(old, now);
        if new != old {
            patch.insert("conditions".to_owned(), new.into());
        }
        (!patch.is_empty()).then_some(patch)
    }

    fn merged(&self, there: &[Value], now: &Time) -> Vec<Value> {
        let is = |value: &Value, kind: &str| value["type"].as_str() == Some(kind);
        let mut merged = Vec::new();
        for old in there {
            let mut ours = self.conditions.iter();
            match ours.find(|new| is(old, &new.kind)) {
                Some(new) => merged.push(said(new, Some(old), now)),
                None if self.types.iter().any(|kind| is(old, kind)) => {}
                None => merged.push(old.clone()),
            }
        }
        for new in &self.conditions {
            if !there.iter().any(|old| is(old, &new.kind)) {
                merged.push(said(new, None, now));
            }
        }
        merged
    }
}

fn one_of_each(conditions: Vec<Condition>) -> Vec<Condition> {
    let mut one: Vec<Condition> = Vec::new();
    for mut condition in conditions {
        // Of two the first says what has to be cleared first.
        if one.iter().any(|other| other.kind == condition.kind) {
            continue;
        }
        if condition.message.chars().count() > LONGEST_MESSAGE {
            condition.message = condition.message.chars().take(LONGEST_MESSAGE).collect();
        }
        one.push(condition);
    }
    one
}

/// A condition with the time of its transition: that of the one it replaces, unless the status differs.
fn said(new: &Condition, old: Option<&Value>, now: &Time) -> Value {
    let mut said = serde_json::to_value(new).unwrap_or_default();
    let same = old.filter(|old| old["status"] == said["status"]);
    let since = same.and_then(|old| old.get("lastTransitionTime")).cloned();
    let now = || serde_json::to_value(now).unwrap_or_default();
    said["lastTransitionTime"] = since.unwrap_or_else(now);
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weir_api::condition::Truth;
    use weir_api::volume::{Phase, VolumeStatus};

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::constant(second, 0))
    }

    fn status(phase: Phase, conditions: Vec<Condition>) -> VolumeStatus {
        VolumeStatus {
            phase,
            conditions,
            ..VolumeStatus::default()
        }
    }

    fn ours(phase: Phase, conditions: Vec<Condition>) -> Ours {
        Ours::all(
            Kind::Volume,
            &status(phase, conditions),
            &["placement", "latency"],
        )
    }

    fn ready(truth: Truth, message: &str) -> Condition {
        Condition::new(condition::READY, truth, "Waiting", message)
    }

    /// As the server applies a merge patch to a status without objects in it.
    fn applied(there: &Value, patch: Map<String, Value>) -> Value {
        let mut fields = there.as_object().cloned().unwrap_or_default();
        fields.extend(patch);
        fields.retain(|_, value| !value.is_null());
        fields.into()
    }

    /// Seen red with: `patch` made to insert every field.
    #[test]
    fn what_is_there_already_is_not_written() {
        let ours = ours(Phase::Ready, vec![ready(Truth::True, "a")]);
        let there = applied(&Value::Null, ours.patch(&Value::Null, &at(1)).unwrap());
        assert_eq!(there["phase"], "Ready");
        assert_eq!(ours.patch(&there, &at(2)), None);
    }

    /// Seen red with: the last arm of `merged`'s match left empty.
    #[test]
    fn what_others_wrote_stays() {
        let there = json!({
            "placement": {"poolName": "p"},
            "devicePath": "/dev/old",
            "conditions": [
                {"type": "Scheduled", "status": "True", "new": 1},
                {"type": "Rejected", "status": "True"},
            ],
        });
        let ours = ours(Phase::Ready, vec![ready(Truth::True, "a")]);
        let there = applied(&there, ours.patch(&there, &at(1)).unwrap());
        assert_eq!(there["placement"]["poolName"], "p");
        assert_eq!(there.get("devicePath"), None);
        let conditions = there["conditions"].as_array().unwrap();
        let types: Vec<&Value> = conditions.iter().map(|one| &one["type"]).collect();
        assert_eq!(types, ["Scheduled", "Ready"]);
        assert_eq!(conditions[0]["new"], 1);
    }

    /// Seen red with: `same` in `said` made `None`.
    #[test]
    fn only_another_status_is_a_transition() {
        let mut there = Value::Null;
        let mut since = Vec::new();
        let rows = [
            (Truth::False, "a", 1),
            (Truth::False, "b", 2),
            (Truth::True, "c", 3),
        ];
        for (truth, message, second) in rows {
            let ours = ours(Phase::Creating, vec![ready(truth, message)]);
            there = applied(&there, ours.patch(&there, &at(second)).unwrap());
            let time = there["conditions"][0]["lastTransitionTime"].clone();
            since.push(serde_json::from_value::<Time>(time).unwrap());
        }
        assert_eq!(since, [at(1), at(1), at(3)]);
    }

    /// Seen red with: `thin` put beside `allocatedBytes` in `Ours::all`.
    #[test]
    fn how_full_a_thin_pool_was_stays_while_its_agent_cannot_tell() {
        let there = json!({
            "allocatedBytes": 1, "thin": {"dataPercent": 95, "metadataPercent": 2},
            "conditions": [{"type": "ThinPoolFull", "status": "True"}],
        });
        let untold = weir_api::pool::PoolStatus::default();
        let ours = Ours::all(Kind::Pool, &untold, &["latency"]);
        let there = applied(&there, ours.patch(&there, &at(1)).unwrap());
        assert_eq!(there["thin"]["dataPercent"], 95);
        assert_eq!(there.get("allocatedBytes"), None);
        assert_eq!(there["conditions"], json!([]));
    }

    #[test]
    fn two_conditions_of_a_type_are_one_and_a_long_message_is_cut() {
        let long = "x".repeat(5000);
        let both = vec![ready(Truth::False, &long), ready(Truth::True, "b")];
        let ours = ours(Phase::Pending, both);
        let patch = ours.patch(&Value::Null, &at(1)).unwrap();
        let conditions = patch["conditions"].as_array().unwrap();
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0]["status"], "False");
        assert_eq!(
            conditions[0]["message"].as_str().unwrap().len(),
            LONGEST_MESSAGE
        );
    }
}
