//! `cargo xtask lint`: clippy without a warning, generated files up to date, and the rules no compiler
//! knows.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::codegen;
use crate::command::{Cmd, read_file};
use crate::workspace::Workspace;

/// The longest file, tests not counted.
const LONGEST: usize = 500;

/// Runs all of them.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let strict = ["--", "-D", "warnings"];
    workspace
        .cargo()
        .args(["clippy", "--locked", "--workspace", "--all-targets"])
        .args(strict)
        .show()?;
    // Tests that need root or a VM are left out of `--all-targets`.
    workspace
        .cargo()
        .args(["clippy", "--workspace", "--test", "*"])
        .args(strict)
        .show()?;
    let mut complaints = tidy(workspace.root())?;
    complaints.extend(codegen::complaints(workspace.root())?);
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}", complaints.join("\n"))
}

/// Whether every source file says in its first line what it is, is no longer than a reader can
/// hold, and stands under its own name.
fn tidy(root: &Path) -> Result<Vec<String>> {
    let tracked = Cmd::new("git")
        .dir(root)
        .args(["ls-files", "*.rs"])
        .read()?;
    let files = tracked
        .lines()
        .map(PathBuf::from)
        .filter(|file| root.join(file).exists());
    let check = |file: PathBuf| -> Result<Vec<String>> {
        let text = read_file(&root.join(&file))?;
        let rules = broken_rules(&file, &text).into_iter();
        Ok(rules
            .map(|rule| format!("{}: {rule}", file.display()))
            .collect())
    };
    let complaints: Vec<Vec<String>> = files.map(check).collect::<Result<_>>()?;
    Ok(complaints.concat())
}

fn broken_rules(file: &Path, text: &str) -> Vec<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let is_test = name == "tests.rs" || file.components().any(|part| part.as_os_str() == "tests");
    let code = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or(text)
        .lines()
        .count();
    let mut rules = Vec::new();
    if !text.starts_with("//!") {
        rules.push("does not begin with `//!`".to_owned());
    }
    if !is_test && code > LONGEST {
        rules.push(format!(
            "has {code} lines without tests, more than {LONGEST}"
        ));
    }
    if ["mod.rs", "utils.rs", "util.rs", "common.rs"].contains(&name.as_ref()) {
        rules.push("says nothing by its name".to_owned());
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_first_line_or_a_name_is_named() {
        let rules = |file: &str, text: &str| broken_rules(Path::new(file), text).len();
        assert_eq!(rules("src/disk.rs", "//! Disks.\n"), 0);
        assert_eq!(rules("src/disk.rs", "use std::fs;\n"), 1);
        assert_eq!(rules("src/vm/mod.rs", "//! VMs.\n"), 1);
        assert_eq!(
            rules(
                "src/disk.rs",
                &format!("//! Disks.\n{}", "\n".repeat(LONGEST))
            ),
            1
        );
        let tests = format!(
            "//! Disks.\n\n#[cfg(test)]\nmod tests {{}}{}",
            "\n".repeat(LONGEST)
        );
        assert_eq!(rules("src/disk.rs", &tests), 0);
        let long = format!("//! Disks.\n{}", "\n".repeat(LONGEST));
        assert_eq!(rules("src/disk/tests.rs", &long), 0);
    }
}
