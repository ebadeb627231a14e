//! Tables, as `kubectl get` prints them.

mod age;
mod builtin;
mod column;
mod json_path;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ApiError;
use super::resource::{Nature, Resource};
pub use column::Column;

/// What of an object a row carries besides its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "" | "Metadata" => Ok(IncludeObject::Metadata),
            "Object" => Ok(IncludeObject::Object),
            "None" => Ok(IncludeObject::None),
            other => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// The columns of a kind's table.
#[must_use]
pub fn definitions(resource: &Resource) -> Value {
    match resource.nature {
        Nature::Custom => {
            let rest = resource.columns.iter().map(Column::definition);
            std::iter::once(name_column()).chain(rest).collect()
        }
        nature => builtin::definitions(nature),
    }
}

/// The column with which every table begins, but that of events.
fn name_column() -> Value {
    json!({
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "The object's name, unique within its kind and namespace.",
        "priority": 0,
    })
}

/// One object's row. The object is as the kind's clients see it.
#[must_use]
pub fn row(resource: &Resource, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let cells: Vec<Value> = match resource.nature {
        Nature::Custom => {
            let rest = resource
                .columns
                .iter()
                .map(|column| column.cell(object, now));
            std::iter::once(object["metadata"]["name"].clone())
                .chain(rest)
                .collect()
        }
        nature => builtin::cells(nature, object, now),
    };
    let object = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial(object),
        IncludeObject::Object => object.clone(),
    };
    json!({"cells": cells, "object": object})
}

/// An object's metadata alone, as `PartialObjectMetadata`.
#[must_use]
pub fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}
