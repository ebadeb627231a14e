//! The pools that an agent's configuration names: StoragePools in files, read once when it starts.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use weir_api::ParseError;
use weir_api::manifest::{PoolManifest, pools};
use weir_api::names::{NodeName, ObjectName};

use crate::requests::is_request;

/// The files can't be used.
#[derive(Debug, Error)]
pub enum PoolFilesError {
    /// One can't be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which, or their directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One holds something else than StoragePools that an agent can serve.
    #[error("`{path}`")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is wrong there.
        #[source]
        source: ParseError,
    },
    /// A pool is named twice.
    #[error("pool `{name}` is in `{path}`, and in a file before it")]
    Twice {
        /// The pool.
        name: ObjectName,
        /// The second file.
        path: PathBuf,
    },
}

/// This node's pools in a file, or in every YAML and JSON file of a directory. Those of other nodes, which a
/// configuration that all nodes have in common names too, are told and left out.
///
/// # Errors
/// A file can't be read, or holds something else.
pub fn read(path: &Path, node: &NodeName) -> Result<Vec<PoolManifest>, PoolFilesError> {
    let mut found: Vec<PoolManifest> = Vec::new();
    for path in files(path)? {
        let text = std::fs::read_to_string(&path).map_err(|source| PoolFilesError::Read {
            path: path.clone(),
            source,
        })?;
        let read = pools(&text).map_err(|source| PoolFilesError::Parse {
            path: path.clone(),
            source,
        })?;
        for pool in read {
            if pool.spec.node_name != *node {
                let (pool, theirs) = (pool.name.as_str(), pool.spec.node_name.as_str());
                tracing::warn!(pool, node = theirs, file = %path.display(), "a pool of another node is refused");
                continue;
            }
            if found.iter().any(|other| other.name == pool.name) {
                let name = pool.name;
                return Err(PoolFilesError::Twice { name, path });
            }
            found.push(pool);
        }
    }
    Ok(found)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, PoolFilesError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| PoolFilesError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(is_request) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../deploy/samples/pool.yaml");

    #[test]
    fn a_file_or_a_directory_names_this_nodes_pools() {
        let dir = tempfile::tempdir().unwrap();
        let node = "storage-1".parse().unwrap();
        let names = |path: &Path| -> Result<Vec<String>, PoolFilesError> {
            let pools = read(path, &node)?;
            Ok(pools.iter().map(|pool| pool.name.to_string()).collect())
        };
        let file = dir.path().join("pool.yaml");
        std::fs::write(&file, SAMPLE).unwrap();
        let other = SAMPLE.replace("storage-1", "storage-2");
        std::fs::write(dir.path().join("other.yaml"), other).unwrap();
        std::fs::write(dir.path().join(".draft.yaml"), "x: [").unwrap();
        assert_eq!(names(&file).unwrap(), ["storage-1-fast"]);
        assert_eq!(names(dir.path()).unwrap(), ["storage-1-fast"]);
        std::fs::write(dir.path().join("z.yaml"), SAMPLE).unwrap();
        let twice = names(dir.path()).unwrap_err().to_string();
        assert!(
            twice.contains("z.yaml") && twice.contains("storage-1-fast"),
            "{twice}"
        );
        assert!(names(&dir.path().join("none")).is_err());
    }
}
