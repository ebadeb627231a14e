//! Tests of writes: what is accepted, and what becomes of it.

mod hostile;
mod properties;

use serde_json::{Value, json};

use super::{Change, DeleteOptions, Deletion, FieldValidation, Part, Writer};
use crate::standalone::fixtures::{
    body, created, kind_with_spec, of_schema, put, resource, stored, uid, writer,
};
use crate::standalone::patch::Patch;
use crate::standalone::resource::Resource;

fn volumes() -> Resource {
    resource("weir.dev", "volumes")
}

fn volume() -> Value {
    json!({"poolName": "pool-a", "nodeName": "node1", "sizeBytes": 10_485_760})
}

fn merge(resource: &Resource, old: &Value, patch: Value, part: Part) -> super::Accepted {
    writer(resource)
        .patch(old, &Patch::Merge(patch), part)
        .unwrap()
}

#[test]
fn a_new_object_gets_the_servers_fields_and_defaults() {
    let kind = volumes();
    let mut body = body(&kind, volume());
    body["status"] = json!({"phase": "Ready"});
    body["metadata"]["uid"] = json!("mine");
    body["metadata"]["generation"] = json!(42);
    body["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    body["metadata"]["deletionTimestamp"] = json!("2001-01-01T00:00:00Z");
    body["metadata"]["managedFields"] = json!([{"manager": "me"}]);
    body["metadata"]["labels"] = json!({});
    let accepted = writer(&kind).create(None, body, uid()).unwrap();
    assert_eq!(accepted.change, Change::Written);
    assert_eq!(
        accepted.object,
        json!({
            "apiVersion": "weir.dev/v1alpha1",
            "kind": "Volume",
            "metadata": {
                "name": "a",
                "uid": uid().to_string(),
                "generation": 1,
                "creationTimestamp": "2026-11-22T10:00:00Z",
            },
            "spec": {
                "poolName": "pool-a", "nodeName": "node1", "sizeBytes": 10_485_760,
                "replicas": 1, "fsType": "ext4",
            },
        })
    );
}

#[test]
fn names_are_generated_within_63_characters() {
    let kind = volumes();
    for (prefix, kept) in [
        ("gen-", "gen-".to_owned()),
        (&"x".repeat(100), "x".repeat(58)),
    ] {
        let mut body = body(&kind, volume());
        body["metadata"] = json!({"generateName": prefix});
        let object = writer(&kind).create(None, body, uid()).unwrap().object;
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(
            name.starts_with(&kept) && name.len() == kept.len() + 5,
            "{name}"
        );
        assert_eq!(object["metadata"]["generateName"], prefix);
    }
}

#[test]
fn generation_counts_changes_of_what_is_asked_for() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    let rows = [
        (
            json!({"spec": {"sizeBytes": 20_971_520}}),
            Part::Main,
            2,
            Change::Written,
        ),
        (
            json!({"metadata": {"labels": {"a": "b"}}}),
            Part::Main,
            1,
            Change::Written,
        ),
        (
            json!({"status": {"phase": "Ready"}}),
            Part::Status,
            1,
            Change::Written,
        ),
        (
            json!({"status": {"phase": "Ready"}}),
            Part::Main,
            1,
            Change::Unchanged,
        ),
        (
            json!({"spec": {"sizeBytes": 20_971_520}}),
            Part::Status,
            1,
            Change::Unchanged,
        ),
        (
            json!({"metadata": {"labels": {"a": "b"}}}),
            Part::Status,
            1,
            Change::Unchanged,
        ),
        (
            json!({"spec": {"replicas": null}}),
            Part::Main,
            1,
            Change::Unchanged,
        ),
        (
            json!({"spec": {"sizeBytes": 10_485_760.0}}),
            Part::Main,
            1,
            Change::Unchanged,
        ),
        (
            json!({"metadata": {"managedFields": [{}]}}),
            Part::Main,
            1,
            Change::Unchanged,
        ),
        (
            json!({"metadata": {"resourceVersion": "1"}}),
            Part::Main,
            1,
            Change::Unchanged,
        ),
        (
            json!({"metadata": {"generation": 9}}),
            Part::Main,
            1,
            Change::Unchanged,
        ),
        (json!({}), Part::Main, 1, Change::Unchanged),
    ];
    for (patch, part, generation, change) in rows {
        let accepted = merge(&kind, &old, patch.clone(), part);
        assert_eq!(
            accepted.object["metadata"]["generation"], generation,
            "{patch}"
        );
        assert_eq!(accepted.change, change, "{patch}");
    }
}

