//! Embeds the eBPF object that `WEIR_BPF_OBJECT` names (`cargo xtask` builds it and sets this). Without
//! the variable the agent is built without probes, and says so at run time.

use std::path::PathBuf;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WEIR_BPF_OBJECT");
    let object = match std::env::var_os("WEIR_BPF_OBJECT") {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo::rerun-if-changed={}", path.display());
            std::fs::read(&path)
                .with_context(|| format!("WEIR_BPF_OBJECT names {}", path.display()))?
        }
        None => Vec::new(),
    };
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    std::fs::write(out.join("probes.o"), object).context("cannot write to OUT_DIR")
}
