//! What an idempotent verb did.

use serde::Serialize;

/// Whether anything had to be changed. Both are success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was so already.
    Unchanged,
    /// It was changed.
    Changed,
}

impl Outcome {
    /// Whether anything was changed.
    #[must_use]
    pub fn is_changed(self) -> bool {
        self == Outcome::Changed
    }
}