#[test]
fn without_a_status_subresource_the_status_is_content() {
    let mut kind = kind_with_spec(json!({"type": "object"}));
    kind.has_status = false;
    let mut new = body(&kind, json!({}));
    new["status"] = json!({"phase": "A"});
    let old = created(&kind, new);
    assert_eq!(old["status"]["phase"], "A");
    let accepted = merge(&kind, &old, json!({"status": {"phase": "B"}}), Part::Main);
    assert_eq!(accepted.object["metadata"]["generation"], 2);
}

#[test]
fn a_status_write_changes_the_status_alone() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    let patch = json!({
        "metadata": {"labels": {"x": "y"}, "finalizers": ["a"]},
        "spec": {"sizeBytes": 99_999_999},
        "status": {"phase": "Ready"},
    });
    let object = merge(&kind, &old, patch, Part::Status).object;
    let mut expected = old.clone();
    expected["status"] = json!({"phase": "Ready"});
    assert_eq!(stored(object, "1"), expected);
}

#[test]
fn an_object_with_finalizers_goes_with_the_last_of_them() {
    let kind = volumes();
    let mut new = body(&kind, volume());
    new["metadata"]["finalizers"] = json!(["weir.dev/x", "weir.dev/y"]);
    let old = created(&kind, new);
    let writer = writer(&kind);
    let options = DeleteOptions::default();
    let Ok(Deletion::Marked(marked)) = writer.delete(&old, &options) else {
        panic!("not marked");
    };
    assert_eq!(
        marked["metadata"]["deletionTimestamp"],
        "2026-11-22T10:00:00Z"
    );
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(marked["metadata"]["generation"], 2);
    let marked = stored(marked, "2");
    assert_eq!(
        writer.delete(&marked, &options),
        Ok(Deletion::AlreadyMarked)
    );
    // Others may still write, and can't take the mark away.
    let patch = json!({"metadata": {"deletionTimestamp": null, "labels": {"a": "b"}}});
    let labelled = merge(&kind, &marked, patch, Part::Main);
    assert_eq!(labelled.change, Change::Written);
    assert_eq!(
        labelled.object["metadata"]["deletionTimestamp"],
        "2026-11-22T10:00:00Z"
    );
    let one = merge(
        &kind,
        &marked,
        json!({"metadata": {"finalizers": ["weir.dev/y"]}}),
        Part::Main,
    );
    assert_eq!(one.change, Change::Written);
    let one = stored(one.object, "3");
    let none = merge(
        &kind,
        &one,
        json!({"metadata": {"finalizers": null}}),
        Part::Main,
    );
    assert_eq!(none.change, Change::Removed);
    assert_eq!(
        none.object["metadata"]["deletionTimestamp"],
        "2026-11-22T10:00:00Z"
    );
}

#[test]
fn without_finalizers_a_deletion_removes_at_once() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    for policy in ["Foreground", "Background", "Orphan"] {
        let options = DeleteOptions::from_value(&json!({"propagationPolicy": policy})).unwrap();
        assert_eq!(writer(&kind).delete(&old, &options), Ok(Deletion::Removed));
    }
}

