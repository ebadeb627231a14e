//! Putting the offsets of structures' members into the object: what CO-RE relocations would do if rustc made them.

use std::collections::HashMap;

use ::object::{self as elf_object, Object, ObjectSection, SectionFlags, elf};
use thiserror::Error;
use weir_agent_ebpf::kernel::member_at;

/// An instruction (Documentation/bpf/standardization/instruction-set.rst): operation, registers, offset, immediate.
const INSTRUCTION: usize = 8;
/// The class of loads is in an operation's lowest bits.
const CLASS: u8 = 0x07;
const LOAD: u8 = 0x01;

/// Why an object is none of ours.
#[derive(Debug, Error)]
pub(super) enum MemberError {
    #[error("cannot read the object")]
    Object(#[from] elf_object::Error),
    #[error("the object loads from the offset {0:#x}, which stands for no member")]
    Unknown(i16),
}

/// The object with the offsets of those members that are known.
pub(super) fn fill_in(
    object: &[u8],
    offsets: &HashMap<&'static str, u32>,
) -> Result<Vec<u8>, MemberError> {
    let mut filled = object.to_vec();
    for section in elf_object::File::parse(object)?.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            continue;
        };
        let Some((start, size)) = section.file_range() else {
            continue;
        };
        if sh_flags & u64::from(elf::SHF_EXECINSTR) == 0 {
            continue;
        }
        let range = usize::try_from(start).unwrap_or(usize::MAX)..;
        let code = filled.get_mut(range).unwrap_or_default();
        let (instructions, _) = code.as_chunks_mut::<INSTRUCTION>();
        let count = usize::try_from(size).unwrap_or(usize::MAX) / INSTRUCTION;
        for [operation, _, low, high, ..] in instructions.iter_mut().take(count) {
            if *operation & CLASS != LOAD {
                continue;
            }
            let offset = i16::from_ne_bytes([*low, *high]);
            let Some(member) = member_at(offset).map_err(MemberError::Unknown)? else {
                continue;
            };
            let known = offsets.get(member).copied().map(i16::try_from);
            if let Some(Ok(known)) = known {
                [*low, *high] = known.to_ne_bytes();
            }
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_agent_ebpf::kernel::{DIRECT, placeholder};

    /// The offsets of the loads in an object's programs.
    fn offsets(object: &[u8]) -> Vec<i16> {
        let mut offsets = Vec::new();
        for section in elf_object::File::parse(object).unwrap().sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0 {
                let (instructions, _) = section.data().unwrap().as_chunks::<INSTRUCTION>();
                let loads = instructions.iter().filter(|load| load[0] & CLASS == LOAD);
                offsets.extend(loads.map(|load| i16::from_ne_bytes([load[2], load[3]])));
            }
        }
        offsets
    }

    /// Seen red with: `high` not written.
    #[test]
    fn every_member_is_found_and_filled_in() {
        let object = crate::probe::EMBEDDED;
        assert!(
            !object.is_empty(),
            "built without probes: use `cargo xtask`"
        );
        let found = offsets(object);
        for member in DIRECT {
            let placeholder = placeholder(member).unwrap();
            assert!(found.contains(&placeholder), "{member}");
        }
        let known = DIRECT.into_iter().zip(1000..).collect();
        let filled = offsets(&fill_in(object, &known).unwrap());
        assert_eq!(filled.len(), found.len());
        for (before, after) in found.into_iter().zip(filled) {
            match member_at(before).unwrap() {
                Some(member) => assert_eq!(u32::try_from(after).unwrap(), known[member]),
                None => assert_eq!(after, before),
            }
        }
    }
}
