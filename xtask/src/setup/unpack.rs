//! Unpacking Debian packages into a directory, without installing them: no script of theirs runs.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::Cmd;
use crate::progress::Progress;

/// Unpacks packages, less what these patterns of tar's are for.
pub(crate) fn debs(debs: &[PathBuf], into: &Path, without: &[&str]) -> Result<()> {
    let progress = Progress::bytes("unpacking", debs.len() as u64);
    // base-files first: it makes /lib and its like links into /usr.
    let mut debs: Vec<_> = debs.iter().collect();
    debs.sort_by_key(|deb| {
        let name = deb
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (!name.starts_with("base-files"), name)
    });
    for (done, deb) in (0..).zip(&debs) {
        let unpacking = r#"deb=$1 into=$2; shift 2; dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$into" --no-same-owner --keep-directory-symlink "$@" -f -"#;
        Cmd::new("bash")
            .args(["-euo", "pipefail", "-c", unpacking, "unpack"])
            .arg(deb)
            .arg(into)
            .args(without.iter().map(|pattern| format!("--exclude={pattern}")))
            .run()?;
        progress.at(done + 1);
    }
    progress.done();
    Ok(())
}
