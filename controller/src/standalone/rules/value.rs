//! JSON as CEL sees it: what the schema calls an integer is one.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value as Cel;
use cel::objects::{Key, Map};
use serde_json::Value;

use super::Needs;
use crate::standalone::schema::{Node, NodeType};

/// Names that CEL keeps for itself; rules write `self.__namespace__`.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Everything below.
static ALL: Needs = Needs {
    all: true,
    fields: std::collections::BTreeMap::new(),
};

/// Converts what a rule needs of a value. `weight` grows with what was converted.
pub(super) fn convert(
    node: Option<&Node>,
    value: &Value,
    needs: &Needs,
    is_root: bool,
    weight: &mut usize,
) -> Cel {
    *weight += 1;
    match value {
        Value::Null => Cel::Null,
        Value::Bool(b) => Cel::Bool(*b),
        Value::Number(n) => match (node.map(|n| n.kind), n.as_i64()) {
            (Some(NodeType::Number), _) | (_, None) => Cel::Float(n.as_f64().unwrap_or(f64::NAN)),
            (_, Some(i)) => Cel::Int(i),
        },
        Value::String(s) => {
            *weight += s.len() / 32;
            Cel::String(Arc::new(s.clone()))
        }
        Value::Array(items) => {
            let node = node.and_then(|n| n.items.as_deref());
            let items = items
                .iter()
                .map(|v| convert(node, v, &ALL, false, weight))
                .collect();
            Cel::List(Arc::new(items))
        }
        Value::Object(map) => {
            let mut out = HashMap::new();
            for (key, value) in map {
                let property = node.and_then(|n| n.properties.get(key));
                // Keys of a map are what they are; names of fields have to be identifiers.
                let name = match property {
                    Some(_) => escaped(key),
                    None => key.clone(),
                };
                let needs = match needs.fields.get(&name) {
                    _ if needs.all => &ALL,
                    Some(needs) => needs,
                    None => continue,
                };
                let converted = if is_root && key == "metadata" {
                    metadata(value, weight)
                } else {
                    let below = property.or_else(|| node.and_then(|n| n.additional.as_deref()));
                    convert(below, value, needs, false, weight)
                };
                out.insert(Key::String(Arc::new(name)), converted);
            }
            Cel::Map(Map { map: Arc::new(out) })
        }
    }
}

/// Of the metadata rules see the name only, as in a real server.
fn metadata(value: &Value, weight: &mut usize) -> Cel {
    *weight += 1;
    let mut out = HashMap::new();
    for key in ["name", "generateName"] {
        if let Some(text) = value.get(key).and_then(Value::as_str) {
            let text = Cel::String(Arc::new(text.to_owned()));
            out.insert(Key::String(Arc::new(key.to_owned())), text);
        }
    }
    Cel::Map(Map { map: Arc::new(out) })
}

/// A field's name as rules have to write it.
fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(is_plain) && !name.contains("__") {
        return name.to_owned();
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
