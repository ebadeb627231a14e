//! Device mapper's copies of bios: where they lead to their originals.

use std::path::Path;

use weir_agent_ebpf::kernel;
use weir_agent_ebpf::layout::Mapper;

use super::ProbeError;
use super::groups::State;
use super::maps::Maps;
use super::object::one_line;
use crate::btf::{self, Btf};

/// Its module.
const DM: &str = "dm_mod";

pub(super) fn is_loaded(sysfs: &Path) -> bool {
    sysfs.join("class/misc/device-mapper").exists()
}

/// Tells the programs where device mapper keeps the originals of its bios, if they have not been told.
/// `types`: the kernel's, if they have been read.
pub(super) fn follow(
    maps: &mut Maps,
    sysfs: &Path,
    types: Option<Btf>,
) -> Result<State, ProbeError> {
    if maps.mapper.get(0)?.known == 1 {
        return Ok(State::Attached);
    }
    if !is_loaded(sysfs) {
        let reason = format!("the kernel module {DM} is not loaded");
        return Ok(State::Waiting(reason));
    }
    match offsets(&sysfs.join("kernel/btf"), types) {
        Ok(mapper) => maps.mapper.set(0, &mapper).map(|()| State::Attached),
        Err(reason) => Ok(State::Off(reason)),
    }
}

/// The error is a reason for people.
fn offsets(btf_dir: &Path, types: Option<Btf>) -> Result<Mapper, String> {
    let mut kernel = match types {
        Some(kernel) => kernel,
        None => Btf::of_kernel(btf_dir).map_err(|error| one_line(&error))?,
    };
    // It may be built in.
    if btf_dir.join(DM).exists() {
        let with = kernel.with_module(btf_dir, DM);
        kernel = with.map_err(|error| one_line(&error))?;
    }
    let facts = btf::lookup(&kernel, kernel::MAPPER)?;
    let fact = |name| facts.get(name).copied().unwrap_or(kernel::UNKNOWN);
    Ok(Mapper {
        known: 1,
        clone: fact("clone"),
        magic: fact("magic"),
        io: fact("io"),
        io_magic: fact("io_magic"),
        original: fact("original"),
    })
}