#[test]
fn json_patches_are_those_that_clients_send() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    let patch = |operations: Value| {
        let bytes = operations.to_string();
        let patch = Patch::parse("application/json-patch+json", bytes.as_bytes())?;
        writer(&kind).patch(&old, &patch, Part::Main)
    };
    // As `kube` adds the first finalizer.
    let accepted = patch(json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["weir.dev/x"]},
    ]))
    .unwrap();
    assert_eq!(
        accepted.object["metadata"]["finalizers"],
        json!(["weir.dev/x"])
    );
    let accepted = patch(json!([
        {"op": "add", "path": "/spec/tags", "value": ["a"]},
        {"op": "add", "path": "/spec/tags/-", "value": "b"},
        {"op": "add", "path": "/spec/tags/0", "value": "c"},
        {"op": "remove", "path": "/spec/tags/1"},
        {"op": "copy", "from": "/spec/tags/0", "path": "/metadata/annotations"},
        {"op": "replace", "path": "/metadata/annotations", "value": {"x": "y"}},
        {"op": "move", "from": "/metadata/annotations/x", "path": "/metadata/annotations/z~1w"},
        {"op": "replace", "path": "/metadata/managedFields", "value": []},
    ]))
    .unwrap();
    assert_eq!(accepted.object["spec"]["tags"], json!(["c", "b"]));
    assert_eq!(
        accepted.object["metadata"]["annotations"],
        json!({"z/w": "y"})
    );
    for refused in [
        json!([{"op": "test", "path": "/spec/tags", "value": []}]),
        json!([{"op": "test", "path": "/spec/sizeBytes", "value": null}]),
        json!([{"op": "remove", "path": "/spec/tags"}]),
        json!([{"op": "replace", "path": "/spec/tags", "value": []}]),
        json!([{"op": "add", "path": "/status/phase", "value": "x"}]),
        json!([{"op": "add", "path": "/spec/tags/-", "value": "x"}]),
    ] {
        let error = patch(refused.clone()).unwrap_err();
        assert_eq!(
            (error.code, error.reason),
            (422, Some("Invalid")),
            "{refused}"
        );
    }
}

#[test]
fn strictness_is_the_clients_choice() {
    let kind = volumes();
    let mut new = body(&kind, volume());
    new["spec"]["bogus"] = json!(1);
    new["metadata"]["foo"] = json!("bar");
    new["zzz"] = json!({"a": 1});
    let duplicates = ["spec.sizeBytes".to_owned()];
    let with = |validation| Writer {
        validation,
        duplicates: &duplicates,
        ..writer(&kind)
    };
    let strict = with(FieldValidation::Strict)
        .create(None, new.clone(), uid())
        .unwrap_err();
    assert_eq!(strict.code, 400);
    assert_eq!(
        strict.message,
        "Volume in version \"v1alpha1\" cannot be handled as a Volume: strict decoding error: \
         duplicate field \"spec.sizeBytes\", unknown field \"metadata.foo\", unknown field \
         \"spec.bogus\", unknown field \"zzz\""
    );
    let warned = with(FieldValidation::Warn)
        .create(None, new.clone(), uid())
        .unwrap();
    assert_eq!(warned.warnings.len(), 4);
    assert_eq!(warned.warnings[2], "unknown field \"spec.bogus\"");
    assert!(warned.object["spec"].get("bogus").is_none() && warned.object.get("zzz").is_none());
    let ignored = with(FieldValidation::Ignore)
        .create(None, new, uid())
        .unwrap();
    assert_eq!(
        (ignored.object, ignored.warnings),
        (warned.object, Vec::new())
    );
    // In a patch it is another code.
    let old = created(&kind, body(&kind, volume()));
    let patch = Patch::Merge(json!({"spec": {"bogus": 9}}));
    let writer = Writer {
        validation: FieldValidation::Strict,
        ..writer(&kind)
    };
    let error = writer.patch(&old, &patch, Part::Main).unwrap_err();
    assert_eq!(
        (error.code, error.causes()[0].field.as_str()),
        (422, "patch")
    );
    assert!(
        error.causes()[0]
            .message
            .contains("unknown field \\\"spec.bogus\\\"")
            || error.causes()[0]
                .message
                .contains("unknown field \"spec.bogus\"")
    );
}

