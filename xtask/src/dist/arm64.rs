//! Whether what nodes run compiles for 64-bit ARM. Its standard library is built from source, as eBPF's `core` is; C is compiled by
//! Debian's cross compiler.

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::progress::say;
use crate::setup;
use crate::workspace::Workspace;

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// What runs on nodes and in clusters; developers' commands stay where they are.
const PACKAGES: [&str; 5] = [
    "weir-agent",
    "weir-cli",
    "weir-controller",
    "weir-csi",
    "nvmet",
];

/// Lets the compiler check all of it.
pub(crate) fn check(cache: &Cache) -> Result<()> {
    setup::arm64()?;
    let workspace = Workspace::open(cache)?;
    workspace
        .cargo()
        .args([
            "check",
            "--locked",
            "--bins",
            "--target",
            TARGET,
            "-Zbuild-std",
        ])
        .args(PACKAGES.iter().flat_map(|package| ["-p", *package]))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc")
        .env("AR_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-ar")
        .show()
        .context("checking for 64-bit ARM")?;
    say(format!("{} compile for {TARGET}", PACKAGES.join(", ")));
    Ok(())
}
