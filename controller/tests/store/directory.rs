//! The directory: private, one process's, and whole after an interrupted start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process;

use redb::{Database, TableDefinition};
use weir_controller::standalone::store::{Revision, Store, StoreError, StoreLimits};

use crate::objects::{create, indexer, key};

fn open(directory: &Path) -> Result<Store, StoreError> {
    Store::open(directory, indexer(), StoreLimits::default())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Changes one of the numbers that the store keeps.
fn set_number(directory: &Path, name: &str, value: u64) {
    const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
    let database = Database::open(directory.join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(NUMBERS)
        .unwrap()
        .insert(name, value)
        .unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_directory_is_made_for_its_owner_and_keeps_what_is_written() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a/b");
    let store = open(&directory).unwrap();
    assert_eq!(mode(&directory), 0o700);
    for file in fs::read_dir(&directory).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    let before = store.fsyncs();
    let stored = store.commit(create("vol", "a")).await.unwrap();
    assert_eq!(store.fsyncs(), before + 1);
    drop(store);
    let store = open(&directory).unwrap();
    assert_eq!(store.revision(), stored.revision);
    assert_eq!(store.get(&key("vol")).unwrap().bytes, stored.bytes);
}

/// Seen red with: a shared lock.
#[test]
fn a_second_opener_is_told_who_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let refused = open(directory.path()).unwrap_err();
    let expected = format!(
        "{} is in use by process {}",
        directory.path().display(),
        process::id()
    );
    assert_eq!(refused.to_string(), expected);
    drop(store);
    open(directory.path()).unwrap();
}

/// Seen red with: any format taken.
#[test]
fn a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    set_number(directory.path(), "format", 2);
    let refused = open(directory.path()).unwrap_err();
    assert!(
        matches!(refused, StoreError::Newer { found: 2, known: 1 }),
        "{refused:?}"
    );
}

/// redb does not open a file whose making was cut off; under its final name there is none.
#[test]
fn a_start_that_was_cut_off_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("store.redb.new"), [0; 4096]).unwrap();
    let store = open(directory.path()).unwrap();
    assert_eq!(store.revision(), Revision::FIRST);
    assert!(!directory.path().join("store.redb.new").exists());
}

/// Seen red with: objects' revisions not compared.
#[tokio::test]
async fn a_store_that_contradicts_itself_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    store.commit(create("vol", "a")).await.unwrap();
    store.commit(create("vol-2", "a")).await.unwrap();
    drop(store);
    for (revision, what) in [
        (
            2,
            "the store is damaged: weir.dev/volumes vol-2 is of revision 3, the store of 2",
        ),
        (
            4,
            "the store is damaged: the log ends at revision 3, the store is of 4",
        ),
    ] {
        set_number(directory.path(), "revision", revision);
        assert_eq!(open(directory.path()).unwrap_err().to_string(), what);
    }
    set_number(directory.path(), "revision", 3);
    set_number(directory.path(), "trimmed", 2);
    let refused = open(directory.path()).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the store is damaged: the log has revision 2 where 3 belongs"
    );
}
