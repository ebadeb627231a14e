//! Every schema is one that kube-apiserver takes as structural, bounds what rules work on, and is
//! explained; every path that columns and selectors name leads somewhere.

use serde_json::Value;

use super::values::with;
use super::{definition, schema};

const KINDS: [&str; 6] = [
    "StoragePool",
    "Volume",
    "Snapshot",
    "VolumeSet",
    "VolumeMigration",
    "Tombstone",
];

/// All that stands in our schemas: nothing that a structural schema may not have (`$ref`, `anyOf` with
/// types, `additionalProperties: false`), and no `nullable` or `x-kubernetes-preserve-unknown-fields`.
const KEYWORDS: [&str; 21] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];

/// Calls `see` with every schema in a schema, its path, and whether an old value can be found for it.
fn walk(schema: &Value, path: &str, has_old: bool, see: &mut dyn FnMut(&str, &Value, bool)) {
    see(path, schema, has_old);
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            walk(inner, &format!("{path}.{name}"), has_old, see);
        }
    }
    let has_old = has_old && schema["x-kubernetes-list-type"] == "map";
    for (name, mark) in [("items", "[*]"), ("additionalProperties", ".*")] {
        if schema[name].is_object() {
            walk(&schema[name], &format!("{path}{mark}"), has_old, see);
        }
    }
}

/// What is wrong with a schema.
fn complaints(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, "", true, &mut |path, schema, has_old| {
        let fields = schema.as_object().unwrap();
        let mut say = |what: String| found.push(format!("{path}: {what}"));
        for keyword in fields
            .keys()
            .filter(|key| !KEYWORDS.contains(&key.as_str()))
        {
            say(format!("has `{keyword}`"));
        }
        let is_named = !path.ends_with(']') && !path.ends_with('*');
        match schema["description"].as_str() {
            None if is_named => say("is not explained".to_owned()),
            Some(text) if text.contains("crate::") || text.contains("[`") => {
                say(format!("says `{text}`"))
            }
            _ => {}
        }
        match schema["type"].as_str() {
            Some("object") => {
                let (has, maps) = (
                    schema["properties"].is_object(),
                    schema["additionalProperties"].is_object(),
                );
                if has == maps {
                    say("has neither or both of properties and additionalProperties".to_owned());
                }
                if maps && schema["maxProperties"].is_null() {
                    say("has no maxProperties".to_owned());
                }
                for name in schema["required"].as_array().into_iter().flatten() {
                    let field = &schema["properties"][name.as_str().unwrap()];
                    if field.is_null() || field.get("default").is_some() {
                        say(format!(
                            "requires {name}, which is not there or has a default"
                        ));
                    }
                }
            }
            Some("array") => {
                if !schema["items"].is_object() || schema["maxItems"].is_null() {
                    say("has no items or no maxItems".to_owned());
                }
                for key in schema["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    let required = schema["items"]["required"].as_array();
                    if !required.is_some_and(|required| required.contains(key)) {
                        say(format!("has the key {key}, which its items need not have"));
                    }
                }
                let of = schema["items"]["type"].as_str();
                if schema["x-kubernetes-list-type"] == "set" && of != Some("string") {
                    say("is a set of what is no string".to_owned());
                }
            }
            Some("string") => {
                let bounded = ["maxLength", "enum"]
                    .iter()
                    .any(|key| fields.contains_key(*key));
                if !bounded && schema["format"] != "date-time" {
                    say("has no maxLength".to_owned());
                }
                let enumerated = schema["enum"].as_array().into_iter().flatten();
                if enumerated.clone().any(|value| !value.is_string()) {
                    say("has another value than text in its enum".to_owned());
                }
            }
            Some("integer") => {
                if !["int32", "int64"].contains(&schema["format"].as_str().unwrap_or_default()) {
                    say("has no Kubernetes format".to_owned());
                }
            }
            Some("boolean") => {}
            other => say(format!("has the type {other:?}")),
        }
        if let Some(default) = fields.get("default") {
            let valid = jsonschema::is_valid(schema, default);
            if !valid {
                say(format!(
                    "has the default {default}, which it does not allow"
                ));
            }
        }
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = rule["rule"].as_str().unwrap();
            if text.contains("oldSelf") && !has_old {
                say(format!(
                    "has a rule about changes where there is no old value: {text}"
                ));
            }
            if let Some(field) = rule["fieldPath"].as_str()
                && find(schema, field).is_none()
            {
                say(format!("has a rule about {field}, which is not there"));
            }
        }
    });
    found
}

