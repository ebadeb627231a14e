//! Our programs, linked statically, so that an image needs nothing for them and a host neither.
//!
//! They are glibc's on every machine: with musl where its standard library happens to be installed, and glibc where it is not, two
//! machines would ship different programs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::command::Cmd;
use crate::workspace::Workspace;

/// For what they are built.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Programs, and the packages that they are in.
pub(crate) const PROGRAMS: [(&str, &str); 4] = [
    ("weir-agent", "weir-agent"),
    ("weir-cli", "weir"),
    ("weir-controller", "weir-controller"),
    ("weir-csi", "weir-csi"),
];

/// Builds them; the directory they are in.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let packages = PROGRAMS
        .iter()
        .flat_map(|(package, _)| ["-p", *package])
        .collect::<Vec<_>>();
    workspace
        .cargo()
        // With a target of its own, what runs while it is built is linked as ever.
        .args(["build", "--locked", "--release", "--target", TARGET])
        .args(packages)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace.root()))
        .show()?;
    Ok(workspace.target().join(TARGET).join("release"))
}

/// Each of them is there and is static.
pub(crate) fn check(dir: &Path) -> Result<()> {
    PROGRAMS
        .iter()
        .try_for_each(|(_, program)| check_static(&dir.join(program)))
}

/// Static, and without this machine's paths in what a panic prints.
fn flags(root: &Path) -> String {
    let home = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| Some(home("HOME")?.join(".cargo")));
    let mut flags = vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Cstrip=symbols".to_owned(),
    ];
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    if let Some(cargo) = cargo {
        remap(&cargo, "/cargo");
    }
    remap(root, "/weir");
    flags.join("\u{1f}")
}

/// Neither an interpreter nor a library is asked for.
fn check_static(program: &Path) -> Result<()> {
    let headers = Cmd::new("readelf")
        .args(["--wide", "--program-headers", "--dynamic"])
        .arg(program)
        .env("LC_ALL", "C")
        .read()?;
    if let Some(asked) = asked_for(&headers) {
        bail!("{} is not static: {asked}", program.display());
    }
    Ok(())
}

/// The line in which a program asks for something that it does not bring.
fn asked_for(headers: &str) -> Option<&str> {
    let mut lines = headers.lines().map(str::trim);
    lines.find(|line| line.starts_with("INTERP") || line.contains("(NEEDED)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not seen red yet: `(NEEDED)` not looked for.
    #[test]
    fn a_program_that_needs_a_library_is_not_static() {
        let fixed = "  LOAD  0x0 0x0 R\n  DYNAMIC 0x1 RW\n 0x1e (FLAGS) BIND_NOW\n";
        assert_eq!(asked_for(fixed), None);
        let interpreted = format!("{fixed}  INTERP 0x318 R 0x1\n");
        assert_eq!(asked_for(&interpreted), Some("INTERP 0x318 R 0x1"));
        let linked = format!("{fixed} 0x1 (NEEDED) Shared library: [libc.so.6]\n");
        assert!(asked_for(&linked).is_some());
    }
}
