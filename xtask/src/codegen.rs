//! `cargo xtask codegen`: files that are made from code, and whether they are what the code makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::read_file;
use crate::progress;

/// Where the definitions of Weir's objects are.
const DEFINITIONS: &str = "deploy/crds";

/// How to put right what is not as it should be.
const REMEDY: &str = "run `cargo xtask codegen` and commit what it writes";

/// Writes every generated file, and removes what is no longer made.
pub(crate) fn write(root: &Path) -> Result<()> {
    let dir = root.join(DEFINITIONS);
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let files = files();
    for stale in present(root)?
        .iter()
        .filter(|file| !files.contains_key(*file))
    {
        std::fs::remove_file(root.join(stale))
            .with_context(|| format!("removing {}", stale.display()))?;
    }
    for (file, text) in &files {
        std::fs::write(root.join(file), text)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    progress::say(format!("wrote {} files in {DEFINITIONS}", files.len()));
    Ok(())
}

/// Fails with a line for each file that is not what the code makes.
pub(crate) fn check(root: &Path) -> Result<()> {
    let complaints = complaints(root)?;
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}", complaints.join("\n"))
}

/// A line for each file that is not what the code makes, with what to do about it.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>> {
    let files = files();
    let mut complaints = Vec::new();
    for (file, text) in &files {
        let path = root.join(file);
        let problem = match path.exists() {
            false => "is missing",
            true if read_file(&path)? != *text => "is not what api/src/crd makes",
            true => continue,
        };
        complaints.push(format!("{}: {problem}: {REMEDY}", file.display()));
    }
    let stale = present(root)?.into_iter();
    complaints.extend(
        stale
            .filter(|file| !files.contains_key(file))
            .map(|file| format!("{}: nothing makes it: {REMEDY}", file.display())),
    );
    Ok(complaints)
}

/// Every generated file, by its path in the clone.
fn files() -> BTreeMap<PathBuf, String> {
    let definitions = weir_api::crd::all();
    let file = |definition: &_| {
        let text = weir_api::crd::yaml(definition);
        format!("# Written by `cargo xtask codegen` from api/src/crd: change it there.\n{text}")
    };
    definitions
        .iter()
        .map(|definition| {
            let names = &definition.spec.names;
            let name = format!("{}.{}.yaml", names.plural, definition.spec.group);
            (Path::new(DEFINITIONS).join(name), file(definition))
        })
        .collect()
}

/// The files that are where generated files belong.
fn present(root: &Path) -> Result<Vec<PathBuf>> {
    let dir = root.join(DEFINITIONS);
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = entry
            .with_context(|| format!("reading {}", dir.display()))?
            .file_name();
        files.push(Path::new(DEFINITIONS).join(name));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_is_missing_or_is_stale_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(complaints(root).unwrap().len(), files().len());
        write(root).unwrap();
        check(root).unwrap();
        let volumes = root.join("deploy/crds/volumes.weir.dev.yaml");
        let text = read_file(&volumes).unwrap();
        assert!(
            text.starts_with("# Written by `cargo xtask codegen`"),
            "{text}"
        );
        std::fs::write(&volumes, text.replace("maxItems: 16", "maxItems: 17")).unwrap();
        std::fs::write(root.join("deploy/crds/old.yaml"), "").unwrap();
        let error = check(root).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        assert!(
            lines[0].starts_with("deploy/crds/volumes.weir.dev.yaml: "),
            "{error}"
        );
        assert!(lines[1].starts_with("deploy/crds/old.yaml: "), "{error}");
        assert!(lines.iter().all(|line| line.ends_with(REMEDY)), "{error}");
        write(root).unwrap();
        check(root).unwrap();
        assert!(!root.join("deploy/crds/old.yaml").exists());
    }
}
