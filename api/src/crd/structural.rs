//! From what the derive macros make of our types to what kube-apiserver takes and people read: structural
//! schemas without `nullable`, Kubernetes' integer formats, descriptions in one line.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value};

use super::rules::rules;

/// The longest name of an object of a kind: it is a label's value and a part of tags. The names of a set's
/// volumes are the set's with a hyphen and up to two digits.
fn longest_name(kind: &str) -> usize {
    if kind == "VolumeSet" { 60 } else { 63 }
}

/// Makes a derived definition fit for an API server.
pub(super) fn finish(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let longest = longest_name(&definition.spec.names.kind);
    for version in &mut definition.spec.versions {
        let Some(validation) = &mut version.schema else {
            continue;
        };
        let mut schema = serde_json::to_value(&validation.open_api_v3_schema).unwrap_or_default();
        tidy(&mut schema);
        let name = format!("size(self.metadata.name) <= {longest}");
        let too_long = format!("metadata.name must have at most {longest} characters");
        let is_label = "!self.metadata.name.contains('.')";
        // No field is named: a rule at the root may not point into metadata.
        schema["x-kubernetes-validations"] = rules(&[
            (&name, &too_long, ""),
            (
                is_label,
                "metadata.name must be a DNS label, without dots",
                "",
            ),
        ]);
        // What is not a schema any more would be missing from the definition: tests see that.
        validation.open_api_v3_schema = serde_json::from_value(schema).unwrap_or_default();
    }
    definition
}

fn tidy(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        return;
    };
    fields.remove("title");
    // An optional field is left out; `null` is no value of its own, and a server drops it.
    fields.remove("nullable");
    if let Some(Value::String(format)) = fields.get_mut("format") {
        match format.as_str() {
            "uint8" | "uint16" => "int32".clone_into(format),
            "uint32" | "uint64" | "uint" => "int64".clone_into(format),
            _ => {}
        }
    }
    if let Some(Value::String(text)) = fields.get_mut("description") {
        *text = one_line(text);
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name) {
            tidy(inner);
        }
    }
}

/// Lines of a doc comment belong together, paragraphs don't.
fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The same value, with keys in the order of the alphabet, and whole numbers as such: bounds are
/// floating-point numbers in the definition's Rust type.
pub(super) fn in_order(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(k, v)| (k, in_order(v))).collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                serde_json::from_str(&format!("{float:.0}")).unwrap_or(Value::Number(number))
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}
