//! The kernel's NVMe target, as the engine needs it.

use std::error::Error;
use std::path::Path;

use nvmet::tree::Tree;
use nvmet::{Change, Configfs, Outcome, ReadError, Target};
use thiserror::Error;

use crate::fail_point;
use crate::observed::TargetView;

/// A change to the target that was not made, or not to its end.
#[derive(Debug, Error)]
#[error("failed to change the NVMe target")]
pub struct TargetError(#[source] Box<dyn Error + Send + Sync>);

/// Reads and changes the target.
pub trait Exports: Send {
    /// What is.
    fn read(&self) -> TargetView;
    /// Makes what differs between `have` and `want`, and nothing else.
    ///
    /// # Errors
    /// The kernel refused a change; those before it were made.
    fn change(&self, have: &Target, want: &Target) -> Result<Outcome, TargetError>;
}

/// The target below a configfs tree.
pub struct KernelTarget<T> {
    /// The tree.
    pub configfs: Configfs<T>,
    /// Whether the module is loaded, for telling "nothing is exported" from "nobody can see it".
    pub is_loaded: Box<dyn Fn() -> bool + Send>,
}

/// Whether the running kernel has nvmet, loaded or built in.
#[must_use]
pub fn is_nvmet_loaded() -> bool {
    Path::new("/sys/module/nvmet").exists()
}

impl<T: Tree + Send> Exports for KernelTarget<T> {
    fn read(&self) -> TargetView {
        match self.configfs.read() {
            Ok(target) => TargetView::Present(target),
            Err(error @ ReadError::NoTarget { .. }) if !(self.is_loaded)() => {
                TargetView::Absent(crate::chain(&error))
            }
            Err(error) => TargetView::Unknown(crate::chain(&error)),
        }
    }

    fn change(&self, have: &Target, want: &Target) -> Result<Outcome, TargetError> {
        let changes = nvmet::plan(have, want);
        let made = |change: &Change| {
            tracing::info!(%change, "nvmet");
            fail_point::after_with(|| kind_of(change));
        };
        let outcome = self.configfs.apply_each(&changes, made);
        outcome.map_err(|error| TargetError(error.into()))
    }
}

/// A change's name without the things it is about: that of its kind and of its attribute.
fn kind_of(change: &Change) -> String {
    let json = serde_json::to_value(change).unwrap_or_default();
    let kind = json["change"].as_str().unwrap_or_default();
    let attribute = json["value"]
        .as_object()
        .and_then(|value| value.keys().next());
    attribute.map_or(kind.to_owned(), |attribute| format!("{kind} {attribute}"))
}
