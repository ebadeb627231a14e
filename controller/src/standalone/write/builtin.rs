//! What a real server has compiled in for the kinds that are its own.

use serde_json::{Value, json};

use super::{name, objectmeta, time};
use crate::standalone::error::Cause;
use crate::standalone::resource::Nature;

/// The label that names a namespace, for selectors.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// Longest texts of an event.
const LONGEST_WORD: usize = 128;
const LONGEST_NOTE: usize = 1024;

/// Times that have to be times, and those that have to have six digits of fraction.
fn times(nature: Nature) -> (&'static [&'static str], &'static [&'static str]) {
    match nature {
        Nature::Lease => (&[], &["/spec/acquireTime", "/spec/renewTime"]),
        Nature::Event => (
            &["/firstTimestamp", "/lastTimestamp"],
            &["/eventTime", "/series/lastObservedTime"],
        ),
        Nature::EventV1 => (
            &["/deprecatedFirstTimestamp", "/deprecatedLastTimestamp"],
            &["/eventTime", "/series/lastObservedTime"],
        ),
        _ => (&[], &[]),
    }
}

/// Reads what has a form of its own; the error is the decoder's.
pub(super) fn decode(nature: Nature, object: &Value) -> Result<(), String> {
    let (seconds, micro) = times(nature);
    let texts = |paths: &[&str]| {
        let found = paths.iter().filter_map(|p| object.pointer(p)?.as_str());
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    texts(seconds)
        .iter()
        .try_for_each(|text| time::parse(text).map(|_| ()))?;
    texts(micro)
        .iter()
        .try_for_each(|text| time::parse_micro(text).map(|_| ()))
}

/// What a new object of this kind begins with.
pub(super) fn begin(nature: Nature, object: &mut Value) {
    if nature == Nature::Namespace {
        label_namespace(object);
        object["spec"] = json!({"finalizers": ["kubernetes"]});
        object["status"] = json!({"phase": "Active"});
    }
}

/// What an update of this kind can't change.
pub(super) fn keep(nature: Nature, object: &mut Value, old: &Value) {
    if nature == Nature::Namespace {
        label_namespace(object);
        // Only the namespace's own controller may let go of it, and there is none.
        objectmeta::copy(object, old, "spec");
    }
}

/// What the deletion of an object of this kind leaves.
pub(super) fn end(nature: Nature, object: &mut Value) {
    if nature == Nature::Namespace {
        objectmeta::unset(object, "deletionGracePeriodSeconds");
        object["status"] = json!({"phase": "Terminating"});
    }
}

fn label_namespace(object: &mut Value) {
    let name = objectmeta::text(object, "name").to_owned();
    if let Some(metadata) = object.get_mut("metadata").filter(|_| !name.is_empty()) {
        metadata["labels"][NAMESPACE_LABEL] = Value::from(name);
    }
}

/// Whether the kind itself holds an object back: a namespace with what is in it.
pub(super) fn may_go(object: &Value) -> bool {
    let is_namespace = object["kind"] == "Namespace" && object["apiVersion"] == "v1";
    let held = object.pointer("/spec/finalizers").and_then(Value::as_array);
    !is_namespace || held.is_none_or(Vec::is_empty)
}

/// The fields that a kind's own rules refuse.
pub(super) fn validate(nature: Nature, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    match nature {
        Nature::Lease => lease(object),
        Nature::Event => event(object, "involvedObject", "message", "reportingComponent"),
        Nature::EventV1 => {
            let mut causes = event(object, "regarding", "note", "reportingController");
            match old {
                None => causes.extend(new_event(object)),
                Some(old) => causes.extend(changed_event(object, old)),
            }
            causes
        }
        _ => Vec::new(),
    }
}

fn lease(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (field, least, why) in [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ] {
        let value = &object["spec"][field];
        if value.as_i64().is_some_and(|n| n < least) {
            causes.push(Cause::invalid(format!("spec.{field}"), value, why));
        }
    }
    causes
}

/// What holds for events of both groups, whose fields have different names.
fn event(object: &Value, about: &str, note: &str, reporter: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let own = objectmeta::text(object, "namespace");
    let of = object[about]["namespace"].as_str().unwrap_or_default();
    let agrees = if of.is_empty() {
        ["", "default"].contains(&own)
    } else {
        of == own
    };
    if !agrees {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid(
            format!("{about}.namespace"),
            &Value::from(of),
            why,
        ));
    }
    // Events of the older form have no time of their own, and less is asked of them.
    if object["eventTime"].is_null() {
        return causes;
    }
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    for field in [reporter, "reportingInstance", "action", "reason"] {
        match text(field) {
            "" => causes.push(Cause::required(field, "")),
            value if field == reporter => {
                let why = name::qualified(value);
                let value = Value::from(value);
                causes.extend(why.iter().map(|w| Cause::invalid(field, &value, w)));
            }
            value if value.len() > LONGEST_WORD => {
                let why = format!("can have at most {LONGEST_WORD} characters");
                causes.push(Cause::invalid(field, &Value::from(""), &why));
            }
            _ => {}
        }
    }
    if text(note).len() > LONGEST_NOTE {
        let why = format!("can have at most {LONGEST_NOTE} characters");
        causes.push(Cause::invalid(note, &Value::from(""), &why));
    }
    causes
}

/// What is asked of a new event in `events.k8s.io`.
fn new_event(object: &Value) -> Vec<Cause> {
    if object["eventTime"].is_null() {
        return vec![Cause::required("eventTime", "")];
    }
    let mut causes = Vec::new();
    let kind = object["type"].as_str().unwrap_or_default();
    if !["Normal", "Warning"].contains(&kind) {
        let why = format!("has invalid value: {kind}");
        causes.push(Cause::invalid("type", &Value::from(""), &why));
    }
    for field in [
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "deprecatedCount",
    ] {
        if !object[field].is_null() && object[field] != 0 {
            causes.push(Cause::invalid(field, &Value::from(""), "needs to be unset"));
        }
    }
    causes
}

/// An event in `events.k8s.io` says what happened: only how often may change.
fn changed_event(object: &Value, old: &Value) -> Vec<Cause> {
    let fixed = [
        "action",
        "eventTime",
        "note",
        "reason",
        "regarding",
        "related",
        "reportingController",
        "reportingInstance",
        "type",
    ];
    let changed = fixed.iter().filter(|field| object[**field] != old[**field]);
    changed
        .map(|field| Cause::invalid(*field, &object[*field], "field is immutable"))
        .collect()
}
