//! Which fields a schema refuses, in a real server's words.

use std::collections::BTreeSet;

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::{ListType, Node, NodeType, Path};
use crate::standalone::error::{Cause, CauseReason};

/// More causes than this help nobody.
const MOST_CAUSES: usize = 100;

/// The validator gathers all errors before it returns any: in an object with more values than this
/// only the first is looked for, so that a body of a few megabytes can't cost hundreds.
const MOST_VALUES: usize = 20_000;

/// The fields that are refused, ordered by path.
pub(super) fn check(root: &Node, validator: &Validator, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if root.has_lists {
        lists(root, object, &Path::Root, &mut causes);
    }
    if causes.iter().any(|c| c.reason == CauseReason::TooMany) {
        return causes;
    }
    if !validator.is_valid(object) {
        if values(object, MOST_VALUES) == 0 {
            causes.extend(validator.validate(object).err().map(|e| cause(&e)));
        } else {
            causes.extend(
                validator
                    .iter_errors(object)
                    .take(MOST_CAUSES)
                    .map(|e| cause(&e)),
            );
        }
    }
    causes.sort_by(|a, b| {
        a.field
            .cmp(&b.field)
            .then_with(|| a.message.cmp(&b.message))
    });
    causes.dedup();
    causes.truncate(MOST_CAUSES);
    causes
}

/// How many of `budget` are left after counting a value's parts.
fn values(value: &Value, budget: usize) -> usize {
    let left = budget.saturating_sub(1);
    match value {
        Value::Array(items) => items.iter().fold(left, |left, item| match left {
            0 => 0,
            left => values(item, left),
        }),
        Value::Object(map) => map.values().fold(left, |left, item| match left {
            0 => 0,
            left => values(item, left),
        }),
        _ => left,
    }
}

/// What JSON Schema has no words for: sets, maps by key, and integers of a certain width. Also
/// lists that are too long, before anything is done with each item.
fn lists(node: &Node, value: &Value, path: &Path<'_>, causes: &mut Vec<Cause>) {
    if causes.len() >= MOST_CAUSES {
        return;
    }
    match value {
        Value::Array(items) if node.kind == NodeType::Array => {
            if let Some(most) = node.most.filter(|most| items.len() as u64 > *most) {
                causes.push(Cause::too_many(path.to_string(), items.len(), most));
                return;
            }
            duplicates(&node.list, items, path, causes);
            if let Some(below) = node.items.as_deref().filter(|n| n.has_lists) {
                for (index, item) in items.iter().enumerate() {
                    lists(below, item, &path.index(index), causes);
                }
            }
        }
        Value::Object(map) => {
            if let Some(most) = node.most.filter(|most| map.len() as u64 > *most) {
                causes.push(Cause::too_many(path.to_string(), map.len(), most));
                return;
            }
            for (key, item) in map {
                let below = node.properties.get(key).or(node.additional.as_deref());
                if let Some(below) = below.filter(|n| n.has_lists) {
                    lists(below, item, &path.field(key), causes);
                }
            }
        }
        Value::Number(number) if node.kind == NodeType::Integer => {
            // Whole floats within reach have become integers already.
            if number.as_i64().is_none() {
                causes.push(type_invalid(&path.to_string(), "number", "integer"));
            } else if node.is_int32 && number.as_i64().is_some_and(|n| i32::try_from(n).is_err()) {
                causes.push(type_invalid(&path.to_string(), "integer", "int32"));
            }
        }
        _ => {}
    }
}

fn duplicates(list: &ListType, items: &[Value], path: &Path<'_>, causes: &mut Vec<Cause>) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity = match list {
            ListType::Atomic => return,
            ListType::Set => item.clone(),
            ListType::Map(keys) => {
                let keys = keys
                    .iter()
                    .filter_map(|k| Some((k.clone(), item.get(k)?.clone())));
                Value::Object(keys.collect())
            }
        };
        if !seen.insert(identity.to_string()) && causes.len() < MOST_CAUSES {
            causes.push(Cause::duplicate(path.index(index).to_string(), &identity));
        }
    }
}

fn type_invalid(field: &str, got: &str, want: &str) -> Cause {
    let body = in_body(field);
    let message = format!("Invalid value: {got:?}: {body} must be of type {want}: {got:?}");
    Cause::new(CauseReason::TypeInvalid, field, message)
}

