//! What can be wrong with a store.

use std::io;
use std::path::PathBuf;

/// Why a store can't be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or a file in it can't be used.
    #[error("cannot {verb} {}", path.display())]
    Directory {
        /// What was tried.
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by {}", path.display(), holder(*pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, where it has told.
        pid: Option<u32>,
    },
    /// A newer version wrote it.
    #[error(
        "the store has format {found}, a newer weir-controller's; this one knows format {known}"
    )]
    Newer {
        /// The format that was found.
        found: u64,
        /// The newest that this version reads.
        known: u64,
    },
    /// The database said no.
    #[error("cannot {verb} the store's database")]
    Database {
        /// What was tried.
        verb: &'static str,
        /// What the database says.
        #[source]
        source: Box<redb::Error>,
    },
    /// What was read contradicts itself.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// An object that is stored is not JSON.
    #[error("the store is damaged: {key} is not JSON")]
    Unreadable {
        /// The object's key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// What was to be stored is not an object with metadata.
    #[error("{key} is not an object with metadata")]
    NotAnObject {
        /// The object's key.
        key: String,
    },
    /// The writer's thread can't be started.
    #[error("cannot start the store's writer")]
    Thread {
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The writer's thread panicked.
    #[error("the store's writer is dead")]
    Dead,
}

impl StoreError {
    /// For `map_err` on whatever redb answers.
    pub(super) fn database<E: Into<redb::Error>>(verb: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Database {
            verb,
            source: Box::new(source.into()),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
