//! RESULTS.md: the closing lines of full runs, with commit and date. Written by the command only.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Area;
use super::report::Report;
use crate::command::Cmd;
use crate::kernel::Kernel;

/// What is tested: a commit, as it is or with changes.
pub(crate) struct Source(String);

impl Source {
    /// What is there now: to be asked before anything is built of it, since a full run takes a while.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let git = |args: &[&str]| Cmd::new("git").dir(root).args(args).read();
        let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        let changed = if changes.is_empty() {
            ""
        } else {
            " with changes"
        };
        Ok(Source(format!("{}{changed}", commit.trim())))
    }
}

/// Replaces the section of this area (of this kernel, if it is only one), or adds it.
pub(crate) fn write(
    root: &Path,
    Source(source): &Source,
    area: Area,
    kernels: &[Kernel],
    seed: u64,
    report: &Report,
) -> Result<()> {
    let path = root.join("RESULTS.md");
    let old = fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    let date = Cmd::new("date").args(["-u", "+%Y-%m-%d"]).read()?;
    let name = format!("{area:?}").to_lowercase();
    // One kernel of several never replaces what all of them showed.
    let title = match kernels {
        [only] if area != Area::Host => format!("## {name}, {only}\n"),
        _ => format!("## {name}\n"),
    };
    let kernels: Vec<_> = kernels.iter().map(ToString::to_string).collect();
    let kernels = match kernels.is_empty() {
        true => String::new(),
        false => format!(" kernels {},", kernels.join(", ")),
    };
    let section = format!(
        "{title}\n`cargo xtask test {name} --full`, commit {source}, {},{kernels} seed {seed}\n\n```\n{}\n```\n",
        date.trim(),
        report.lines().join("\n"),
    );
    let new = replace_section(&old, &title, &section);
    fs::write(&path, new).with_context(|| format!("writing {}", path.display()))
}

const HEAD: &str =
    "# Results\n\nClosing lines of full test runs, written by `cargo xtask test AREA --full`.\n";

fn replace_section(text: &str, title: &str, section: &str) -> String {
    let Some(start) = text.find(title) else {
        return format!("{text}\n{section}");
    };
    let after = start + title.len();
    let end = text[after..]
        .find("\n## ")
        .map_or(text.len(), |next| after + next + 1);
    let rest = &text[end..];
    let gap = if rest.is_empty() { "" } else { "\n" };
    format!("{}{section}{gap}{rest}", &text[..start])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_once_and_then_replaced() {
        let one = replace_section("# Results\n", "## a\n", "## a\n1\n");
        let two = replace_section(&one, "## b\n", "## b\n1\n");
        let three = replace_section(&two, "## a\n", "## a\n2\n");
        assert_eq!(three, "# Results\n\n## a\n2\n\n## b\n1\n");
    }
}
