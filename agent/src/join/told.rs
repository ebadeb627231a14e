//! What was said of a failure last: while it stays the same, once is enough.

use super::error::JoinError;
use crate::chain;

/// The text of it.
#[derive(Debug, Default)]
pub(super) struct Told(Option<String>);

impl Told {
    /// A failure as text, unless that was told last.
    pub(super) fn news(&mut self, error: &JoinError) -> Option<String> {
        let text = chain(error);
        if self.0.as_ref() == Some(&text) {
            return None;
        }
        self.0 = Some(text.clone());
        Some(text)
    }

    /// It went well: the next failure is told, whichever it is.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}
