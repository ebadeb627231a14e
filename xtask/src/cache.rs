//! Where downloads and built tools are kept, outside the clone: `$XDG_CACHE_HOME/weir`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The cache directory.
#[derive(Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Opens it, making it where it is missing.
    pub(crate) fn open() -> Result<Self> {
        let base = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => {
                let home =
                    std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
                PathBuf::from(home).join(".cache")
            }
        };
        let cache = Cache {
            root: base.join("weir"),
        };
        cache.dir("")?;
        Ok(cache)
    }

    /// A directory inside, made where it is missing.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    /// A path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Runs `make` unless an earlier run of it with the same `key` came to its end. The key holds
    /// everything the result depends on: a new version, another package list.
    pub(crate) fn once(
        &self,
        step: &str,
        key: &str,
        make: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let stamp = self.dir("stamps")?.join(step);
        if fs::read_to_string(&stamp).is_ok_and(|done| done == key) {
            return Ok(());
        }
        make()?;
        write_whole(&stamp, key)
    }
}

/// Replaces a file in one step, so that a reader or a crash never meets half of it.
pub(crate) fn write_whole(path: &Path, content: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("renaming {}", new.display()))
}
