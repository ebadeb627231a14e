//! Objects in the form that a client asked for.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::standalone::error::ApiError;
use crate::standalone::request::accept::{Encoding, Form, Shape};
use crate::standalone::request::query::Query;
use crate::standalone::resource::{Nature, Resource};
use crate::standalone::store::Stored;
use crate::standalone::table::{self, IncludeObject};

/// Turns stored objects into what a client asked for.
#[derive(Clone)]
pub(super) struct Presenter {
    pub(super) resource: Arc<Resource>,
    pub(super) form: Form,
    include: IncludeObject,
    now: jiff::Timestamp,
}

/// What is read of an object of which only the metadata is wanted.
#[derive(Deserialize)]
struct MetadataOnly {
    metadata: Value,
}

impl Presenter {
    pub(super) fn new(
        resource: &Arc<Resource>,
        form: Form,
        query: &Query,
        now: jiff::Timestamp,
    ) -> Result<Self, ApiError> {
        let include = match form.shape {
            Shape::Table { .. } => {
                IncludeObject::parse(query.get("includeObject").unwrap_or_default())?
            }
            _ => IncludeObject::default(),
        };
        Ok(Self {
            resource: Arc::clone(resource),
            form,
            include,
            now,
        })
    }

    /// Whether the bytes in the store are what the client wants.
    pub(super) fn is_spliced(&self) -> bool {
        self.form == Form::JSON && !self.is_translated()
    }

    /// Whether objects are stored in the shape of another kind.
    fn is_translated(&self) -> bool {
        self.resource.nature == Nature::EventV1
    }

    /// An object in the shape of the kind that was asked for.
    pub(super) fn translate(&self, object: Value) -> Value {
        self.resource.to_shown(object)
    }

    /// The whole object, as a value.
    pub(super) fn value(&self, stored: &Stored) -> Value {
        // What is stored was JSON when it was stored, and is checked when the store is opened.
        let object = serde_json::from_slice(&stored.bytes).unwrap_or_default();
        self.translate(object)
    }

    /// An object as an item of a list, or in a watch that is not a table.
    pub(super) fn item(&self, stored: &Stored) -> Bytes {
        match self.form.shape {
            Shape::Object if self.is_translated() => self.value(stored).to_string().into(),
            Shape::Object => stored.bytes.clone(),
            Shape::Metadata => {
                let only = serde_json::from_slice::<MetadataOnly>(&stored.bytes);
                let metadata = only.map(|only| only.metadata).unwrap_or_default();
                partial(&metadata).to_string().into()
            }
            Shape::Table { .. } => self.row(&self.value(stored)).to_string().into(),
        }
    }

    /// A row of the table that was asked for.
    fn row(&self, object: &Value) -> Value {
        table::row(&self.resource, object, self.include, self.now)
    }

    /// One object as an answer of its own.
    pub(super) fn single(&self, object: Value) -> Value {
        match self.form.shape {
            Shape::Object => object,
            Shape::Metadata => partial(&object["metadata"]),
            Shape::Table { beta } => {
                let metadata = match object.pointer("/metadata/resourceVersion") {
                    Some(version) => json!({"resourceVersion": version}),
                    None => json!({}),
                };
                let definitions = table::definitions(&self.resource);
                table_value(beta, metadata, definitions, vec![self.row(&object)])
            }
        }
    }

    /// One event of a watch. In a table only the first one has the columns' definitions.
    pub(super) fn event(&self, kind: &str, stored: &Stored, is_first: bool) -> Bytes {
        let Shape::Table { beta } = self.form.shape else {
            return line(kind, &self.item(stored));
        };
        let metadata = json!({"resourceVersion": stored.revision.to_string()});
        // Ages are those of the moment, and a watch may be hours old.
        let now = jiff::Timestamp::now();
        let row = table::row(&self.resource, &self.value(stored), self.include, now);
        let table = table_value(beta, metadata, self.definitions(is_first), vec![row]);
        line(kind, table.to_string().as_bytes())
    }