#[test]
fn defaults_are_filled_in_at_every_depth_and_on_every_write() {
    let kind = kind_with_spec(json!({
        "type": "object",
        "default": {},
        "properties": {
            "inner": {
                "type": "object",
                "default": {},
                "properties": {"mode": {"type": "string", "default": "auto"}},
            },
            "list": {"type": "array", "items": {
                "type": "object",
                "properties": {"n": {"type": "integer", "default": 3}},
            }},
            "map": {"type": "object", "additionalProperties": {
                "type": "object",
                "properties": {"n": {"type": "integer", "default": 4}},
            }},
            "maybe": {"type": "string", "nullable": true, "default": "x"},
            "plain": {"type": "string"},
        },
    }));
    let mut new = body(&kind, json!(null));
    let old = created(&kind, new.clone());
    assert_eq!(
        old["spec"],
        json!({"inner": {"mode": "auto"}, "maybe": "x"})
    );
    new["spec"] = json!({
        "inner": {"mode": null, "gone": 1}, "list": [{}, {"n": 1}],
        "map": {"a": {}, "b": null}, "maybe": null, "plain": null,
    });
    new["metadata"]["resourceVersion"] = json!("1");
    let object = put(&kind, &old, new).unwrap().object;
    assert_eq!(
        object["spec"],
        json!({
            "inner": {"mode": "auto"}, "list": [{"n": 3}, {"n": 1}],
            "map": {"a": {"n": 4}}, "maybe": null,
        })
    );
}

#[test]
fn unknown_fields_stay_where_the_schema_says_so() {
    let kind = kind_with_spec(json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "known": {"type": "object", "properties": {"a": {"type": "string"}}},
            "port": {"x-kubernetes-int-or-string": true},
        },
    }));
    for port in [json!(80), json!("http")] {
        let spec = json!({"free": {"x": [1, null]}, "known": {"a": "b", "c": "d"}, "port": port});
        let object = created(&kind, body(&kind, spec));
        let kept = json!({"free": {"x": [1, null]}, "known": {"a": "b"}, "port": port});
        assert_eq!(object["spec"], kept);
    }
    let error = writer(&kind)
        .create(None, body(&kind, json!({"port": true})), uid())
        .unwrap_err();
    assert_eq!(error.causes()[0].field, "spec.port");
}

#[test]
fn every_cause_is_named_and_in_one_order() {
    let kind = volumes();
    let spec = json!({
        "poolName": "Pool A", "sizeBytes": 5, "replicas": 9, "fsType": "ntfs", "tags": ["a", "a"],
    });
    let error = writer(&kind)
        .create(None, body(&kind, spec), uid())
        .unwrap_err();
    let fields: Vec<_> = error.causes().iter().map(|c| c.field.as_str()).collect();
    let expected = [
        "spec.fsType",
        "spec.poolName",
        "spec.replicas",
        "spec.sizeBytes",
        "spec.tags[1]",
    ];
    assert_eq!(fields, expected);
    assert!(
        error
            .message
            .starts_with("Volume.weir.dev \"a\" is invalid: [spec.fsType: Unsupported")
    );
}

