//! The standard library's source: the eBPF target has no prebuilt `core`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use crate::cache::Cache;
use crate::command::Cmd;
use crate::progress::say;

/// Makes the sysroot's `library` directory exist: it is there, or rustup brings it, or Debian's
/// package of exactly this compiler's version does.
pub(super) fn ensure(cache: &Cache) -> Result<()> {
    let sysroot = PathBuf::from(
        Cmd::new("rustc")
            .args(["--print", "sysroot"])
            .read()?
            .trim(),
    );
    let link = sysroot.join("lib/rustlib/src/rust");
    if link.join("library/core/Cargo.toml").exists() {
        return Ok(());
    }
    say("rust-src is missing: trying rustup");
    let rustup = Cmd::new("timeout")
        .args(["20", "rustup", "component", "add", "rust-src"])
        .run();
    if rustup.is_ok() && link.join("library/core/Cargo.toml").exists() {
        return Ok(());
    }
    say("rustup could not bring it: taking Debian's package");
    let version = compiler_version()?;
    let tree = cache
        .dir("rust-src")?
        .join("usr/src")
        .join(format!("rustc-{version}"));
    if !tree.join("library/core/Cargo.toml").exists() {
        from_debian(cache, &version)?;
    }
    if !tree.join("library/core/Cargo.toml").exists() {
        bail!("the package rust-src has no {}", tree.display());
    }
    put_link(&tree, &link)
}

fn from_debian(cache: &Cache, version: &str) -> Result<()> {
    let apt = Apt::open(cache, "trixie-backports")?;
    let package = apt.version("rust-src", &format!("{version}+"))?.with_context(|| {
        format!(
            "Debian has no rust-src {version}. Run `rustup component add rust-src` on a machine \
             that reaches rustup's server, then run this again"
        )
    })?;
    let deb = apt.download_alone("rust-src", &package, &cache.dir("debs/rust-src")?)?;
    Cmd::new("dpkg-deb")
        .arg("-x")
        .arg(deb)
        .arg(cache.dir("rust-src")?)
        .run()
}

fn put_link(tree: &Path, link: &Path) -> Result<()> {
    let parent = link.parent().context("the sysroot has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    // An old link may point at a cache that is gone.
    if link.is_symlink() {
        fs::remove_file(link).with_context(|| format!("removing {}", link.display()))?;
    }
    std::os::unix::fs::symlink(tree, link).with_context(|| {
        format!(
            "linking {} to {}: is the toolchain writable?",
            link.display(),
            tree.display()
        )
    })
}

fn compiler_version() -> Result<String> {
    let verbose = Cmd::new("rustc").arg("-vV").read()?;
    let release = verbose
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    Ok(release.context("rustc -vV names no release")?.to_owned())
}
