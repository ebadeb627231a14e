//! `weir-agent check`: what this node has and lacks for Weir, and what to do about it.
//!
//! [`facts`] looks, [`findings`] judges what was seen: a pure function. Nothing is changed.

pub mod facts;
mod judge;

use std::fmt::Write;

use clap::ValueEnum;
use serde::Serialize;

pub use judge::findings;

use crate::table::table;

/// What a node is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// It holds pools, and exports volumes.
    Storage,
    /// It uses volumes of other nodes.
    Consumer,
}

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked for.
    pub name: String,
    /// Whether it is there.
    pub state: State,
    /// Whether this node can't do its work without it.
    pub required: bool,
    /// What was seen.
    pub seen: String,
    /// What to do, where something is missing.
    pub remedy: Option<String>,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there, or not needed on this node.
    Found,
    /// It is not.
    Missing,
    /// Nobody could find out.
    Unknown,
}

/// Whether everything that is required was found.
#[must_use]
pub fn is_fit(findings: &[Finding]) -> bool {
    let is_bad = |finding: &Finding| finding.required && finding.state != State::Found;
    !findings.iter().any(is_bad)
}

/// A table, and a sentence on the whole.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        let state = match (finding.state, finding.required) {
            (State::Found, _) => "found",
            (State::Missing, true) => "MISSING",
            (State::Missing, false) => "missing",
            (State::Unknown, true) => "UNKNOWN",
            (State::Unknown, false) => "unknown",
        };
        let remedy = finding.remedy.clone().unwrap_or_default();
        [
            finding.name.clone(),
            state.to_owned(),
            finding.seen.clone(),
            remedy,
        ]
    };
    let rows: Vec<_> = findings.iter().map(row).collect();
    let mut text = String::new();
    table(&mut text, ["CHECK", "STATE", "SEEN", "REMEDY"], &rows);
    let said = if is_fit(findings) {
        "everything that is required is there"
    } else {
        "something required, in capitals above, is not there"
    };
    let _ = writeln!(text, "{said}");
    text
}

#[cfg(test)]
mod tests;
