//! The eBPF object: embedded in the agent by `build.rs`, loaded with aya.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aya::programs::links::FdLink;
use aya::programs::{KProbe, Program, ProgramError, RawTracePoint};
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

/// Where a program is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// A raw tracepoint.
    Tracepoint(&'static str),
    /// The beginning of a kernel function, where there is no tracepoint.
    Function(&'static str),
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hook::Tracepoint(name) => write!(f, "tracepoint {name}"),
            Hook::Function(name) => write!(f, "function {name}"),
        }
    }
}

/// Hands a program to the kernel, attaches it, and pins the link. The error is a reason for people.
pub(super) fn attach(ebpf: &mut Ebpf, program: &str, hook: Hook, pin: &Path) -> Result<(), String> {
    let program = ebpf
        .program_mut(program)
        .ok_or_else(|| format!("the object has no program {program}"))?;
    let link = link(program, hook)?;
    link.pin(pin)
        .map_err(|error| format!("cannot pin the link to {hook}: {error}"))?;
    Ok(())
}

fn link(program: &mut Program, hook: Hook) -> Result<FdLink, String> {
    let kind = |error: ProgramError| format!("the program for {hook}: {error}");
    let refused = |error| {
        format!(
            "the kernel refuses the program for {hook}: {}",
            one_line(&error)
        )
    };
    let detached = |error| format!("cannot attach to {hook}: {}", one_line(&error));
    match hook {
        Hook::Tracepoint(name) => {
            let program: &mut RawTracePoint = program.try_into().map_err(kind)?;
            program.load().map_err(refused)?;
            let link = program.attach(name).map_err(detached)?;
            program.take_link(link).map(FdLink::from).map_err(detached)
        }
        Hook::Function(name) => {
            let program: &mut KProbe = program.try_into().map_err(kind)?;
            program.load().map_err(refused)?;
            let link = program.attach(name, 0).map_err(detached)?;
            let link = program.take_link(link).map_err(detached)?;
            link.try_into()
                .map_err(|error| format!("cannot attach to {hook}: {}", one_line(&error)))
        }
    }
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
