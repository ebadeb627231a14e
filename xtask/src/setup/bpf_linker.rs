//! bpf-linker, built against the LLVM inside the Rust toolchain itself: the versions match by
//! construction, and no LLVM development package is needed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::command::Cmd;
use crate::progress::Progress;

/// The newest one that this compiler builds.
const VERSION: &str = "0.13.0";

/// Builds it unless it is there; returns the directory it is in.
pub(super) fn ensure(cache: &Cache) -> Result<PathBuf> {
    let tools = cache.dir("tools")?;
    let rustc = Cmd::new("rustc").arg("-vV").read()?;
    let sysroot = PathBuf::from(
        Cmd::new("rustc")
            .args(["--print", "sysroot"])
            .read()?
            .trim(),
    );
    let key = format!("{VERSION}\n{rustc}{}", sysroot.display());
    cache.once("bpf-linker", &key, || {
        build(&tools, &sysroot.join("lib"), &rustc)
    })?;
    Ok(tools.join("bin"))
}

fn build(tools: &Path, libraries: &Path, rustc: &str) -> Result<()> {
    let llvm = rustc
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    let llvm = llvm.and_then(|version| version.split('.').next());
    let llvm = llvm.context("rustc -vV names no LLVM version")?;
    let prefix = tools.join("llvm");
    fs::create_dir_all(prefix.join("lib")).context("making the LLVM prefix")?;
    let link = prefix.join("lib/libLLVM.so");
    if link.is_symlink() {
        fs::remove_file(&link).context("removing the old LLVM link")?;
    }
    std::os::unix::fs::symlink(find_llvm(libraries)?, &link).context("linking libLLVM.so")?;
    let progress = Progress::spinner("building bpf-linker (about a minute)");
    Cmd::cargo()
        .args([
            "install",
            "bpf-linker",
            "--locked",
            "--force",
            "--version",
            VERSION,
        ])
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
            "--root",
        ])
        .arg(tools)
        .env("LLVM_PREFIX", &prefix)
        .env(
            "RUSTFLAGS",
            format!("-C link-arg=-Wl,-rpath,{}", libraries.display()),
        )
        .env("CARGO_TARGET_DIR", tools.join("target"))
        .spin(&progress)
        .context("could not build bpf-linker; it needs gcc, g++ and the crate registry")?;
    let _ = fs::remove_dir_all(tools.join("target"));
    progress.done();
    Ok(())
}

fn find_llvm(libraries: &Path) -> Result<PathBuf> {
    let entries =
        fs::read_dir(libraries).with_context(|| format!("reading {}", libraries.display()))?;
    let is_llvm = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("libLLVM.so."))
    };
    let found = entries.flatten().map(|entry| entry.path()).find(is_llvm);
    found.with_context(|| {
        format!(
            "{} holds no libLLVM.so.*: is this rustup's toolchain?",
            libraries.display()
        )
    })
}
