//! Where members stand in the running kernel's structures, from its BTF.
//!
//! A parser of its own, since no published crate with a permissive licence reads *split* BTF, which
//! is how a module's types are told: `/sys/kernel/btf/nvmet` continues the types and strings of
//! `/sys/kernel/btf/vmlinux`. Format: Documentation/bpf/btf.rst of the kernel.

mod reader;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use reader::{Kind, Section};

/// Why the kernel's types could not be read.
#[derive(Debug, Error)]
pub enum BtfError {
    /// The kernel has no such file: it was built without BTF, or the module is not loaded.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not BTF as this parser knows it.
    #[error("{path} is not valid BTF: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Structs nested deeper than this are not searched.
const DEEPEST: u32 = 16;

/// The types of a kernel, and possibly of one of its modules.
#[derive(Debug)]
pub struct Btf {
    base: Section,
    split: Option<Section>,
}

impl Btf {
    /// The kernel's types: `DIR/vmlinux`, where `dir` is `/sys/kernel/btf`.
    ///
    /// # Errors
    /// If the file is missing or malformed.
    pub fn of_kernel(dir: &Path) -> Result<Self, BtfError> {
        let path = dir.join("vmlinux");
        let base = Section::parse(&read(&path)?, 1, 0)
            .map_err(|reason| BtfError::Malformed { path, reason })?;
        Ok(Btf { base, split: None })
    }

    /// Adds the types of a loaded module: `DIR/MODULE`.
    ///
    /// # Errors
    /// If the file is missing or malformed.
    pub fn with_module(mut self, dir: &Path, module: &str) -> Result<Self, BtfError> {
        let path = dir.join(module);
        let split = Section::parse(&read(&path)?, self.base.next_id(), self.base.string_bytes())
            .map_err(|reason| BtfError::Malformed { path, reason })?;
        self.split = Some(split);
        Ok(self)
    }

    /// The byte offset of a member. `path` may lead through nested structs (`bi_iter.bi_size`);
    /// members of anonymous structs and unions are found by their own names.
    ///
    /// `None` if there is no such struct or member, or if it is a bit field.
    #[must_use]
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        // A module may carry its own copy of a type: what its code uses.
        self.sections()
            .flat_map(|section| section.structs_named(structure, |offset| self.string(offset)))
            .find_map(|id| self.offset_in(id, path, DEEPEST))
    }

    /// The size of a struct in bytes.
    #[must_use]
    pub fn size(&self, structure: &str) -> Option<u32> {
        let mut found = self
            .sections()
            .flat_map(|section| section.structs_named(structure, |offset| self.string(offset)));
        match self.kind(found.next()?)? {
            Kind::Composite { bytes, .. } => Some(*bytes),
            _ => None,
        }
    }

    /// The value of an enumerator, whatever enumeration it belongs to.
    #[must_use]
    pub fn enumerator(&self, name: &str) -> Option<u32> {
        self.sections()
            .find_map(|section| section.enumerator(name, |offset| self.string(offset)))
    }

    /// `depth` bounds the nesting, since damaged BTF could nest a struct in itself.
    fn offset_in(&self, structure: u32, path: &str, depth: u32) -> Option<u32> {
        let depth = depth.checked_sub(1)?;
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        for member in self.kind(structure)?.members()? {
            let inner = |path| self.offset_in(self.resolve(member.type_id), path, depth);
            let member_name = self.string(member.name);
            if member_name == name {
                let offset = member.byte_offset()?;
                return match rest {
                    "" => Some(offset),
                    rest => offset.checked_add(inner(rest)?),
                };
            }
            if member_name.is_empty()
                && let Some(inner) = inner(path)
            {
                return member.byte_offset()?.checked_add(inner);
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers. Bounded, since BTF could be cyclic.
    fn resolve(&self, mut id: u32) -> u32 {
        for _ in 0..32 {
            match self.kind(id) {
                Some(Kind::Alias(next)) => id = *next,
                _ => break,
            }
        }
        id
    }

    fn kind(&self, id: u32) -> Option<&Kind> {
        self.sections().find_map(|section| section.kind(id))
    }

    fn string(&self, offset: u32) -> &str {
        self.sections()
            .find_map(|section| section.string(offset))
            .unwrap_or("")
    }

    fn sections(&self) -> impl Iterator<Item = &Section> {
        self.split.iter().chain(std::iter::once(&self.base))
    }
}

/// Looks several facts up at once; `Err` names the first that is missing.
pub(crate) fn lookup(
    btf: &Btf,
    facts: &[weir_agent_ebpf::kernel::Fact],
) -> Result<HashMap<&'static str, u32>, String> {
    use weir_agent_ebpf::kernel::Source;
    facts
        .iter()
        .map(|fact| {
            let (found, what) = match fact.source {
                Source::Member(structure, path) => (
                    btf.offset(structure, path),
                    format!("member {path} of struct {structure}"),
                ),
                Source::Enumerator(name) => (btf.enumerator(name), format!("enumerator {name}")),
                Source::Size(structure) => (btf.size(structure), format!("struct {structure}")),
            };
            found
                .map(|value| (fact.global, value))
                .ok_or_else(|| format!("this kernel has no {what}"))
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, BtfError> {
    std::fs::read(path).map_err(|source| BtfError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
