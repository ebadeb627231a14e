//! The disk that carries the binaries under test into guests, where it is mounted on `/weir`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::Cmd;

/// Makes the disk from programs and from `deploy`, the directory of what nodes install besides. Debug
/// information stays behind, it would be nine tenths of it.
pub(crate) fn make(programs: &[PathBuf], deploy: &Path, image: &Path) -> Result<()> {
    let dir = tempfile::tempdir().context("making the payload's directory")?;
    for program in programs {
        let name = program.file_name().context("a program has no name")?;
        Cmd::new("strip")
            .arg("--strip-debug")
            .arg("-o")
            .arg(dir.path().join(name))
            .arg(program)
            .run()?;
    }
    Cmd::new("cp")
        .arg("-r")
        .arg(deploy)
        .arg(dir.path().join("deploy"))
        .run()?;
    let _ = fs::remove_file(image);
    Cmd::new("mke2fs")
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
        .arg(dir.path())
        .arg(image)
        .arg("512M")
        .run()
}
