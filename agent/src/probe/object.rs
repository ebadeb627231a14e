//! The eBPF object: embedded in the agent by `build.rs`, loaded with aya.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use ::object::Endianness;
use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, KProbe, Program, ProgramError, RawTracePoint};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use thiserror::Error;
use uuid::Uuid;
use weir_agent_ebpf::handover;
use weir_agent_ebpf::kernel::placeholder;
use weir_agent_ebpf::layout::Meta;
use weir_agent_ebpf::shapes::{Room, shapes};

use super::maps::Maps;
use super::{ProbeError, members};

/// The eBPF object that this agent was built with; empty if it was built without.
pub const EMBEDDED: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probes.o"));

/// An object and the maps it is to use.
pub(super) struct Object<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) maps: PathBuf,
    pub(super) room: Room,
    /// For typed tracepoints.
    pub(super) types: Types,
}

/// The kernel's types, read when they are first needed. They take tens of megabytes: not to be kept.
#[derive(Debug)]
pub(super) struct Types {
    path: PathBuf,
    read: OnceCell<Result<Btf, String>>,
}

impl Types {
    /// Those in a directory such as `/sys`.
    pub(super) fn of(sysfs: &Path) -> Self {
        Types {
            path: sysfs.join("kernel/btf/vmlinux"),
            read: OnceCell::new(),
        }
    }

    fn get(&self) -> Result<&Btf, String> {
        let read = || Btf::parse_file(&self.path, Endianness::default());
        let types = self
            .read
            .get_or_init(|| read().map_err(|error| one_line(&error)));
        types.as_ref().map_err(Clone::clone)
    }
}

/// Why an object could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It is none of ours.
    #[error("cannot put members' offsets into the object")]
    Members(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kernel, or aya, refuses it.
    #[error("cannot load it")]
    Ebpf(#[from] EbpfError),
}

/// Creates and pins all maps in a directory, and notes their size.
pub(super) fn make_maps(bytes: &[u8], dir: &Path, room: Room) -> Result<(), ProbeError> {
    let object = Object {
        bytes,
        maps: dir.to_owned(),
        room,
        types: Types::of(Path::new("")),
    };
    object.load(&HashMap::new()).map_err(ProbeError::Load)?;
    Maps::open(dir)?.set_meta(Meta {
        max_volumes: room.volumes,
        max_starts: room.starts,
        ..Meta::default()
    })
}

impl Object<'_> {
    /// A number that tells objects apart: equal bytes, equal number; never 0.
    pub(super) fn number(&self) -> u64 {
        let (number, _) = Uuid::new_v5(&Uuid::NAMESPACE_OID, self.bytes).as_u64_pair();
        handover::number(number)
    }

    /// Loads the object with the pinned maps. No program is handed to the kernel yet.
    pub(super) fn load(&self, facts: &HashMap<&'static str, u32>) -> Result<Ebpf, LoadError> {
        let number = self.number();
        let mut loader = EbpfLoader::new();
        // The object has no relocations against the kernel's types, which aya would parse for them.
        loader.btf(None);
        loader.override_global("OBJECT", &number, true);
        let sets = [self.room.start_sets(), self.room.device_sets()];
        loader.override_global("START_SETS", &sets[0], true);
        loader.override_global("DEVICE_SETS", &sets[1], true);
        for (name, value) in facts {
            // What typed pointers alone lead to has no global.
            loader.override_global(name, value, placeholder(name).is_none());
        }
        for shape in shapes(self.room) {
            loader.map_max_entries(shape.name, shape.entries);
            loader.map_pin_path(shape.name, self.maps.join(shape.name));
        }
        let filled = members::fill_in(self.bytes, facts)
            .map_err(|error| LoadError::Members(Box::new(error)))?;
        Ok(loader.load(&filled)?)
    }
}

/// Where a program is attached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    /// A raw tracepoint, of a module's.
    Tracepoint(&'static str),
    /// A raw tracepoint of the kernel's own, whose arguments have types.
    Typed(&'static str),
    /// The beginning of a kernel function, where there is no tracepoint.
    Function(&'static str),
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hook::Tracepoint(name) | Hook::Typed(name) => write!(f, "tracepoint {name}"),
            Hook::Function(name) => write!(f, "function {name}"),
        }
    }
}

/// Hands a program to the kernel, attaches it, and pins the link. The error is a reason for people.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    types: &Types,
    program: &str,
    hook: Hook,
    pin: &Path,
) -> Result<(), String> {
    let program = ebpf
        .program_mut(program)
        .ok_or_else(|| format!("the object has no program {program}"))?;
    let link = link(program, types, hook)?;
    link.pin(pin)
        .map_err(|error| format!("cannot pin the link to {hook}: {error}"))?;
    Ok(())
}

fn link(program: &mut Program, types: &Types, hook: Hook) -> Result<FdLink, String> {
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
        Hook::Typed(name) => {
            let program: &mut BtfTracePoint = program.try_into().map_err(kind)?;
            program.load(name, types.get()?).map_err(refused)?;
            let link = program.attach().map_err(detached)?;
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
