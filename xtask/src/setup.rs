//! `cargo xtask setup`: everything the other commands need, brought once into the cache.
//!
//! Each step is idempotent and says what it does; where something can't be had, the error names
//! the remedy. Steps, in order: [`host`] programs, the toolchain for eBPF ([`rust_src`],
//! [`bpf_linker`]), what reads the metrics ([`prometheus`]), what the probes are compared with ([`measuring`]), what people
//! talk to the API with ([`kubectl`]), a [`guest`] image per kernel.

pub(crate) mod apt;
mod bpf_linker;
pub(crate) mod guest;
mod host;
pub(crate) mod kubectl;
mod measuring;
mod prometheus;
mod rust_src;
pub(crate) mod unpack;

use std::path::PathBuf;

use anyhow::Result;

use crate::cache::Cache;
use crate::kernel::Kernel;
use guest::Userland;

/// What is needed to build the eBPF object.
pub(crate) struct BpfTools {
    /// Directory that holds `bpf-linker`.
    pub(crate) bin: PathBuf,
}

/// Brings what building the eBPF object needs.
pub(crate) fn bpf_tools(cache: &Cache) -> Result<BpfTools> {
    host::ensure(&host::BUILDING)?;
    rust_src::ensure(cache)?;
    Ok(BpfTools {
        bin: bpf_linker::ensure(cache)?,
    })
}

/// Brings Prometheus and promtool; returns the directory they are in.
pub(crate) fn prometheus(cache: &Cache) -> Result<PathBuf> {
    host::ensure(&host::BUILDING)?;
    prometheus::ensure(cache)
}

/// Brings fio and libbpf-tools.
pub(crate) fn measuring(cache: &Cache) -> Result<measuring::Measuring> {
    host::ensure(&host::BUILDING)?;
    measuring::ensure(cache)
}

/// Brings kubectl in the versions that tests know, the newest first.
pub(crate) fn kubectl(cache: &Cache) -> Result<Vec<kubectl::Kubectl>> {
    host::ensure(&host::BUILDING)?;
    kubectl::ensure(cache)
}

/// Brings what checking for 64-bit ARM needs; [`bpf_tools`] brings the standard library's source.
pub(crate) fn arm64() -> Result<()> {
    host::ensure(&host::ARM64)
}

/// Brings what images of containers are made with.
pub(crate) fn images() -> Result<()> {
    host::ensure(&host::IMAGES)
}

/// Brings what VMs with these kernels and this userland need.
pub(crate) fn vms(cache: &Cache, kernels: &[Kernel], userland: Userland) -> Result<()> {
    host::ensure(&host::VMS)?;
    for kernel in kernels {
        guest::ensure(cache, *kernel, userland)?;
    }
    Ok(())
}
