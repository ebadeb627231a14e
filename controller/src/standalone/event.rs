//! Events: one store, two shapes.
//!
//! `events.k8s.io/v1` calls some fields of the core group's events by other names. What is stored
//! is the core shape.

use serde_json::Value;

/// Names in the core group, and in `events.k8s.io`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The event as the core group shows it.
#[must_use]
pub fn to_core(event: &Value) -> Value {
    renamed(event.clone(), "v1", |name| {
        NAMES
            .iter()
            .find(|(_, new)| *new == name)
            .map(|(old, _)| *old)
    })
}

/// The event as `events.k8s.io/v1` shows it.
#[must_use]
pub fn to_events_v1(event: &Value) -> Value {
    renamed(event.clone(), "events.k8s.io/v1", |name| {
        NAMES
            .iter()
            .find(|(old, _)| *old == name)
            .map(|(_, new)| *new)
    })
}

fn renamed(event: Value, version: &str, name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(map) = event else {
        return event;
    };
    let rename = |(key, value): (String, Value)| match (key.as_str(), name(&key)) {
        ("apiVersion", _) => (key, Value::from(version)),
        (_, Some(other)) => (other.to_owned(), value),
        _ => (key, value),
    };
    Value::Object(map.into_iter().map(rename).collect())
}
