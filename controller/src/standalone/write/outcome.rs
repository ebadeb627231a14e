//! What a write is asked to be, and what it comes to.

use serde_json::Value;

use crate::standalone::error::{ApiError, Cause};

/// What becomes of unknown and repeated fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// The write is refused.
    Strict,
    /// They are dropped, with a warning each.
    #[default]
    Warn,
    /// They are dropped.
    Ignore,
}

impl FieldValidation {
    /// Reads the query parameter. `options` is e.g. `CreateOptions`.
    ///
    /// # Errors
    /// 422 for another word.
    pub fn parse(text: &str, options: &str) -> Result<Self, ApiError> {
        match text {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Strict" => Ok(FieldValidation::Strict),
            "Ignore" => Ok(FieldValidation::Ignore),
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"].map(str::to_owned);
                let value = Value::from(other);
                let cause = Cause::not_supported("fieldValidation", &value, &supported);
                Err(ApiError::invalid_option(options, cause))
            }
        }
    }
}

/// The part of an object that a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// Nothing but the status.
    Status,
}

/// What is to be done with an accepted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is what it was.
    Unchanged,
    /// It is to be stored.
    Written,
    /// Its last finalizer went after it was deleted: it is to be removed.
    Removed,
}

/// A write that may go ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The complete object, in the shape it is stored in, without `metadata.resourceVersion`.
    pub object: Value,
    /// For the client, e.g. `unknown field "spec.bogus"`.
    pub warnings: Vec<String>,
    /// What is to be done.
    pub change: Change,
}
