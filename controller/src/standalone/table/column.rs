//! Columns that a definition asks for.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::age;
use super::json_path::JsonPath;

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// E.g. `int64`; mostly empty.
    pub format: String,
    /// What it shows.
    pub description: String,
    /// Above zero: shown by `-o wide` only.
    pub priority: i64,
    path: JsonPath,
}

impl Column {
    /// Reads an entry of `additionalPrinterColumns`.
    pub(crate) fn of(column: &Value) -> Option<Self> {
        let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
        let json_path = column["jsonPath"].as_str()?;
        let kind = column["type"].as_str()?;
        if !["string", "integer", "number", "boolean", "date"].contains(&kind) {
            return None;
        }
        let description = match text("description") {
            empty if empty.is_empty() => {
                format!("Custom resource definition column (in JSONPath format): {json_path}")
            }
            text => text,
        };
        Some(Column {
            name: column["name"].as_str()?.to_owned(),
            kind: kind.to_owned(),
            format: text("format"),
            description,
            priority: column["priority"].as_i64().unwrap_or_default(),
            path: JsonPath::parse(json_path)?,
        })
    }

    pub(super) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    /// The column's cell for an object; null when there is nothing, or something of another type.
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let Some(value) = self.path.first(object) else {
            return Value::Null;
        };
        match (self.kind.as_str(), value) {
            (_, Value::Null) => Value::Null,
            ("string", Value::String(text)) => Value::from(text.as_str()),
            ("string", other) => Value::from(other.to_string()),
            ("integer", Value::Number(n)) => n.as_i64().map_or(Value::Null, Value::from),
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
            ("date", Value::String(_)) => Value::from(age(value, now)),
            _ => Value::Null,
        }
    }
}
