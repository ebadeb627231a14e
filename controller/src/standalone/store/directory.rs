//! The directory: one process has it, and it holds one database file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use redb::StorageBackend;
use redb::backends::FileBackend;

use super::disk::Disk;
use super::error::StoreError;

/// The database.
const DATABASE: &str = "store.redb";

/// The database while it is made: what is found under this name was never used.
const UNFINISHED: &str = "store.redb.new";

/// Locked by the process that has the directory, whose id is in it.
const LOCK: &str = "store.lock";

/// A directory that no other process has.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Directory {
    /// Takes the directory, which is made if there is none: for its owner only. One that is there
    /// keeps its mode, for it may hold other things; the files in it are the owner's in any case.
    pub(super) fn claim(path: &Path) -> Result<Self, StoreError> {
        if !path.is_dir() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(path).map_err(wrong("create", path))?;
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            sync(parent.unwrap_or(Path::new(".")))?;
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock(path)?,
        })
    }

    /// The database's file; a new one appears under its name only when it is complete, for redb
    /// does not open one whose making was interrupted.
    pub(super) fn database(
        &self,
        cache_bytes: usize,
    ) -> Result<Box<dyn StorageBackend>, StoreError> {
        let file = self.path.join(DATABASE);
        if !file.exists() {
            let unfinished = self.path.join(UNFINISHED);
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(wrong("remove", &unfinished)(error));
                }
                _ => {}
            }
            drop(Disk::open(backend(&unfinished)?, cache_bytes)?);
            fs::rename(&unfinished, &file).map_err(wrong("rename", &unfinished))?;
            sync(&self.path)?;
        }
        backend(&file)
    }
}

fn backend(path: &Path) -> Result<Box<dyn StorageBackend>, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let file = options.open(path).map_err(wrong("open", path))?;
    let backend = FileBackend::new(file).map_err(StoreError::database("open"))?;
    Ok(Box::new(backend))
}

fn lock(directory: &Path) -> Result<Flock<File>, StoreError> {
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let file = options.open(&path).map_err(wrong("open", &path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut file) => {
            let mut write = || {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", process::id())
            };
            write().map_err(wrong("write", &path))?;
            Ok(file)
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            // Whoever has just taken the lock may not have written yet.
            let pid = match file.read_to_string(&mut text) {
                Ok(_) => text.trim().parse().ok(),
                Err(_) => None,
            };
            Err(StoreError::InUse {
                path: directory.to_owned(),
                pid,
            })
        }
        Err((_, errno)) => Err(wrong("lock", &path)(errno.into())),
    }
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> Result<(), StoreError> {
    let synced = File::open(directory).and_then(|opened| opened.sync_all());
    synced.map_err(wrong("sync", directory))
}

fn wrong(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Directory { verb, path, source }
}