    fn definitions(&self, is_first: bool) -> Value {
        if is_first {
            table::definitions(&self.resource)
        } else {
            Value::Null
        }
    }

    /// A bookmark: everything up to a revision was told; at the end of the initial events too, if
    /// `is_end`.
    pub(super) fn bookmark(&self, revision: u64, is_end: bool, is_first: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if is_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form.shape {
            Shape::Object => json!({
                "kind": self.resource.kind,
                "apiVersion": self.resource.api_version(),
                "metadata": metadata,
            }),
            Shape::Metadata => partial(&metadata),
            Shape::Table { beta } => {
                let columns = table::definitions(&self.resource);
                let cells = vec![Value::Null; columns.as_array().map_or(0, Vec::len)];
                let row = json!({"cells": cells, "object": partial(&metadata)});
                let metadata = json!({"resourceVersion": revision.to_string()});
                table_value(beta, metadata, self.definitions(is_first), vec![row])
            }
        };
        line("BOOKMARK", object.to_string().as_bytes())
    }

    /// What a list begins with and ends with, around its items.
    pub(super) fn envelope(&self, metadata: &Value, is_empty: bool) -> (String, &'static str) {
        let kind = format!("{}List", self.resource.kind);
        let (kind, api_version) = match self.form.shape {
            Shape::Metadata => ("PartialObjectMetadataList".to_owned(), meta_version(false)),
            _ => (kind, self.resource.api_version()),
        };
        match (self.form.shape, self.form.encoding) {
            (Shape::Table { beta }, _) => {
                let columns = table::definitions(&self.resource);
                let version = meta_version(beta);
                (
                    format!(
                        "{{\"kind\":\"Table\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\
                         \"columnDefinitions\":{columns},\"rows\":["
                    ),
                    "]}\n",
                )
            }
            (_, Encoding::Json) => (
                format!(
                    "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
                ),
                "]}\n",
            ),
            (_, Encoding::Yaml) => {
                let items = if is_empty { "items: []\n" } else { "items:\n" };
                // JSON is YAML: the metadata is a flow mapping.
                let head = format!(
                    "apiVersion: {api_version}\nkind: {kind}\nmetadata: {metadata}\n{items}"
                );
                (head, "")
            }
        }
    }

    /// An item as it stands in its list; `is_first` says whether one stands before it.
    pub(super) fn listed(&self, stored: &Stored, is_first: bool) -> Bytes {
        let item = self.item(stored);
        let is_yaml =
            self.form.encoding == Encoding::Yaml && !matches!(self.form.shape, Shape::Table { .. });
        if is_yaml {
            let value: Value = serde_json::from_slice(&item).unwrap_or_default();
            let text = serde_yaml_ng::to_string(&[value]).unwrap_or_default();
            return text.into();
        }
        if is_first {
            return item;
        }
        let mut joined = BytesMut::with_capacity(item.len() + 1);
        joined.extend_from_slice(b",");
        joined.extend_from_slice(&item);
        joined.freeze()
    }
}

/// A line of a watch.
pub(super) fn line(kind: &str, object: &[u8]) -> Bytes {
    let parts: [&[u8]; 5] = [
        b"{\"type\":\"",
        kind.as_bytes(),
        b"\",\"object\":",
        object,
        b"}\n",
    ];
    let length = parts.iter().map(|part| part.len()).sum();
    let mut line = BytesMut::with_capacity(length);
    for part in parts {
        line.extend_from_slice(part);
    }
    line.freeze()
}

fn meta_version(is_beta: bool) -> String {
    let version = if is_beta { "v1beta1" } else { "v1" };
    format!("meta.k8s.io/{version}")
}

fn partial(metadata: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": meta_version(false),
        "metadata": metadata,
    })
}

fn table_value(is_beta: bool, metadata: Value, definitions: Value, rows: Vec<Value>) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": meta_version(is_beta),
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}