/// The schema that a path leads to: `.a.b[*].c`, or an entry of a list by the value of a field.
fn find<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    let path = path
        .replace("[?(@.type==\"Ready\")]", "[*]")
        .replace("[?(@.type==\"Removed\")]", "[*]");
    path.split('.').skip(1).try_fold(schema, |at, step| {
        let (name, item) = step
            .strip_suffix("[*]")
            .map_or((step, false), |name| (name, true));
        let inner = at["properties"].get(name)?;
        if item {
            inner.get("items")
        } else {
            Some(inner)
        }
    })
}

#[test]
fn every_schema_is_structural_bounded_and_explained() {
    for kind in KINDS {
        let schema = schema(kind);
        assert_eq!(complaints(&schema), Vec::<String>::new(), "{kind}");
        assert_eq!(schema["required"], serde_json::json!(["spec"]), "{kind}");
        assert!(schema["properties"]["status"].is_object(), "{kind}");
    }
}

/// The checks above are checks.
#[test]
fn a_schema_that_is_not_structural_is_seen() {
    let good = schema("Volume");
    let broken = |pointer: &str, key: &str, value: Value| {
        complaints(&with(good.clone(), &format!("{pointer}/{key}"), value)).len()
    };
    let spec = "/properties/spec/properties";
    let field = |name: &str| format!("{spec}/{name}");
    assert_eq!(broken(&field("engine"), "default", "zfs".into()), 1);
    assert_eq!(broken(&field("engine"), "nullable", true.into()), 1);
    assert_eq!(
        broken(&field("engine"), "anyOf", serde_json::json!([{}])),
        1
    );
    assert_eq!(broken(&field("engine"), "type", Value::Null), 1);
    assert_eq!(
        broken(&field("capacityBytes"), "format", "uint64".into()),
        1
    );
    assert_eq!(broken(&field("attachments"), "maxItems", Value::Null), 1);
    assert_eq!(
        broken(
            &field("attachments"),
            "x-kubernetes-list-type",
            "atomic".into()
        ),
        2
    );
    assert_eq!(broken(&field("id"), "maxLength", Value::Null), 1);
    assert_eq!(broken(&field("placement"), "properties", Value::Null), 1);
    let rule = serde_json::json!([{"rule": "self == self", "fieldPath": ".nowhere"}]);
    assert_eq!(
        broken("/properties/spec", "x-kubernetes-validations", rule),
        1
    );
}

#[test]
fn columns_and_selectors_lead_to_a_field_of_their_type() {
    for kind in KINDS {
        let schema = schema(kind);
        let version = &definition(kind)["spec"]["versions"][0];
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        for column in columns {
            let path = column["jsonPath"].as_str().unwrap();
            if path == ".metadata.creationTimestamp" {
                continue;
            }
            let field = find(&schema, path).unwrap_or_else(|| panic!("{kind}: {path}"));
            let of = match column["type"].as_str().unwrap() {
                "date" => "string",
                other => other,
            };
            assert_eq!(field["type"], of, "{kind}: {path}");
        }
        let wide = |column: &&Value| column["priority"] != 1;
        assert!(
            columns.iter().filter(wide).count() <= 7,
            "{kind}: too wide for a terminal"
        );
        let selectable = version["selectableFields"].as_array().unwrap();
        assert!(selectable.len() <= 8, "{kind}");
        for selectable in selectable {
            let path = selectable["jsonPath"].as_str().unwrap();
            let field = find(&schema, path).unwrap_or_else(|| panic!("{kind}: {path}"));
            assert!(["string", "boolean", "integer"].contains(&field["type"].as_str().unwrap()));
        }
    }
}
