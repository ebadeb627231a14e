//! Field selectors: `spec.poolName=fast,metadata.name!=a`.

use serde_json::Value;

use super::{indexed, value_of};
use crate::standalone::error::ApiError;
use crate::standalone::resource::{Nature, Resource};
use crate::standalone::store::indexed::Indexed;

/// A selection by fields. The empty one takes everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSelector {
    nature: Nature,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    /// Whether the field is to have the value, or any other.
    equal: bool,
}

/// Names that `events.k8s.io` has for fields that are stored as the core group calls them.
fn stored_name(field: &str, resource: &Resource) -> String {
    if resource.nature != Nature::EventV1 {
        return field.to_owned();
    }
    match field {
        "reportingController" => "reportingComponent".to_owned(),
        _ => match field.strip_prefix("regarding.") {
            Some(rest) => format!("involvedObject.{rest}"),
            None => field.to_owned(),
        },
    }
}

impl FieldSelector {
    /// Reads a selector as it stands in a query.
    ///
    /// # Errors
    /// 400 when it can't be understood, or asks for a field that can't be selected by.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for term in split(text).into_iter().filter(|t| !t.is_empty()) {
            let (field, value, equal) = halves(term).ok_or_else(|| {
                let message = format!("invalid selector: '{text}'; can't understand '{term}'");
                ApiError::bad_request(message)
            })?;
            let value = unescape(value).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "invalid selector: '{text}'; bad escape in '{term}'"
                ))
            })?;
            let name = stored_name(field, resource);
            let is_known = name == "metadata.name"
                || (name == "metadata.namespace" && resource.namespaced)
                || resource.selectable.contains(&name);
            if !is_known {
                return Err(ApiError::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            terms.push(Term {
                field: name,
                value,
                equal,
            });
        }
        Ok(FieldSelector {
            nature: resource.nature,
            terms,
        })
    }

    /// Whether everything is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that a field is to have, if the selector says so.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|t| t.equal && t.field == field);
        term.map(|t| t.value.as_str())
    }

    /// Whether it takes an object, in the shape it is stored in.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.terms
            .iter()
            .all(|t| t.takes(&value_of(object, &t.field, self.nature)))
    }

    /// Whether it takes an object of which this is known.
    #[must_use]
    pub fn matches_indexed(&self, indexed: &Indexed) -> bool {
        self.terms.iter().all(|t| match t.field.as_str() {
            "metadata.name" => t.takes(&indexed.name),
            "metadata.namespace" => t.takes(&indexed.namespace),
            field => t.takes(indexed.fields.get(field).map_or("", String::as_str)),
        })
    }
}

impl Term {
    fn takes(&self, value: &str) -> bool {
        (self.value == value) == self.equal
    }
}

impl Indexed {
    /// What is kept of an object; it is in the shape it is stored in.
    #[must_use]
    pub fn of(resource: &Resource, object: &Value) -> Self {
        indexed(resource, object)
    }
}

/// The terms between commas that aren't escaped.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Field, value, and whether they are to be equal.
fn halves(term: &str) -> Option<(&str, &str, bool)> {
    for (at, c) in term.char_indices() {
        let rest = &term[at..];
        match c {
            '!' if rest.starts_with("!=") => return Some((&term[..at], &rest[2..], false)),
            '=' if rest.starts_with("==") => return Some((&term[..at], &rest[2..], true)),
            '=' => return Some((&term[..at], &rest[1..], true)),
            _ => {}
        }
    }
    None
}

fn unescape(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(|c| "\\,=".contains(*c))?),
            // These have to be escaped.
            ',' | '=' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}
