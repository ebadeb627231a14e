//! The same schema as the `jsonschema` crate understands it.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value, json};

use super::SchemaError;

/// Keywords that mean the same in both, and hold no schemas.
const PLAIN: [&str; 13] = [
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minProperties",
    "multipleOf",
    "pattern",
    "required",
    "uniqueItems",
    "minimum",
    "maximum",
    "const",
];

/// String formats that a real server checks, and that the crate reads the same way.
const FORMATS: [&str; 6] = ["date-time", "date", "uuid", "ipv4", "ipv6", "email"];

/// Compiles the validator. Patterns are matched in linear time: what they are matched with comes
/// from outside.
pub(super) fn validator(open_api: &Value) -> Result<Validator, SchemaError> {
    let mut schema = convert(open_api);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("metadata".to_owned(), json!({"type": "object"}));
    }
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|e| SchemaError::Validator(format!("{}: {e}", e.schema_path())))
}

fn convert(schema: &Value) -> Value {
    let Some(map) = schema.as_object() else {
        return schema.clone();
    };
    let mut out = Map::new();
    let nullable = map.get("nullable") == Some(&Value::Bool(true));
    types(map, nullable, &mut out);
    for key in PLAIN {
        if let Some(value) = map.get(key) {
            out.insert(key.to_owned(), value.clone());
        }
    }
    for (bound, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        match map.get(exclusive) {
            // OpenAPI 3.0 says whether, the newer drafts say how much.
            Some(Value::Bool(true)) => {
                if let Some(limit) = out.remove(bound) {
                    out.insert(exclusive.to_owned(), limit);
                }
            }
            Some(limit @ Value::Number(_)) => {
                out.insert(exclusive.to_owned(), limit.clone());
            }
            _ => {}
        }
    }
    if let Some(Value::Array(values)) = map.get("enum") {
        let mut values = values.clone();
        if nullable && !values.contains(&Value::Null) {
            values.push(Value::Null);
        }
        out.insert("enum".to_owned(), Value::Array(values));
    }
    if let Some(format) = map.get("format").and_then(Value::as_str)
        && FORMATS.contains(&format)
    {
        out.insert("format".to_owned(), Value::from(format));
    }
    if let Some(Value::Object(properties)) = map.get("properties") {
        let properties = properties
            .iter()
            .map(|(k, v)| (k.clone(), convert(v)))
            .collect();
        out.insert("properties".to_owned(), Value::Object(properties));
    }
    for key in ["items", "not", "additionalProperties"] {
        if let Some(schema @ Value::Object(_)) = map.get(key) {
            out.insert(key.to_owned(), convert(schema));
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        if let Some(Value::Array(schemas)) = map.get(key) {
            out.insert(key.to_owned(), schemas.iter().map(convert).collect());
        }
    }
    Value::Object(out)
}

fn types(map: &Map<String, Value>, nullable: bool, out: &mut Map<String, Value>) {
    let mut types: Vec<Value> = Vec::new();
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        types.extend(["integer".into(), "string".into()]);
    } else if let Some(name) = map.get("type") {
        types.push(name.clone());
    }
    if types.is_empty() {
        return;
    }
    if nullable {
        types.push("null".into());
    }
    out.insert("type".to_owned(), Value::Array(types));
}
