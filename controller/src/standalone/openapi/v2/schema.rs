//! Schemas in version 2: what old versions of kubectl explain, and what they validate by themselves.

use prost::Message;
use serde_json::{Map, Value};

use super::{Any, NamedAny};
use crate::standalone::openapi::{self, metadata};
use crate::standalone::resource::{Nature, Resource};

const KIND: &str = "x-kubernetes-group-version-kind";

/// What objects have in their metadata on other servers: a file that came from one is no mistake.
const ELSEWHERE: [&str; 3] = ["clusterName", "managedFields", "selfLink"];

#[derive(Clone, PartialEq, Message)]
pub(super) struct Definitions {
    #[prost(message, repeated, tag = "1")]
    pub(super) named: Vec<NamedSchema>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NamedSchema {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Schema>,
}

/// Without a type and properties it is anything.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Schema {
    #[prost(string, tag = "1")]
    pub(super) reference: String,
    #[prost(string, tag = "2")]
    format: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(string, repeated, tag = "19")]
    pub(super) required: Vec<String>,
    #[prost(message, optional, tag = "21")]
    additional: Option<Additional>,
    #[prost(message, optional, tag = "22")]
    pub(super) kind: Option<TypeItem>,
    #[prost(message, optional, tag = "23")]
    items: Option<Items>,
    #[prost(message, optional, tag = "25")]
    pub(super) properties: Option<Definitions>,
    #[prost(message, repeated, tag = "31")]
    pub(super) vendor_extension: Vec<NamedAny>,
}

/// What has no property of its own; whether it may be, is never said without saying what it is.
#[derive(Clone, PartialEq, Message)]
struct Additional {
    #[prost(message, optional, boxed, tag = "1")]
    schema: Option<Box<Schema>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeItem {
    #[prost(string, repeated, tag = "1")]
    pub(super) value: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Items {
    #[prost(message, repeated, tag = "1")]
    schema: Vec<Schema>,
}

impl Definitions {
    /// Of kinds that are a definition's. kubectl would apply others by what their schema says about merging
    /// lists, which ours don't say; without one it knows that by itself.
    pub(super) fn of<'a>(resources: impl Iterator<Item = &'a Resource>) -> Self {
        let custom = resources.filter(|resource| resource.nature == Nature::Custom);
        let mut named: Vec<NamedSchema> = custom
            .map(|resource| {
                let (name, schema) = openapi::schema(resource);
                let mut value = Schema::of(&schema);
                value.vendor_extension.push(NamedAny {
                    name: KIND.to_owned(),
                    // JSON is YAML.
                    value: Some(Any {
                        yaml: schema[KIND].to_string(),
                    }),
                });
                NamedSchema::new(&name, value)
            })
            .collect();
        if !named.is_empty() {
            let mut value = Schema::of(&metadata::schema());
            let known = value.properties.get_or_insert_default();
            let more = ELSEWHERE.map(|name| NamedSchema::new(name, Schema::default()));
            known.named.extend(more);
            named.push(NamedSchema::new(metadata::NAME, value));
        }
        Self { named }
    }

    fn properties(properties: &Map<String, Value>) -> Self {
        let properties = properties.iter();
        Self {
            named: properties
                .map(|(name, schema)| NamedSchema::new(name, Schema::of(schema)))
                .collect(),
        }
    }
}

impl NamedSchema {
    fn new(name: &str, value: Schema) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value),
        }
    }
}

impl Schema {
    /// From one of version 3.
    fn of(schema: &Value) -> Self {
        let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
        let flag = |key: &str| schema[key].as_bool().unwrap_or_default();
        let described = Self {
            description: text("description"),
            ..Self::default()
        };
        let reference = schema.pointer("/allOf/0/$ref").and_then(Value::as_str);
        if let Some((_, name)) = reference.and_then(|reference| reference.rsplit_once('/')) {
            return Self {
                reference: format!("#/definitions/{name}"),
                ..described
            };
        }
        // Version 2 has no words for these: whatever is there is left to the server.
        let is_anything = [
            "nullable",
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
        ];
        if is_anything.into_iter().any(flag) {
            return described;
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required.filter_map(|name| name.as_str().map(str::to_owned));
        let additional = schema["additionalProperties"].as_object();
        let items = schema["items"].as_object();
        Self {
            format: text("format"),
            required: required.collect(),
            additional: additional.map(|_| Additional {
                schema: Some(Box::new(Self::of(&schema["additionalProperties"]))),
            }),
            kind: schema["type"].as_str().map(|kind| TypeItem {
                value: vec![kind.to_owned()],
            }),
            items: items.map(|_| Items {
                schema: vec![Self::of(&schema["items"])],
            }),
            properties: schema["properties"]
                .as_object()
                .map(Definitions::properties),
            ..described
        }
    }
}
