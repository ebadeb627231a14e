//! nvmetcli's JSON: what `nvmetcli save` writes and `nvmetcli restore` reads (nvmetcli 0.9).
//!
//! [`read`] takes what nvmetcli wrote, and [`write`] makes what it takes. Each attribute that is in
//! the file is wanted, each that isn't is left as it is. Two things that nvmetcli does not save are
//! written where it doesn't look, so that nothing is lost between two of ours: a namespace's
//! `buffered_io` and `p2pmem`. nvmetcli saves the discovery NQN and does not restore it; this does.
//!
//! What the file can hold and the model can't is an error that names the field: a passthru subsystem
//! that was set up, a port or referral of another transport, a port without an address, a namespace
//! without a UUID (hosts would see another disk after every reboot).

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::model::Target;

mod field;
mod reader;
mod writer;

/// What is wrong with a file. Keys are never in it.
#[derive(Debug, Error)]
pub enum NvmetcliError {
    /// It is no JSON.
    #[error("is not JSON: {category} at line {line}, column {column}")]
    Json {
        /// What kind of error it is.
        category: &'static str,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// A field doesn't hold what it should.
    #[error("{field}: {problem}")]
    Field {
        /// Where, as in `subsystems[0].namespaces[1].device.uuid`.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads what `nvmetcli save` wrote.
///
/// # Errors
/// The first field that is wrong, unknown or missing. Hosts, subsystems and ports must all be there:
/// a file that was cut short is no order to remove what it doesn't name.
pub fn read(text: &str) -> Result<Target, NvmetcliError> {
    read_value(&parse(text)?)
}

/// The same, of a text that was parsed already.
///
/// # Errors
/// As [`read`]'s.
pub fn read_value(value: &Value) -> Result<Target, NvmetcliError> {
    reader::target(value)
}

/// Whether a JSON value is nvmetcli's, and not a [`Target`]'s own: it has lists where that has maps.
#[must_use]
pub fn is_nvmetcli(value: &Value) -> bool {
    ["hosts", "subsystems", "ports"]
        .iter()
        .any(|field| value[field].is_array())
}

/// Writes what `nvmetcli restore` reads. Unfinished ports and what is unmodelled are not in it. Keys
/// are.
#[must_use]
pub fn write(target: &Target) -> String {
    // As nvmetcli does: sorted, two blanks, a newline at the end.
    format!("{:#}\n", writer::target(target))
}

/// The JSON value of a text, without a character of it in the error: it may hold keys.
///
/// # Errors
/// It is none.
pub fn parse(text: &str) -> Result<Value, NvmetcliError> {
    serde_json::from_str(text).map_err(|error| NvmetcliError::Json {
        category: match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            _ => "a syntax error",
        },
        line: error.line(),
        column: error.column(),
    })
}

impl NvmetcliError {
    fn field(field: impl fmt::Display, problem: impl Into<String>) -> Self {
        NvmetcliError::Field {
            field: field.to_string(),
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests;
