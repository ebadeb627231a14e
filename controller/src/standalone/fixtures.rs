//! What tests begin with: the kinds of the recorded server, and a few objects.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::ApiError;
use super::resource::{Resource, built_in};
use super::write::{Accepted, FieldValidation, Part, Writer};

/// The definitions that the recorded server was given.
const DEFINITIONS: &str = include_str!("write/replay-crds.yaml");

/// Every kind that the recorded server and we both serve.
pub(crate) fn resources() -> Vec<Resource> {
    let documents = serde_yaml_ng::Deserializer::from_str(DEFINITIONS);
    let definitions = documents.map(|d| Value::deserialize(d).unwrap());
    let custom = definitions.flat_map(|crd| Resource::of_crd(&crd).unwrap());
    custom.chain(built_in()).collect()
}

/// One of them.
pub(crate) fn resource(group: &str, plural: &str) -> Resource {
    let found = resources()
        .into_iter()
        .find(|r| r.group == group && r.plural == plural);
    found.unwrap_or_else(|| panic!("no {plural} in {group:?}"))
}

/// A kind of its own for a test, with this schema for `spec`.
pub(crate) fn kind_with_spec(spec: Value) -> Resource {
    of_schema(json!({
        "type": "object",
        "properties": {
            "spec": spec,
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }))
}

/// A kind of its own for a test, with this schema.
pub(crate) fn of_schema(schema: Value) -> Resource {
    Resource::of_crd(&definition(schema)).unwrap().remove(0)
}

/// A definition of things with this schema.
pub(crate) fn definition(schema: Value) -> Value {
    json!({
        "metadata": {"name": "things.test.dev"},
        "spec": {
            "group": "test.dev",
            "scope": "Cluster",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// When tests take place.
pub(crate) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

/// The identity that tests give to new objects.
pub(crate) fn uid() -> Uuid {
    Uuid::from_u128(7)
}

/// Writes one kind's objects.
pub(crate) fn writer(resource: &Resource) -> Writer<'_> {
    Writer {
        resource,
        now: now(),
        validation: FieldValidation::Warn,
        field_manager: "test",
        duplicates: &[],
    }
}

/// A body with this `spec`, of the kind, named `a`.
pub(crate) fn body(resource: &Resource, spec: Value) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": {"name": "a"},
        "spec": spec,
    })
}

/// Creates an object, as it is stored at revision 1.
pub(crate) fn created(resource: &Resource, body: Value) -> Value {
    let namespace = resource.namespaced.then_some("default");
    let accepted = writer(resource).create(namespace, body, uid()).unwrap();
    stored(accepted.object, "1")
}

/// An object with the resourceVersion that a store gives it.
pub(crate) fn stored(mut object: Value, version: &str) -> Value {
    object["metadata"]["resourceVersion"] = Value::from(version);
    object
}

/// A PUT of an object under its own name.
pub(crate) fn put(resource: &Resource, old: &Value, body: Value) -> Result<Accepted, ApiError> {
    writer(resource).update(
        old,
        old["metadata"]["name"].as_str().unwrap(),
        body,
        Part::Main,
    )
}
