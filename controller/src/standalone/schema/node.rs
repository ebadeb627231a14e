//! A schema as a tree: what each value is, and what is done to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Path, SchemaError};
use crate::standalone::rules::Rule;

/// Schemas are written by us, but a cycle of mistakes shall not become a stack overflow.
const DEEPEST: usize = 32;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// No type, with unknown fields preserved: anything.
    Any,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListType {
    Atomic,
    Set,
    /// By these keys.
    Map(Vec<String>),
}

/// One value's schema.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeType,
    /// `int32` is the one format that bounds a number.
    pub(crate) is_int32: bool,
    pub(crate) nullable: bool,
    /// Unknown fields are kept.
    pub(crate) preserve: bool,
    pub(crate) properties: BTreeMap<String, Node>,
    /// The schema of what has no property of its own.
    pub(crate) additional: Option<Box<Node>>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) default: Option<Value>,
    pub(crate) list: ListType,
    /// Most items or properties.
    pub(crate) most: Option<u64>,
    pub(crate) rules: Vec<Rule>,
    /// Whether there are rules here or below.
    pub(crate) has_rules: bool,
    /// Whether there are lists here or below whose items are told apart, or integers.
    pub(crate) has_lists: bool,
}

impl Node {
    /// Reads one schema.
    pub(crate) fn of(schema: &Value, path: &Path<'_>) -> Result<Self, SchemaError> {
        Reader {
            depth: 0,
            correlatable: true,
        }
        .node(schema, path)
    }
}

/// Reads schemas; knows where it is.
struct Reader {
    depth: usize,
    /// Whether a value here can be found again in the object before an update.
    correlatable: bool,
}

impl Reader {
    fn below(&self, correlatable: bool) -> Reader {
        Reader {
            depth: self.depth + 1,
            correlatable: self.correlatable && correlatable,
        }
    }

    fn node(&self, schema: &Value, path: &Path<'_>) -> Result<Node, SchemaError> {
        let Some(map) = schema.as_object() else {
            return Err(SchemaError::at(path, "a schema has to be an object"));
        };
        if self.depth > DEEPEST {
            return Err(SchemaError::at(
                path,
                format!("deeper than {DEEPEST} levels"),
            ));
        }
        let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or_default();
        let preserve = flag("x-kubernetes-preserve-unknown-fields");
        let kind = kind_of(map, preserve, path)?;
        if flag("x-kubernetes-embedded-resource") {
            return Err(SchemaError::at(
                path,
                "x-kubernetes-embedded-resource is not supported",
            ));
        }
        let list = list_type(map, path)?;
        let mut properties = BTreeMap::new();
        for (name, schema) in object_at(map, "properties", path)? {
            if path.is_root() && name == "metadata" {
                metadata(schema)?;
                continue;
            }
            let below = self.below(true).node(schema, &path.field(name))?;
            properties.insert(name.clone(), below);
        }
        let additional = match map.get("additionalProperties") {
            Some(schema @ Value::Object(_)) => {
                let node = self.below(true).node(schema, &Path::Entry(path, "*"))?;
                Some(Box::new(node))
            }
            Some(Value::Bool(true)) => {
                return Err(SchemaError::at(
                    path,
                    "additionalProperties without a schema",
                ));
            }
            _ => None,
        };
        let items = match map.get("items") {
            Some(schema) => {
                let is_map = matches!(list, ListType::Map(_));
                Some(Box::new(
                    self.below(is_map).node(schema, &Path::Items(path))?,
                ))
            }
            None if kind == NodeType::Array => {
                return Err(SchemaError::at(
                    path,
                    "a list has to say what its items are",
                ));
            }
            None => None,
        };
        let rules = Rule::all_of(map.get("x-kubernetes-validations"), path, self.correlatable)?;
        let children = || {
            properties
                .values()
                .chain(additional.as_deref())
                .chain(items.as_deref())
        };
        let has_rules = !rules.is_empty() || children().any(|n| n.has_rules);
        let most = ["maxItems", "maxProperties"]
            .iter()
            .find_map(|k| map.get(*k)?.as_u64());
        let has_lists = list != ListType::Atomic
            || most.is_some()
            || kind == NodeType::Integer
            || children().any(|n| n.has_lists);
        Ok(Node {
            kind,
            is_int32: map.get("format").and_then(Value::as_str) == Some("int32"),
            nullable: flag("nullable"),
            preserve,
            properties,
            additional,
            items,
            default: map.get("default").cloned(),
            list,
            most,
            rules,
            has_rules,
            has_lists,
        })
    }
}

/// The metadata is known without a schema. A real server lets one restrict the name; here rules do.
fn metadata(schema: &Value) -> Result<(), SchemaError> {
    let known = ["type", "description", "default"];
    match schema
        .as_object()
        .into_iter()
        .flatten()
        .find(|(key, _)| !known.contains(&key.as_str()))
    {
        None => Ok(()),
        Some((key, _)) => {
            let why = format!("{key} of the metadata is not supported: write a rule");
            Err(SchemaError::at(&Path::Root.field("metadata"), why))
        }
    }
}

fn kind_of(
    map: &Map<String, Value>,
    preserve: bool,
    path: &Path<'_>,
) -> Result<NodeType, SchemaError> {
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return Ok(NodeType::IntOrString);
    }
    match map.get("type").and_then(Value::as_str) {
        Some("object") => Ok(NodeType::Object),
        Some("array") => Ok(NodeType::Array),
        Some("string") => Ok(NodeType::String),
        Some("integer") => Ok(NodeType::Integer),
        Some("number") => Ok(NodeType::Number),
        Some("boolean") => Ok(NodeType::Boolean),
        None if preserve => Ok(NodeType::Any),
        None => Err(SchemaError::at(path, "no type")),
        Some(other) => Err(SchemaError::at(
            path,
            format!("no type is called {other:?}"),
        )),
    }
}

fn list_type(map: &Map<String, Value>, path: &Path<'_>) -> Result<ListType, SchemaError> {
    match map.get("x-kubernetes-list-type").and_then(Value::as_str) {
        None | Some("atomic") => Ok(ListType::Atomic),
        Some("set") => Ok(ListType::Set),
        Some("map") => {
            let keys: Vec<String> = map
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|k| k.as_str().map(str::to_owned))
                .collect();
            if keys.is_empty() {
                return Err(SchemaError::at(path, "a list of type map without keys"));
            }
            Ok(ListType::Map(keys))
        }
        Some(other) => Err(SchemaError::at(
            path,
            format!("no list type is called {other:?}"),
        )),
    }
}

fn object_at<'a>(
    map: &'a Map<String, Value>,
    key: &str,
    path: &Path<'_>,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, SchemaError> {
    match map.get(key) {
        None => Ok(None.into_iter().flatten()),
        Some(Value::Object(map)) => Ok(Some(map).into_iter().flatten()),
        Some(_) => Err(SchemaError::at(path, format!("{key} has to be an object"))),
    }
}
