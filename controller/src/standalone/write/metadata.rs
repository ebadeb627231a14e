//! `metadata`: read as the type it is, whatever an object's schema says.

use serde_json::{Map, Value};

use super::time;

/// What `metadata` may hold.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Integer,
    Time,
    /// Text by text.
    Texts,
    /// A list of text.
    List,
    Owners,
    /// Known, and not kept.
    Ignored,
}

const FIELDS: [(&str, Shape); 15] = [
    ("annotations", Shape::Texts),
    ("creationTimestamp", Shape::Time),
    ("deletionGracePeriodSeconds", Shape::Integer),
    ("deletionTimestamp", Shape::Time),
    ("finalizers", Shape::List),
    ("generateName", Shape::Text),
    ("generation", Shape::Integer),
    ("labels", Shape::Texts),
    // Who wrote which field is not kept: no client needs it without server-side apply.
    ("managedFields", Shape::Ignored),
    ("name", Shape::Text),
    ("namespace", Shape::Text),
    ("ownerReferences", Shape::Owners),
    ("resourceVersion", Shape::Text),
    ("selfLink", Shape::Ignored),
    ("uid", Shape::Text),
];

const OWNER_TEXTS: [&str; 4] = ["apiVersion", "kind", "name", "uid"];
const OWNER_FLAGS: [&str; 2] = ["blockOwnerDeletion", "controller"];

/// Makes `metadata` what it will be: what is unknown is dropped and named in `unknown`, and what
/// is null or empty is dropped.
///
/// The error says what is of the wrong type, in the words of Go's decoder.
pub(super) fn decode(object: &mut Value, unknown: &mut Vec<String>) -> Result<(), String> {
    let Some(object) = object.as_object_mut() else {
        return Err(wrong(object, "metadata", "ObjectMeta"));
    };
    let metadata = object.entry("metadata").or_insert(Value::Null);
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    let Value::Object(map) = metadata else {
        return Err(wrong(metadata, "metadata", "v1.ObjectMeta"));
    };
    let mut error = None;
    map.retain(|key, value| {
        let Some((_, shape)) = FIELDS.iter().find(|(name, _)| name == key) else {
            unknown.push(format!("metadata.{key}"));
            return false;
        };
        if value.is_null() || matches!(shape, Shape::Ignored) {
            return false;
        }
        let field = format!("metadata.{key}");
        if let Err(why) = shape.decode(value, &field, unknown) {
            error.get_or_insert(why);
        }
        !is_empty(value)
    });
    error.map_or(Ok(()), Err)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

impl Shape {
    fn decode(
        self,
        value: &mut Value,
        field: &str,
        unknown: &mut Vec<String>,
    ) -> Result<(), String> {
        match (self, value) {
            (Shape::Text, Value::String(_)) => Ok(()),
            (Shape::Text, value) => Err(wrong(value, field, "string")),
            (Shape::Integer, value) => match integer(value) {
                Some(integer) => {
                    *value = Value::from(integer);
                    Ok(())
                }
                None => Err(wrong(value, field, "int64")),
            },
            (Shape::Time, Value::String(text)) => time::parse(text).map(|_| ()),
            (Shape::Time, value) => Err(wrong(value, field, "time.Time")),
            (Shape::Texts, Value::Object(map)) => {
                for value in map.values_mut() {
                    text(value, field)?;
                }
                Ok(())
            }
            (Shape::Texts, value) => Err(wrong(value, field, "map[string]string")),
            (Shape::List, Value::Array(items)) => {
                for value in items {
                    text(value, field)?;
                }
                Ok(())
            }
            (Shape::List, value) => Err(wrong(value, field, "[]string")),
            (Shape::Owners, Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    owner(item, &format!("{field}[{index}]"), unknown)?;
                }
                Ok(())
            }
            (Shape::Owners, value) => Err(wrong(value, field, "[]v1.OwnerReference")),
            (Shape::Ignored, _) => Ok(()),
        }
    }
}

/// A null where a text stands is the empty text.
fn text(value: &mut Value, field: &str) -> Result<(), String> {
    match value {
        Value::String(_) => Ok(()),
        Value::Null => {
            *value = Value::from("");
            Ok(())
        }
        value => Err(wrong(value, field, "string")),
    }
}

fn integer(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64()
}

fn owner(value: &mut Value, field: &str, unknown: &mut Vec<String>) -> Result<(), String> {
    let Value::Object(map) = value else {
        return Err(wrong(value, field, "v1.OwnerReference"));
    };
    let mut error = None;
    map.retain(|key, value| {
        let key = key.as_str();
        let fits = match value {
            Value::Null => return false,
            Value::String(_) => OWNER_TEXTS.contains(&key),
            Value::Bool(_) => OWNER_FLAGS.contains(&key),
            _ => false,
        };
        let below = format!("{field}.{key}");
        if OWNER_TEXTS.contains(&key) || OWNER_FLAGS.contains(&key) {
            if !fits {
                let want = if OWNER_TEXTS.contains(&key) {
                    "string"
                } else {
                    "bool"
                };
                error.get_or_insert(wrong(value, &below, want));
            }
            true
        } else {
            unknown.push(below);
            false
        }
    });
    error.map_or(Ok(()), Err)
}

/// What Go's decoder says about a value of the wrong type.
pub(super) fn wrong(value: &Value, field: &str, want: &str) -> String {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {got} into Go struct field {field} of type {want}")
}
