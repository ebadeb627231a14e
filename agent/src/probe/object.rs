//! The eBPF object: embedded in the agent by `build.rs`, loaded with aya.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aya::programs::RawTracePoint;
use aya::programs::links::FdLink;
use aya::{Ebpf, EbpfError, EbpfLoader};
use uuid::Uuid;
use weir_agent_ebpf::layout::Meta;
use weir_agent_ebpf::shapes::shapes;

use super::ProbeError;
use super::maps::Maps;

/// The eBPF object that this agent was built with; empty if it was built without.
pub const EMBEDDED: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probes.o"));

/// An object and the maps it is to use.
pub(super) struct Object<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) maps: PathBuf,
    pub(super) max_volumes: u32,
}

/// Creates and pins all maps in a directory, and notes their size.
pub(super) fn make_maps(bytes: &[u8], dir: &Path, max_volumes: u32) -> Result<(), ProbeError> {
    let object = Object {
        bytes,
        maps: dir.to_owned(),
        max_volumes,
    };
    object.load(&HashMap::new()).map_err(ProbeError::Load)?;
    Maps::open(dir)?.set_meta(Meta {
        max_volumes,
        ..Meta::default()
    })
}

impl Object<'_> {
    /// A number that tells objects apart: equal bytes, equal number; never 0.
    pub(super) fn number(&self) -> u64 {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.bytes)
            .as_u64_pair()
            .0
            | 1
    }

    /// Loads the object with the pinned maps. No program is handed to the kernel yet.
    pub(super) fn load(&self, facts: &HashMap<&'static str, u32>) -> Result<Ebpf, EbpfError> {
        let number = self.number();
        let mut loader = EbpfLoader::new();
        // The object has no relocations against the kernel's types, which aya would parse for them.
        loader.btf(None);
        loader.override_global("OBJECT", &number, true);
        for (name, value) in facts {
            loader.override_global(name, value, true);
        }
        for shape in shapes(self.max_volumes) {
            loader.map_max_entries(shape.name, shape.entries);
            loader.map_pin_path(shape.name, self.maps.join(shape.name));
        }
        loader.load(self.bytes)
    }
}

/// Hands a program to the kernel, attaches it, and pins the link. The error is a reason for people.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    program: &str,
    tracepoint: &str,
    pin: &Path,
) -> Result<(), String> {
    let program: &mut RawTracePoint = ebpf
        .program_mut(program)
        .ok_or_else(|| format!("the object has no program {program}"))?
        .try_into()
        .map_err(|error| format!("program {program}: {error}"))?;
    program.load().map_err(|error| {
        format!(
            "the kernel refuses the program for {tracepoint}: {}",
            one_line(&error)
        )
    })?;
    let link = program
        .attach(tracepoint)
        .and_then(|id| program.take_link(id))
        .map_err(|error| {
            format!(
                "cannot attach to tracepoint {tracepoint}: {}",
                one_line(&error)
            )
        })?;
    let link: FdLink = link.into();
    link.pin(pin)
        .map_err(|error| format!("cannot pin the link to {tracepoint}: {error}"))?;
    Ok(())
}

/// An error and its causes on one line; the verifier's log, which may have thousands of lines, goes to
/// the log.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    tracing::debug!(error = ?error, "the kernel refused");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}
