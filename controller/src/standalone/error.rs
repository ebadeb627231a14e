//! What is answered when a request can't be carried out: Kubernetes' `Status`.
//!
//! Reasons, messages and details are those that a kube-apiserver was recorded to give: clients
//! decide by `code` and `reason`, and people read the causes.

mod constructors;

use std::fmt;

use serde_json::{Map, Value, json};

/// A kind of object, as errors name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupResource {
    /// Empty for the core group.
    pub group: String,
    /// The plural, e.g. `volumes`; with `/status` for a subresource, which no message shows.
    pub resource: String,
    /// The singular in camel case, e.g. `Volume`.
    pub kind: String,
}

impl GroupResource {
    /// The plural without its subresource.
    #[must_use]
    pub fn plural(&self) -> &str {
        self.resource.split('/').next().unwrap_or_default()
    }

    /// `volumes.weir.dev`, or `nodes` in the core group.
    #[must_use]
    pub fn qualified(&self) -> String {
        qualified(self.plural(), &self.group)
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

/// Why a field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CauseReason {
    /// It has to be there.
    Required,
    /// Its value breaks a rule.
    Invalid,
    /// Its value is not one of those that are known.
    NotSupported,
    /// Its value is of another type.
    TypeInvalid,
    /// It is there already.
    Duplicate,
    /// Its text is too long.
    TooLong,
    /// It has too many items.
    TooMany,
    /// It may not be set, or not now.
    Forbidden,
    /// The namespace is on its way out.
    NamespaceTerminating,
    /// The revision that was asked for is yet to come.
    ResourceVersionTooLarge,
}

impl CauseReason {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CauseReason::Required => "FieldValueRequired",
            CauseReason::Invalid => "FieldValueInvalid",
            CauseReason::NotSupported => "FieldValueNotSupported",
            CauseReason::TypeInvalid => "FieldValueTypeInvalid",
            CauseReason::Duplicate => "FieldValueDuplicate",
            CauseReason::TooLong => "FieldValueTooLong",
            CauseReason::TooMany => "FieldValueTooMany",
            CauseReason::Forbidden => "FieldValueForbidden",
            CauseReason::NamespaceTerminating => "NamespaceTerminating",
            CauseReason::ResourceVersionTooLarge => "ResourceVersionTooLarge",
        }
    }
}

/// One field that is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The class of the reason.
    pub reason: CauseReason,
    /// The reason in words, e.g. `Invalid value: 5: …`.
    pub message: String,
    /// The field's path, e.g. `spec.devices[0]`.
    pub field: String,
}

impl Cause {
    /// A cause. What is far too long to be read is cut: it came from outside.
    #[must_use]
    pub fn new(reason: CauseReason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Cause {
            reason,
            message: bounded(message.into(), 4096),
            field: bounded(field.into(), 1024),
        }
    }

    /// A field that has to be there; `why` may be empty.
    #[must_use]
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        Cause::new(CauseReason::Required, field, message)
    }

    /// A value that breaks a rule. Objects and lists are not repeated in the message.
    #[must_use]
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        let message = match value {
            Value::Object(_) | Value::Array(_) => format!("Invalid value: {why}"),
            value => format!("Invalid value: {}: {why}", shown(value)),
        };
        Cause::new(CauseReason::Invalid, field, message)
    }

    /// A value that is not one of `supported`, which are printed as they are.
    #[must_use]
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let quoted: Vec<_> = supported.iter().map(|s| format!("{s:?}")).collect();
        let message = format!(
            "Unsupported value: {}: supported values: {}",
            shown(value),
            quoted.join(", ")
        );
        Cause::new(CauseReason::NotSupported, field, message)
    }

    /// Something that may not be done to this field, or not now.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Cause::new(CauseReason::Forbidden, field, format!("Forbidden: {why}"))
    }

    /// A value that stands a second time in a list that is a set or a map.
    #[must_use]
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {}", shown(value));
        Cause::new(CauseReason::Duplicate, field, message)
    }

    /// Text longer than `limit`.
    #[must_use]
    pub fn too_long(field: impl Into<String>, limit: u64) -> Self {
        let message = format!("Too long: may not be more than {limit} bytes");
        Cause::new(CauseReason::TooLong, field, message)
    }

    /// More items or properties than `limit`.
    #[must_use]
    pub fn too_many(field: impl Into<String>, got: usize, limit: u64) -> Self {
        let message = format!("Too many: {got}: must have at most {limit} items");
        Cause::new(CauseReason::TooMany, field, message)
    }

    fn to_json(&self) -> Value {
        if self.field.is_empty() {
            json!({"reason": self.reason.as_str(), "message": self.message})
        } else {
            json!({"reason": self.reason.as_str(), "message": self.message, "field": self.field})
        }
    }
}

/// A value as a message repeats it: at most a kilobyte of it.
fn shown(value: &Value) -> String {
    bounded(value.to_string(), 1024)
}

/// A text cut to about so many bytes.
pub(crate) fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = text.floor_char_boundary(most);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What an error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name, where there is one.
    pub name: String,
    /// Its group; empty for the core group.
    pub group: String,
    /// Its plural, or its kind where a real server says so.
    pub kind: String,
    /// The fields that are at fault.
    pub causes: Vec<Cause>,
    /// When to try again, in seconds.
    pub retry_after_seconds: Option<u32>,
}

impl Details {
    fn of(of: &GroupResource, name: &str) -> Self {
        Details {
            name: bounded(name.to_owned(), 512),
            group: of.group.clone(),
            kind: of.plural().to_owned(),
            ..Details::default()
        }
    }

    fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
        ] {
            if !text.is_empty() {
                map.insert(key.to_owned(), Value::from(text.as_str()));
            }
        }
        if !self.causes.is_empty() {
            map.insert(
                "causes".to_owned(),
                self.causes.iter().map(Cause::to_json).collect(),
            );
        }
        if let Some(seconds) = self.retry_after_seconds {
            map.insert("retryAfterSeconds".to_owned(), Value::from(seconds));
        }
        Value::Object(map)
    }
}

/// A request that is refused or that failed, as the client is told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason; a few answers have none.
    pub reason: Option<&'static str>,
    /// The reason in words.
    pub message: String,
    /// What it is about; boxed, for errors are returned by value.
    pub details: Option<Box<Details>>,
    /// With an expired `continue`: a token to go on with, at the price of consistency.
    pub continue_with: Option<String>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            code,
            reason: Some(reason),
            message: bounded(message.into(), 8192),
            details: None,
            continue_with: None,
        }
    }

    fn about(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_status(&self) -> Value {
        let metadata = match &self.continue_with {
            Some(token) => json!({"continue": token}),
            None => json!({}),
        };
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if let Some(reason) = self.reason {
            status["reason"] = Value::from(reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.to_json();
        }
        status
    }

    /// The fields at fault, if the error names any.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        self.details.as_ref().map_or(&[], |d| &d.causes)
    }

    /// When to try again, in seconds: the `Retry-After` header.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.details.as_ref().and_then(|d| d.retry_after_seconds)
    }
}
