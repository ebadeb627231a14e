//! What people do with kubectl, from the first look to the last deletion: each step builds on those before.

mod built_in;
mod delete;
mod look;
mod manifests;
mod wait;
mod write;

use super::case::Case;

/// All of it.
pub(crate) fn steps() -> Vec<Case> {
    [
        write::create(),
        look::get(),
        look::describe(),
        write::apply(),
        write::change(),
        wait::watch(),
        wait::wait(),
        built_in::built_in(),
        look::ask(),
        delete::delete(),
    ]
    .concat()
}