#[test]
fn rules_see_the_object_before_where_it_can_be_told() {
    let kind = of_schema(json!({
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "size(self.metadata.name) <= 5", "message": "the name is too long"},
            {"rule": "!has(self.spec.a) || self.spec.a != self.kind", "message": "no kind here",
             "fieldPath": ".spec.a", "reason": "FieldValueForbidden"},
        ],
        "properties": {"spec": {
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "share": {"type": "number", "x-kubernetes-validations": [
                    {"rule": "self * 2.0 <= 1.0"}]},
                "items": {
                    "type": "array",
                    "maxItems": 8,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "x-kubernetes-validations": [
                        {"rule": "self.all(x, self.exists_one(y, x.name == y.name))"}],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "size": {"type": "integer", "x-kubernetes-validations": [
                                {"rule": "self >= oldSelf", "message": "may not shrink"}]},
                            "namespace": {"type": "string"},
                        },
                        "x-kubernetes-validations": [
                            {"rule": "!has(self.__namespace__) || self.__namespace__ != 'x'"}],
                    },
                },
                "limits": {
                    "type": "object",
                    "additionalProperties": {"type": "integer", "x-kubernetes-validations": [
                        {"rule": "self > 0", "message": "has to be positive"}]},
                },
            },
        }},
    }));
    let old = created(
        &kind,
        body(&kind, json!({"items": [{"name": "p", "size": 5}]})),
    );
    let rows = [
        (
            json!({"items": [{"name": "q", "size": 1}, {"name": "p", "size": 5}]}),
            "",
        ),
        (
            json!({"items": [{"name": "q", "size": 1}, {"name": "p", "size": 4}]}),
            "spec.items[1].size: Invalid value: 4: may not shrink",
        ),
        (
            json!({"items": [{"name": "p", "namespace": "x"}]}),
            "spec.items[0]: Invalid value: failed rule: !has(self.__namespace__) || \
          self.__namespace__ != 'x'",
        ),
        (json!({"a": "Thing"}), "spec.a: Forbidden: no kind here"),
        (json!({"share": 0.5}), ""),
        (
            json!({"share": 1}),
            "spec.share: Invalid value: 1: failed rule: self * 2.0 <= 1.0",
        ),
        (
            json!({"limits": {"x": 1, "y.z": 0}}),
            "spec.limits[y.z]: Invalid value: 0: has to be positive",
        ),
    ];
    for (spec, expected) in rows {
        let mut new = body(&kind, spec.clone());
        new["metadata"]["resourceVersion"] = json!("1");
        let why = match put(&kind, &old, new) {
            Ok(_) => String::new(),
            Err(e) => e
                .causes()
                .iter()
                .map(|c| format!("{}: {}", c.field, c.message))
                .collect(),
        };
        assert_eq!(why, expected, "{spec}");
    }
    let mut long = body(&kind, json!({}));
    long["metadata"]["name"] = json!("too-long");
    let error = writer(&kind).create(None, long, uid()).unwrap_err();
    assert_eq!(error.causes()[0].field, "<nil>");
}

#[test]
fn a_rule_that_fails_to_evaluate_refuses() {
    let kind = kind_with_spec(json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "10 / self.a > self.b", "message": "m"}],
    }));
    for spec in [json!({"a": 0, "b": 1}), json!({"a": 1}), json!({})] {
        let error = writer(&kind)
            .create(None, body(&kind, spec.clone()), uid())
            .unwrap_err();
        assert_eq!(error.causes()[0].field, "spec", "{spec}");
        assert!(
            error.message.contains("rule evaluation error"),
            "{}",
            error.message
        );
    }
}

#[test]
fn a_stricter_definition_leaves_what_is_there_writable() {
    let loose = kind_with_spec(json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    }));
    let strict = kind_with_spec(json!({
        "type": "object",
        "properties": {
            "a": {"type": "integer", "maximum": 3},
            "b": {"type": "string"},
            "mode": {"type": "string", "default": "auto"},
        },
        "x-kubernetes-validations": [
            {"rule": "self.mode == oldSelf.mode", "message": "mode is immutable"},
            {"rule": "self.a < 3", "message": "too much"},
        ],
    }));
    let mut new = body(&loose, json!({"a": 5}));
    new["metadata"]["finalizers"] = json!(["weir.dev/x"]);
    let old = created(&loose, new);
    for (patch, part) in [
        (json!({"metadata": {"finalizers": null}}), Part::Main),
        (json!({"status": {"phase": "x"}}), Part::Status),
    ] {
        merge(&strict, &old, patch, part);
    }
    let patch = Patch::Merge(json!({"spec": {"b": "x"}}));
    let error = writer(&strict).patch(&old, &patch, Part::Main).unwrap_err();
    let fields: Vec<_> = error.causes().iter().map(|c| c.field.as_str()).collect();
    assert_eq!(fields, ["spec.a", "spec"]);
    let patch = Patch::Merge(json!({"spec": {"a": 2, "mode": "manual"}}));
    let error = writer(&strict).patch(&old, &patch, Part::Main).unwrap_err();
    assert!(
        error.message.contains("mode is immutable"),
        "{}",
        error.message
    );
}
