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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{to_core, to_events_v1};
    use crate::standalone::fixtures::{created, resource, writer};
    use crate::standalone::patch::Patch;
    use crate::standalone::write::{Change, Part};

    /// As `kube`'s recorder sends it.
    fn event() -> Value {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "action": "Provision",
            "eventTime": "2026-11-22T09:15:49.092321Z", "metadata": {"name": "w3.18ea"},
            "note": "volume provisioned", "reason": "Provisioned",
            "regarding": {"apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "name": "w3"},
            "reportingController": "weir-controller", "reportingInstance": "ctl-0",
            "type": "Normal",
        })
    }

    #[test]
    fn an_event_is_the_same_in_both_shapes() {
        let core = to_core(&event());
        assert_eq!(core["apiVersion"], "v1");
        assert_eq!(core["involvedObject"]["name"], "w3");
        assert_eq!(core["message"], "volume provisioned");
        assert_eq!(core["reportingComponent"], "weir-controller");
        assert!(core.get("note").is_none());
        assert_eq!(to_events_v1(&core), event());
        assert_eq!(to_core(&json!("x")), "x");
    }

    #[test]
    fn the_same_event_again_is_a_merge_patch_with_a_series() {
        let kind = resource("events.k8s.io", "events");
        let old = created(&kind, event());
        assert_eq!(old["involvedObject"]["kind"], "Volume");
        assert_eq!(old["metadata"]["namespace"], "default");
        let mut again = event();
        again["series"] = json!({"count": 2, "lastObservedTime": "2026-11-22T09:15:50.000001Z"});
        let patch = Patch::Merge(again.clone());
        let accepted = writer(&kind).patch(&old, &patch, Part::Main).unwrap();
        assert_eq!(accepted.change, Change::Written);
        assert_eq!(accepted.object["series"]["count"], 2);
        assert_eq!(accepted.object["apiVersion"], "v1");
        again["reason"] = json!("Other");
        let error = writer(&kind)
            .patch(&old, &Patch::Merge(again), Part::Main)
            .unwrap_err();
        assert_eq!(
            (error.code, error.causes()[0].field.as_str()),
            (422, "reason")
        );
    }
}
