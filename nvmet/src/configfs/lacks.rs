//! Whether this kernel has the attributes that a plan writes, before anything is written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::ApplyError;
use crate::change::{Change, Operation};
use crate::tree::Tree;

/// Attributes that one of the kernels from 6.1 to 7.3 lacks, by version or by configuration. All
/// others are taken for granted.
const OPTIONAL: [&str; 17] = [
    "discovery_nqn",
    "dhchap_key",
    "dhchap_ctrl_key",
    "dhchap_hash",
    "dhchap_dhgroup",
    "attr_firmware",
    "attr_ieee_oui",
    "attr_pi_enable",
    "attr_vendor_id",
    "attr_subsys_vendor_id",
    "resv_enable",
    "p2pmem",
    "addr_tsas",
    "param_max_queue_size",
    "param_mdts",
    "param_pi_enable",
    "revalidate_size",
];

/// An error for the first attribute that this kernel lacks.
pub(super) fn examine<T: Tree>(
    tree: &T,
    root: &Path,
    changes: &[Change],
) -> Result<(), ApplyError> {
    let mut known: BTreeMap<(&str, String), bool> = BTreeMap::new();
    for change in changes {
        let Operation::Write(path, _) = change.operation() else {
            continue;
        };
        let (directory, attribute) = path.rsplit_once('/').unwrap_or(("", &path));
        if !OPTIONAL.contains(&attribute) {
            continue;
        }
        let key = (kind(change), attribute.to_owned());
        let is_there = match known.get(&key) {
            Some(is_there) => *is_there,
            None => {
                let looked = look(tree, root, change, directory, attribute);
                let is_there = looked.map_err(|source| ApplyError::Refused {
                    path: root.join(&path),
                    change: Box::new(change.clone()),
                    hint: Some("looking whether this kernel has the attribute"),
                    source,
                })?;
                known.insert(key, is_there);
                is_there
            }
        };
        if !is_there {
            return Err(ApplyError::Lacks {
                attribute: attribute.to_owned(),
                path: path.clone(),
                kernel: tree.kernel(),
            });
        }
    }
    Ok(())
}

/// What kind of directory a change writes into: all of a kind have the same attributes.
fn kind(change: &Change) -> &'static str {
    match change {
        Change::SetHost { .. } => "host",
        Change::SetPort { .. } => "port",
        Change::SetSubsystem { .. } => "subsystem",
        Change::SetNamespace { .. } | Change::RevalidateSize { .. } => "namespace",
        _ => "root",
    }
}

fn look<T: Tree>(
    tree: &T,
    root: &Path,
    change: &Change,
    directory: &str,
    attribute: &str,
) -> io::Result<bool> {
    let own = root.join(directory);
    if let Some(instance) = instance(tree, root, change, &own)? {
        return exists(tree, &instance.join(attribute));
    }
    // There is none of its kind: the plan's own directory, which the plan makes anyway, is made
    // and removed again.
    let mut made = Vec::new();
    let looked = probe(tree, root, change, &own, &mut made)
        .and_then(|()| exists(tree, &own.join(attribute)));
    for directory in made.iter().rev() {
        tree.rmdir(directory)?;
    }
    looked
}

fn probe<T: Tree>(
    tree: &T,
    root: &Path,
    change: &Change,
    own: &Path,
    made: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let mut directories = vec![own.to_owned()];
    if kind(change) == "namespace"
        && let Some(subsystem) = change.subsystem()
    {
        directories.insert(0, root.join(crate::layout::subsystem(subsystem)));
    }
    for directory in directories {
        match tree.mkdir(&directory) {
            Ok(()) => made.push(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A directory of the same kind that is there; its own if that is.
fn instance<T: Tree>(
    tree: &T,
    root: &Path,
    change: &Change,
    own: &Path,
) -> io::Result<Option<PathBuf>> {
    let entries = |directory: &Path| -> io::Result<Vec<String>> {
        match tree.list(directory) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    };
    if kind(change) == "root" {
        return Ok(Some(own.to_owned()));
    }
    let (Some(siblings), Some(name)) = (own.parent(), own.file_name()) else {
        return Ok(None);
    };
    let names = entries(siblings)?;
    if names.iter().any(|sibling| name == sibling.as_str()) {
        return Ok(Some(own.to_owned()));
    }
    if let Some(first) = names.first() {
        return Ok(Some(siblings.join(first)));
    }
    if kind(change) == "namespace" {
        let subsystems = root.join(crate::layout::SUBSYSTEMS);
        for subsystem in entries(&subsystems)? {
            let namespaces = subsystems.join(subsystem).join("namespaces");
            if let Some(first) = entries(&namespaces)?.first() {
                return Ok(Some(namespaces.join(first)));
            }
        }
    }
    Ok(None)
}

fn exists<T: Tree>(tree: &T, attribute: &Path) -> io::Result<bool> {
    match tree.read(attribute) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Write-only, such as `revalidate_size`.
        Err(_) => Ok(true),
    }
}
