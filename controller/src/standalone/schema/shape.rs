//! What an object will be: pruned, with defaults, without nulls that mean nothing.

use serde_json::{Map, Number, Value};

use super::{Node, NodeType, Path};

/// A float is as good as an integer up to here, where floats begin to skip some.
const LARGEST_WHOLE_FLOAT: f64 = 9_007_199_254_740_991.0;

/// Fields of every object, which no schema has to name.
const ROOT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// More unknown fields than this are dropped as well, but no longer named.
const MOST_NAMED: usize = 100;

/// Shapes an object in place; returns the unknown fields' paths.
pub(super) fn shape(root: &Node, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    value(root, object, &Path::Root, &mut unknown);
    unknown
}

fn value(node: &Node, value: &mut Value, path: &Path<'_>, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) if matches!(node.kind, NodeType::Object | NodeType::Any) => {
            object(node, map, path, unknown);
        }
        Value::Array(items) => {
            if let Some(node) = &node.items {
                for (index, item) in items.iter_mut().enumerate() {
                    fill(node, item);
                    self::value(node, item, &path.index(index), unknown);
                }
            }
        }
        Value::Number(number) if node.kind == NodeType::Integer => whole(number),
        _ => {}
    }
}

fn object(node: &Node, map: &mut Map<String, Value>, path: &Path<'_>, unknown: &mut Vec<String>) {
    if !node.preserve && node.additional.is_none() {
        map.retain(|key, _| {
            let known = node.properties.contains_key(key)
                || (path.is_root() && ROOT_FIELDS.contains(&key.as_str()));
            if !known && unknown.len() < MOST_NAMED {
                unknown.push(path.field(key).to_string());
            }
            known
        });
    }
    for (name, below) in &node.properties {
        if path.is_root() && ROOT_FIELDS.contains(&name.as_str()) {
            continue;
        }
        match map.get_mut(name) {
            Some(Value::Null) if !below.nullable && below.default.is_none() => {
                map.remove(name);
                continue;
            }
            Some(present) => fill(below, present),
            None => {
                if let Some(default) = &below.default {
                    map.insert(name.clone(), default.clone());
                }
            }
        }
        if let Some(present) = map.get_mut(name) {
            value(below, present, &path.field(name), unknown);
        }
    }
    if let Some(below) = &node.additional {
        map.retain(|key, present| {
            if node.properties.contains_key(key) {
                return true;
            }
            fill(below, present);
            value(below, present, &path.field(key), unknown);
            below.nullable || !present.is_null()
        });
    }
}

/// A null where none may be becomes the default, if there is one.
fn fill(node: &Node, value: &mut Value) {
    if value.is_null()
        && !node.nullable
        && let Some(default) = &node.default
    {
        *value = default.clone();
    }
}

/// `1.0` is the integer 1, as it is for a real server; `1.5` is left for the check to refuse.
fn whole(number: &mut Number) {
    if number.is_f64()
        && let Some(float) = number.as_f64()
        && float.fract() == 0.0
        && float.abs() <= LARGEST_WHOLE_FLOAT
    {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within ±(2^53 − 1)"
        )]
        let integer = float as i64;
        *number = Number::from(integer);
    }
}
