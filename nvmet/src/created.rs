//! What this command made, so that it can tell what it didn't.
//!
//! configfs is empty after a reboot, and so is `/run`, where this is kept. A directory is known by
//! its path and its inode: one that somebody removed and made anew is not ours any more.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use nvmet::Change;
use nvmet::change::Operation;

/// Where it is kept.
pub(crate) const DEFAULT: &str = "/run/nvmet/created.json";

/// Directories below the root, and their inodes.
pub(crate) struct Created {
    file: PathBuf,
    root: PathBuf,
    inodes: BTreeMap<String, u64>,
}

impl Created {
    /// Reads it; nothing was made where there is no file.
    pub(crate) fn load(file: &Path, root: &Path) -> anyhow::Result<Self> {
        let inodes = match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| {
                format!("{}: is not a record of this command's", file.display())
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        Ok(Created {
            file: file.to_owned(),
            root: root.to_owned(),
            inodes,
        })
    }

    /// Directories that these changes remove and that this command didn't make.
    pub(crate) fn foreign(&self, changes: &[Change]) -> Vec<String> {
        let removed = changes
            .iter()
            .filter_map(|change| match change.operation() {
                // The ANA groups of a port are not asked about one by one.
                Operation::Rmdir(path) if !path.contains("/ana_groups/") => Some(path),
                _ => None,
            });
        removed.filter(|path| !self.is_ours(path)).collect()
    }

    fn is_ours(&self, path: &str) -> bool {
        self.inodes.contains_key(path) && self.inodes.get(path).copied() == self.inode(path)
    }

    fn inode(&self, path: &str) -> Option<u64> {
        fs::metadata(self.root.join(path))
            .map(|meta| meta.ino())
            .ok()
    }

    /// Notes what of these changes was made, all or only the first of them.
    pub(crate) fn note(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        for change in changes {
            match change.operation() {
                Operation::Mkdir(path) => {
                    if let Some(inode) = self.inode(&path) {
                        self.inodes.insert(path, inode);
                    }
                }
                // Also one that the plan didn't come to: it would be asked about next time.
                Operation::Rmdir(path) => drop(self.inodes.remove(&path)),
                _ => {}
            }
        }
        let text = serde_json::to_string(&self.inodes)?;
        let written = self.file.parent().map_or(Ok(()), fs::create_dir_all);
        let new = self.file.with_extension("new");
        written
            .and_then(|()| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &self.file))
            .with_context(|| format!("writing {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen red with: `is_ours` comparing paths alone.
    #[test]
    fn what_was_made_anew_by_somebody_else_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record/created.json");
        let host = directory.path().join("hosts/nqn.h");
        fs::create_dir_all(&host).unwrap();
        let nqn: nvmet::Nqn = "nqn.h".parse().unwrap();
        let removal = [Change::RemoveHost { host: nqn.clone() }];

        let mut created = Created::load(&file, directory.path()).unwrap();
        assert_eq!(created.foreign(&removal), ["hosts/nqn.h"]);
        created.note(&[Change::CreateHost { host: nqn }]).unwrap();
        let again = Created::load(&file, directory.path()).unwrap();
        assert_eq!(again.foreign(&removal), [""; 0]);

        // Made before the old one goes, so that it can't have its inode.
        fs::create_dir(directory.path().join("new")).unwrap();
        fs::remove_dir(&host).unwrap();
        fs::rename(directory.path().join("new"), &host).unwrap();
        let later = Created::load(&file, directory.path()).unwrap();
        assert_eq!(later.foreign(&removal), ["hosts/nqn.h"]);
    }
}
