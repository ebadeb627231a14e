//! Kinds that a real server has compiled in.

use serde_json::{Value, json};

use super::definition::described;
use super::{Nature, Resource};
use crate::standalone::schema::{Schema, SchemaError};

/// The kinds that are served besides those of definitions.
///
/// # Panics
/// Never, unless a schema below is wrong: a test builds them all.
#[must_use]
pub fn built_in() -> Vec<Resource> {
    let kinds = [
        namespaces(),
        nodes(),
        events(),
        events_v1(),
        leases(),
        services(),
        pods(),
    ];
    let kinds: Result<Vec<_>, _> = kinds.into_iter().map(Builtin::resource).collect();
    match kinds {
        Ok(kinds) => kinds,
        Err(error) => panic!("a built-in kind's schema can't be compiled: {error}"),
    }
}

/// What differs from one to the next.
struct Builtin {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short_name: Option<&'static str>,
    namespaced: bool,
    has_status: bool,
    nature: Nature,
    selectable: &'static [&'static str],
    schema: Value,
}

impl Builtin {
    fn resource(self) -> Result<Resource, SchemaError> {
        let Builtin {
            group,
            plural,
            kind,
            ..
        } = self;
        let stored_group = if self.nature == Nature::EventV1 {
            ""
        } else {
            group
        };
        Ok(Resource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
            singular: kind.to_lowercase(),
            kind: kind.to_owned(),
            short_names: self.short_name.map(str::to_owned).into_iter().collect(),
            categories: Vec::new(),
            namespaced: self.namespaced,
            has_status: self.has_status,
            has_generation: false,
            is_always_empty: self.nature == Nature::Empty,
            nature: self.nature,
            columns: Vec::new(),
            selectable: self.selectable.iter().map(|s| (*s).to_owned()).collect(),
            schema: Schema::compile(&self.schema)?,
            open_api: described(&self.schema, group, "v1", kind),
            storage: format!("{stored_group}/{plural}"),
        })
    }
}

fn text() -> Value {
    json!({"type": "string"})
}

/// An object of which nothing is known but that it is one.
fn open(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

fn namespaces() -> Builtin {
    Builtin {
        group: "",
        plural: "namespaces",
        kind: "Namespace",
        short_name: Some("ns"),
        namespaced: false,
        has_status: true,
        nature: Nature::Namespace,
        selectable: &["status.phase"],
        schema: json!({
            "type": "object",
            "description": "A scope for names.",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {"finalizers": {"type": "array", "items": text()}},
                },
                "status": open("Whether it is on its way out."),
            },
        }),
    }
}

fn nodes() -> Builtin {
    Builtin {
        group: "",
        plural: "nodes",
        kind: "Node",
        short_name: Some("no"),
        namespaced: false,
        has_status: true,
        nature: Nature::Node,
        selectable: &["spec.unschedulable"],
        schema: json!({
            "type": "object",
            "description": "A machine.",
            "properties": {
                "spec": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {
                        "unschedulable": {"type": "boolean"},
                        "providerID": text(),
                        "taints": {"type": "array", "items": open("A taint.")},
                    },
                },
                "status": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {
                        "addresses": {"type": "array", "items": open("An address.")},
                        "conditions": {"type": "array", "items": open("A condition.")},
                        "nodeInfo": open("The machine and its system."),
                    },
                },
            },
        }),
    }
}

/// What an event is about.
fn reference() -> Value {
    json!({
        "type": "object",
        "description": "A reference to an object.",
        "properties": {
            "apiVersion": text(),
            "fieldPath": text(),
            "kind": text(),
            "name": text(),
            "namespace": text(),
            "resourceVersion": text(),
            "uid": text(),
        },
    })
}

/// An event's schema; the names are those of the core group or those of `events.k8s.io`.
fn event(names: [&str; 7]) -> Value {
    let [about, note, reporter, source, first, last, count] = names;
    let int32 = json!({"type": "integer", "format": "int32"});
    json!({
        "type": "object",
        "description": "Something that happened to an object.",
        "properties": {
            about: reference(),
            note: text(),
            reporter: text(),
            source: {"type": "object", "properties": {"component": text(), "host": text()}},
            first: text(),
            last: text(),
            count: int32,
            "action": text(),
            "eventTime": text(),
            "reason": text(),
            "related": reference(),
            "reportingInstance": text(),
            "series": {
                "type": "object",
                "description": "How often it happened.",
                "properties": {"count": int32, "lastObservedTime": text()},
            },
            "type": text(),
        },
    })
}

/// Both kinds of events are stored in one shape, by whose names they are selected.
const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

fn events() -> Builtin {
    Builtin {
        group: "",
        plural: "events",
        kind: "Event",
        short_name: Some("ev"),
        namespaced: true,
        has_status: false,
        nature: Nature::Event,
        selectable: EVENT_FIELDS,
        schema: event([
            "involvedObject",
            "message",
            "reportingComponent",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
        ]),
    }
}

fn events_v1() -> Builtin {
    Builtin {
        group: "events.k8s.io",
        nature: Nature::EventV1,
        schema: event([
            "regarding",
            "note",
            "reportingController",
            "deprecatedSource",
            "deprecatedFirstTimestamp",
            "deprecatedLastTimestamp",
            "deprecatedCount",
        ]),
        ..events()
    }
}

fn leases() -> Builtin {
    let int32 = json!({"type": "integer", "format": "int32"});
    Builtin {
        group: "coordination.k8s.io",
        plural: "leases",
        kind: "Lease",
        short_name: None,
        namespaced: true,
        has_status: false,
        nature: Nature::Lease,
        selectable: &[],
        schema: json!({
            "type": "object",
            "description": "Who does something for now.",
            "properties": {"spec": {
                "type": "object",
                "properties": {
                    "acquireTime": text(),
                    "holderIdentity": text(),
                    "leaseDurationSeconds": int32,
                    "leaseTransitions": int32,
                    "preferredHolder": text(),
                    "renewTime": text(),
                    "strategy": text(),
                },
            }},
        }),
    }
}

/// For `kubectl cluster-info`, which asks for them.
fn services() -> Builtin {
    empty("services", "Service", "svc")
}

/// For `kubectl describe node`, which asks for them.
fn pods() -> Builtin {
    empty("pods", "Pod", "po")
}

fn empty(plural: &'static str, kind: &'static str, short_name: &'static str) -> Builtin {
    Builtin {
        group: "",
        plural,
        kind,
        short_name: Some(short_name),
        namespaced: true,
        has_status: false,
        nature: Nature::Empty,
        selectable: &["spec.nodeName", "status.phase"],
        schema: open("Not served here: there are none."),
    }
}
