//! `weir man`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_mangen::Man;

use crate::output::print;

/// `weir man`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write a page for every command into this directory, which has to be there, instead of printing one
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints the page of `weir`, or writes all pages.
pub(crate) fn run(arguments: &Arguments, command: Command) -> Result<()> {
    if let Some(directory) = &arguments.directory {
        let pages = clap_mangen::generate_to(command, directory);
        return pages.with_context(|| format!("cannot write pages into `{}`", directory.display()));
    }
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .context("cannot make the page")?;
    print(&String::from_utf8(page).context("the page is no text")?)
}