/// `spec.x in body`, or `body` for the object itself.
fn in_body(field: &str) -> String {
    if field.is_empty() {
        "body".to_owned()
    } else {
        format!("{field} in body")
    }
}

/// The name of a value's type, as Go's validator calls it.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn field_of(error: &ValidationError<'_>) -> String {
    let mut field = String::new();
    for segment in error.instance_path().iter() {
        match segment {
            LocationSegment::Property(name) => {
                if !field.is_empty() {
                    field.push('.');
                }
                field.push_str(&name);
            }
            LocationSegment::Index(index) => field.push_str(&format!("[{index}]")),
        }
    }
    field
}

fn cause(error: &ValidationError<'_>) -> Cause {
    use ValidationErrorKind as Kind;
    let field = field_of(error);
    let value: &Value = error.instance();
    let body = in_body(&field);
    let invalid = |why: String| Cause::invalid(field.clone(), value, &format!("{body} {why}"));
    let counted = |count: usize, why: String| {
        Cause::invalid(field.clone(), &Value::from(count), &format!("{body} {why}"))
    };
    match error.kind() {
        Kind::Minimum { limit } => invalid(format!("should be greater than or equal to {limit}")),
        Kind::ExclusiveMinimum { limit } => invalid(format!("should be greater than {limit}")),
        Kind::Maximum { limit } => invalid(format!("should be less than or equal to {limit}")),
        Kind::ExclusiveMaximum { limit } => invalid(format!("should be less than {limit}")),
        Kind::MultipleOf { multiple_of } => {
            invalid(format!("should be a multiple of {multiple_of}"))
        }
        Kind::Pattern { pattern } => invalid(format!("should match '{pattern}'")),
        Kind::MinLength { limit } => invalid(format!("should be at least {limit} chars long")),
        Kind::MaxLength { limit } => Cause::too_long(field, *limit),
        Kind::MinItems { limit } => {
            let count = value.as_array().map_or(0, Vec::len);
            counted(count, format!("should have at least {limit} items"))
        }
        Kind::MinProperties { limit } => {
            let count = value.as_object().map_or(0, serde_json::Map::len);
            counted(count, format!("should have at least {limit} properties"))
        }
        Kind::MaxItems { limit } => {
            Cause::too_many(field, value.as_array().map_or(0, Vec::len), *limit)
        }
        Kind::MaxProperties { limit } => Cause::too_many(
            field,
            value.as_object().map_or(0, serde_json::Map::len),
            *limit,
        ),
        Kind::UniqueItems => invalid("shouldn't contain duplicates".to_owned()),
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let field = if field.is_empty() {
                name.to_owned()
            } else {
                format!("{field}.{name}")
            };
            Cause::required(field, "")
        }
        Kind::Enum { options } => {
            let supported: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter(|v| !v.is_null())
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect();
            Cause::not_supported(field, value, &supported)
        }
        Kind::Type { kind } => {
            let want = match kind {
                TypeKind::Single(kind) => kind.to_string(),
                TypeKind::Multiple(kinds) => {
                    let names: Vec<_> = kinds
                        .iter()
                        .map(|k| k.to_string())
                        .filter(|k| k != "null")
                        .collect();
                    names.join(",")
                }
            };
            type_invalid(&field, type_name(value), &want)
        }
        Kind::Format { format } => {
            let why = format!("{body} must be of type {format}: {value}");
            Cause::new(
                CauseReason::TypeInvalid,
                field,
                format!("Invalid value: {value}: {why}"),
            )
        }
        Kind::AnyOf { .. } => invalid("must validate at least one schema (anyOf)".to_owned()),
        Kind::OneOfNotValid { .. } => {
            invalid("must validate one and only one schema (oneOf). Found none valid".to_owned())
        }
        Kind::OneOfMultipleValid { .. } => invalid(
            "must validate one and only one schema (oneOf). Found more than one valid".to_owned(),
        ),
        Kind::Not { .. } => invalid("must not validate the schema (not)".to_owned()),
        other => invalid(format!("breaks the rule {:?}", other.keyword())),
    }
}
