//! What goes to standard output.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One object, for a program
    Json,
}

impl Output {
    /// Prints a result as it was asked for.
    pub(crate) fn show<T: Serialize>(
        self,
        result: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        match self {
            Output::Text => print(&text(result)),
            Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(result)?)),
        }
    }
}

/// Prints. A reader that had enough, as `head` has, is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot print"),
    }
}
