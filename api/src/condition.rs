//! Conditions: what an operator should know about an object, each with a reason a program can match.

use serde::{Deserialize, Serialize};

/// One aspect of an object's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The aspect; one of the constants below.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: Truth,
    /// One word in CamelCase that a program can match.
    pub reason: String,
    /// A sentence for a person: what is the case and what to do.
    pub message: String,
}

/// A condition's three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody could find out.
    Unknown,
}

/// The object does what its spec asks for.
pub const READY: &str = "Ready";
/// Its request vanished without an order to delete it: it is kept and served as recorded.
pub const ORPHANED: &str = "Orphaned";

impl Condition {
    /// A condition of type `kind`.
    pub fn new(
        kind: &str,
        status: Truth,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Condition {
            kind: kind.to_owned(),
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }
}
