//! A file system in memory that forgets, at a power cut, what was not synced.
#![expect(clippy::unwrap_used, reason = "for tests, which a panic ends")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::Fs;
use crate::fuse::Fuse;

/// Clones share their content.
#[derive(Clone, Default)]
pub(crate) struct MemFs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Content per inode: what a reader sees, and what is on the disk.
    inodes: Vec<(Vec<u8>, Vec<u8>)>,
    names: BTreeMap<PathBuf, usize>,
    names_on_disk: BTreeMap<PathBuf, usize>,
    fuse: Fuse,
    writes: usize,
    /// Below it there is no space left.
    full: Option<PathBuf>,
}

impl MemFs {
    /// Everything fails once the fuse has blown.
    pub(crate) fn fuse(&self, fuse: Fuse) {
        self.0.lock().unwrap().fuse = fuse;
    }

    /// There is no space left below a directory, or there is again.
    pub(crate) fn fill(&self, dir: Option<&Path>) {
        self.0.lock().unwrap().full = dir.map(Path::to_owned);
    }

    /// Loses what was not synced.
    pub(crate) fn power_cut(&self) {
        let mut state = self.0.lock().unwrap();
        state.fuse = Fuse::default();
        state.names = state.names_on_disk.clone();
        for (seen, on_disk) in &mut state.inodes {
            seen.clone_from(on_disk);
        }
    }

    /// Puts a file there, synced, as somebody else would.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap();
        state.inodes.push((bytes.to_vec(), bytes.to_vec()));
        let inode = state.inodes.len() - 1;
        state.names.insert(path.to_owned(), inode);
        state.names_on_disk.insert(path.to_owned(), inode);
    }

    /// Empties a directory, as somebody else would.
    pub(crate) fn empty(&self, dir: &Path) {
        let mut state = self.0.lock().unwrap();
        state.names.retain(|path, _| path.parent() != Some(dir));
        state
            .names_on_disk
            .retain(|path, _| path.parent() != Some(dir));
    }

    /// Whether a file would be there after a power cut.
    pub(crate) fn is_durable(&self, path: &Path) -> bool {
        let state = self.0.lock().unwrap();
        let inode = state.names_on_disk.get(path);
        inode.is_some_and(|inode| !state.inodes[*inode].1.is_empty())
    }

    /// What a file would hold after a power cut.
    pub(crate) fn on_disk(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        let inode = state.names_on_disk.get(path);
        inode.map_or(Vec::new(), |inode| state.inodes[*inode].1.clone())
    }

    /// Every file there is.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().unwrap().names.keys().cloned().collect()
    }

    /// How many files were written so far.
    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }
}

impl State {
    fn inode(&self, path: &Path) -> io::Result<usize> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        self.names.get(path).copied().ok_or_else(missing)
    }
}

impl Fs for MemFs {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock().unwrap();
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    fn unfinished(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock().unwrap();
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        Ok(names.filter(|name| super::is_beside(name)).collect())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.0.lock().unwrap();
        state.inode(path).map(|inode| state.inodes[inode].0.clone())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fuse.burn()?;
        if state
            .full
            .as_ref()
            .is_some_and(|full| path.starts_with(full))
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.writes += 1;
        if let Ok(inode) = state.inode(path) {
            // The truncation may reach the disk before the data does, or without it.
            state.inodes[inode] = (bytes.to_vec(), Vec::new());
        } else {
            state.inodes.push((bytes.to_vec(), Vec::new()));
            let inode = state.inodes.len() - 1;
            state.names.insert(path.to_owned(), inode);
        }
        state.fuse.burn()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fuse.burn()?;
        let inode = state.inode(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        state.fuse.burn()
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fuse.burn()?;
        state.inode(path)?;
        state.names.remove(path);
        state.fuse.burn()
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fuse.burn()?;
        if let Ok(inode) = state.inode(path) {
            state.inodes[inode].1 = state.inodes[inode].0.clone();
        } else {
            let inside = |entry: &Path| entry.parent() == Some(path);
            let mut kept = state.names_on_disk.clone();
            kept.retain(|entry, _| !inside(entry));
            let now = state.names.iter().filter(|(entry, _)| inside(entry));
            kept.extend(now.map(|(entry, inode)| (entry.clone(), *inode)));
            state.names_on_disk = kept;
        }
        state.fuse.burn()
    }
}
