//! Conditions, events and the placement of a volume, for people.

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use weir_api::condition::{Condition, Truth};
use weir_api::names::ObjectName;
use weir_api::volume::{Filtered, PlacementRecord};

use crate::condition_words;
use crate::elapsed;
use crate::remedy;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionTold {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: Truth,
    pub(super) reason: String,
    pub(super) message: String,
    /// What its type and status say, where this version knows the type.
    pub(super) words: Option<&'static str>,
    pub(super) is_bad: bool,
    pub(super) seconds_ago: Option<u64>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventTold {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) from: String,
    pub(super) seconds_ago: Option<u64>,
}

/// Why the volume is in the pool it is in, or in none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlacementTold {
    pub(super) pool_name: Option<ObjectName>,
    pub(super) seconds_ago: Option<u64>,
    /// The pools that were compared, the best first.
    pub(super) compared: Vec<ObjectName>,
    pub(super) filtered: Vec<FilterTold>,
}

/// What a filter left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterTold {
    pub(super) filter: String,
    pub(super) count: u32,
    pub(super) examples: Vec<ObjectName>,
    /// What to do where these pools should take the volume.
    pub(super) next: String,
}

impl ConditionTold {
    pub(super) fn of(condition: &Condition, now: Timestamp) -> Self {
        let since = condition.last_transition_time.as_ref();
        ConditionTold {
            kind: condition.kind.clone(),
            status: condition.status,
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            words: condition_words::told(condition),
            is_bad: condition_words::is_bad(condition),
            seconds_ago: since.map(|since| elapsed::since(since.0, now).as_secs()),
        }
    }
}

impl EventTold {
    fn of(event: &Event, now: Timestamp) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        EventTold {
            kind: text(&event.type_),
            reason: text(&event.reason),
            message: text(&event.note),
            from: text(&event.reporting_controller),
            seconds_ago: last_seen(event).map(|at| elapsed::since(at, now).as_secs()),
        }
    }

    /// Those about the object with this UID, the newest first. Another one may have had its name before.
    pub(super) fn list(events: &[Event], uid: Option<&str>, now: Timestamp) -> Vec<Self> {
        let is_about = |event: &&Event| {
            let said = event
                .regarding
                .as_ref()
                .and_then(|about| about.uid.as_deref());
            said.is_none() || uid.is_none() || said == uid
        };
        let mut about: Vec<&Event> = events.iter().filter(is_about).collect();
        about.sort_by_key(|event| std::cmp::Reverse(last_seen(event)));
        about
            .into_iter()
            .map(|event| Self::of(event, now))
            .collect()
    }
}

/// Where an event keeps its time depends on who wrote it.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .map(|series| series.last_observed_time.0);
    let old = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    let made = event
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    let at = event.event_time.as_ref().map(|time| time.0);
    series.or(at).or(old).or(made)
}

impl PlacementTold {
    pub(super) fn of(record: &PlacementRecord, now: Timestamp) -> Self {
        let filter = |one: &Filtered| FilterTold {
            filter: one.filter.clone(),
            count: one.count,
            examples: one.examples.clone(),
            next: remedy::of_filter(&one.filter, &one.examples),
        };
        let decided = record.decided_at.as_ref();
        PlacementTold {
            pool_name: record.pool_name.clone(),
            seconds_ago: decided.map(|at| elapsed::since(at.0, now).as_secs()),
            compared: record
                .candidates
                .iter()
                .map(|one| one.pool_name.clone())
                .collect(),
            filtered: record.filtered.iter().map(filter).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(reason: &str, uid: &str, times: Value) -> Event {
        let mut event =
            json!({"metadata": {"name": reason}, "reason": reason, "regarding": {"uid": uid}});
        for (key, value) in times.as_object().unwrap() {
            event[key] = value.clone();
        }
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn events_are_those_of_this_object_and_the_newest_comes_first() {
        let now = "2026-11-27T12:00:00Z".parse().unwrap();
        let at = |minute: u32| format!("2026-11-27T11:{minute:02}:00.000000Z");
        let events = [
            event("Old", "u", json!({"eventTime": at(10)})),
            event("Other", "of another life", json!({"eventTime": at(59)})),
            event(
                "Newest",
                "u",
                json!({"eventTime": at(1), "series": {"count": 2, "lastObservedTime": at(50)}}),
            ),
            event(
                "Core",
                "u",
                json!({"deprecatedLastTimestamp": "2026-11-27T11:30:00Z"}),
            ),
        ];
        let told = EventTold::list(&events, Some("u"), now);
        let short: Vec<_> = told
            .iter()
            .map(|one| (one.reason.as_str(), one.seconds_ago))
            .collect();
        assert_eq!(
            short,
            [
                ("Newest", Some(600)),
                ("Core", Some(1800)),
                ("Old", Some(3000))
            ]
        );
    }
}
