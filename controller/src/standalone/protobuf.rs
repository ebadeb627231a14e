//! The few messages that `kubectl` sends as protobuf.
//!
//! Newer versions of kubectl encode built-in kinds that they make themselves (`create namespace`,
//! `auth can-i`, `auth whoami`) and do not fall back to JSON. The answer may be JSON. Only the fields that
//! these commands set are read; the field numbers are Kubernetes' own.

use std::collections::HashMap;

use prost::Message;
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The media type of these messages.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every one of them begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Bytes that are none of these messages.
#[derive(Debug, Error)]
pub enum ProtobufError {
    /// The first bytes are others.
    #[error("the body does not begin with k8s")]
    Magic,
    /// The bytes make no message.
    #[error("the body is not a message")]
    Decode(#[source] prost::DecodeError),
    /// A kind that no client was seen to send.
    #[error("{api_version} {kind} is not taken as protobuf")]
    Kind {
        /// The version that the message names.
        api_version: String,
        /// The kind.
        kind: String,
    },
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(map = "string, string", tag = "11")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "12")]
    annotations: HashMap<String, String>,
}

/// A message with its metadata, and nothing else of it.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceAttributes>,
    #[prost(message, optional, tag = "2")]
    path: Option<PathAttributes>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct PathAttributes {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

#[derive(Clone, PartialEq, Message)]
struct RulesReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<RulesReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct RulesReviewSpec {
    #[prost(string, tag = "1")]
    namespace: String,
}

/// The object that a message stands for, as its JSON would say it.
///
/// # Errors
/// The bytes are no message, or one of a kind that is not taken.
pub fn decode(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let bytes = bytes.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let unknown = Unknown::decode(bytes).map_err(ProtobufError::Decode)?;
    let TypeMeta { api_version, kind } = unknown.type_meta.unwrap_or_default();
    let raw = unknown.raw.as_slice();
    let mut object = match (api_version.as_str(), kind.as_str()) {
        ("v1", "Namespace") => {
            let named = Named::decode(raw).map_err(ProtobufError::Decode)?;
            json!({"metadata": metadata(named.metadata.unwrap_or_default())})
        }
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => {
            let review = AccessReview::decode(raw).map_err(ProtobufError::Decode)?;
            json!({"spec": access(review.spec.unwrap_or_default())})
        }
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => {
            let review = RulesReview::decode(raw).map_err(ProtobufError::Decode)?;
            json!({"spec": {"namespace": review.spec.unwrap_or_default().namespace}})
        }
        ("authentication.k8s.io/v1", "SelfSubjectReview") => json!({}),
        _ => return Err(ProtobufError::Kind { api_version, kind }),
    };
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    Ok(object)
}

fn metadata(metadata: ObjectMeta) -> Value {
    let map = |map: HashMap<String, String>| -> Option<Value> {
        let is_some = !map.is_empty();
        is_some.then(|| map.into_iter().collect())
    };
    let entries = [
        ("name", text(metadata.name)),
        ("generateName", text(metadata.generate_name)),
        ("labels", map(metadata.labels)),
        ("annotations", map(metadata.annotations)),
    ];
    object(entries)
}

fn access(spec: AccessReviewSpec) -> Value {
    let resource = spec.resource.map(|resource| {
        object([
            ("namespace", text(resource.namespace)),
            ("verb", text(resource.verb)),
            ("group", text(resource.group)),
            ("version", text(resource.version)),
            ("resource", text(resource.resource)),
            ("subresource", text(resource.subresource)),
            ("name", text(resource.name)),
        ])
    });
    let path = spec
        .path
        .map(|path| object([("path", text(path.path)), ("verb", text(path.verb))]));
    object([
        ("resourceAttributes", resource),
        ("nonResourceAttributes", path),
    ])
}

fn text(text: String) -> Option<Value> {
    let is_some = !text.is_empty();
    is_some.then(|| text.into())
}

fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let entries = entries.into_iter();
    let present = entries.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(api_version: &str, kind: &str, raw: &impl Message) -> Vec<u8> {
        let unknown = Unknown {
            type_meta: Some(TypeMeta {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            }),
            raw: raw.encode_to_vec(),
        };
        [MAGIC, &unknown.encode_to_vec()].concat()
    }

    /// As kubectl 1.36 was recorded to send it.
    #[test]
    fn a_recorded_namespace_is_read() {
        let body = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x21\x0a\x19\x0a\x09weir-test\x12\0\x1a\0\"\0\
            *\0\x32\0\x38\0B\0\x12\0\x1a\x02\x0a\0\x1a\0\"\0";
        let found = decode(body);
        let expected = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "weir-test"},
        });
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn a_review_of_access_is_read() {
        let review = AccessReview {
            spec: Some(AccessReviewSpec {
                resource: Some(ResourceAttributes {
                    verb: "list".to_owned(),
                    group: "weir.dev".to_owned(),
                    resource: "volumes".to_owned(),
                    ..ResourceAttributes::default()
                }),
                path: None,
            }),
        };
        let api = "authorization.k8s.io/v1";
        let body = message(api, "SelfSubjectAccessReview", &review);
        let expected = json!({
            "apiVersion": api,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": "list", "group": "weir.dev", "resource": "volumes"}},
        });
        assert_eq!(decode(&body).unwrap(), expected);
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(matches!(decode(b"{}"), Err(ProtobufError::Magic)));
        assert!(matches!(
            decode(b"k8s\0\xff\xff"),
            Err(ProtobufError::Decode(_))
        ));
        let body = message("v1", "Secret", &Named::default());
        assert!(matches!(decode(&body), Err(ProtobufError::Kind { .. })));
        let mut cut = message("v1", "Namespace", &Named { metadata: None });
        cut.truncate(12);
        assert!(matches!(decode(&cut), Err(ProtobufError::Decode(_))));
    }
}
