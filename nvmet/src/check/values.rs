//! Rules of single values.

use std::path::{Component, Path};

use super::Violation;
use crate::model::{Authentication, P2pMem, Subsystem};
use crate::nqn::Nqn;

/// Bytes of an attribute's value (SIMPLE_ATTR_SIZE in fs/configfs/file.c, less its NUL).
const VALUE: usize = 4095;
/// I/O queues of a controller (NVMET_NR_QUEUES in drivers/nvme/target/nvmet.h).
const QUEUES: u16 = 128;

pub(super) fn check_host(host: &Nqn, authentication: &Authentication, found: &mut Vec<Violation>) {
    for (attribute, key) in [
        ("key", &authentication.key),
        ("controller key", &authentication.controller_key),
    ] {
        if let Some(rule) = key.as_ref().and_then(|key| key.rule()) {
            found.push(Violation::Key {
                host: host.clone(),
                attribute,
                rule,
            });
        }
    }
}

pub(super) fn check_numbers(nqn: &Nqn, subsystem: &Subsystem, found: &mut Vec<Violation>) {
    let mut refuse = |attribute, value, rule| {
        found.push(Violation::Number {
            subsystem: nqn.clone(),
            attribute,
            value,
            rule,
        });
    };
    if let Some(value) = subsystem.qid_max.filter(|max| !(1..=QUEUES).contains(max)) {
        refuse("qid_max", value, "is not in 1..=128");
    }
    let ids = (subsystem.cntlid_min, subsystem.cntlid_max);
    if let (_, Some(0)) = ids {
        refuse("cntlid_max", 0, "is no controller id");
    }
    match ids {
        (Some(0), _) => refuse("cntlid_min", 0, "is no controller id"),
        (Some(min), Some(max)) if min > max => {
            refuse("cntlid_min", min, "is above cntlid_max");
        }
        _ => {}
    }
    for (&nsid, namespace) in &subsystem.namespaces {
        if let Some(P2pMem::Device(device)) = &namespace.p2pmem
            && !is_pci_device(device)
        {
            found.push(Violation::P2pMem {
                subsystem: nqn.clone(),
                nsid,
                device: device.clone(),
            });
        }
    }
}

/// As in `0000:03:00.0`.
fn is_pci_device(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    !name.is_empty() && name.len() <= 32 && name.contains(':') && name.bytes().all(is_good)
}

pub(super) fn text_rule(value: &str, longest: usize) -> Option<String> {
    if value.is_empty() {
        Some("is empty".to_owned())
    } else if value.len() > longest {
        Some(format!("is longer than {longest} characters"))
    } else if !value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        Some("has a character that is not printable ASCII".to_owned())
    } else if value.ends_with(' ') {
        // The kernel pads with blanks, so it could never be read back.
        Some("ends with a blank".to_owned())
    } else {
        None
    }
}

pub(super) fn path_rule(path: &Path, enabled: bool) -> Option<&'static str> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return enabled.then_some("is not set, and the namespace is to be enabled");
    }
    if !path.is_absolute() {
        Some("is not absolute")
    } else if path.components().any(|part| part == Component::ParentDir) {
        Some("has a `..`")
    } else if bytes.iter().any(u8::is_ascii_control) {
        Some("has a control character")
    } else if path
        .to_str()
        .is_none_or(|text| text.contains(char::REPLACEMENT_CHARACTER))
    {
        // The replacement character is what reading shows of a path that isn't.
        Some("is not UTF-8")
    } else if bytes.len() > VALUE {
        Some("is longer than an attribute can be")
    } else {
        None
    }
}
