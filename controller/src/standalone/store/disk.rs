//! What is on disk: the objects, the log of the last changes, and the counter, in one database.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, StorageBackend,
    TableDefinition, TableError,
};

use super::backend::Counted;
use super::change::WatchEvent;
use super::error::StoreError;
use super::key::{Key, Revision};

/// What is written here. It grows when an older weir-controller would misread what a newer one
/// writes.
const FORMAT: u64 = 1;

/// Storage, namespace and name.
pub(super) type DiskKey = (&'static str, &'static str, &'static str);

/// Key → revision and JSON.
pub(super) const OBJECTS: TableDefinition<DiskKey, (u64, &[u8])> = TableDefinition::new("objects");

/// Removed, key, JSON, and what was there before.
pub(super) type Logged = (bool, DiskKey, &'static [u8], Option<(u64, &'static [u8])>);

/// Revision → change. The revisions after `trimmed`, without a gap.
pub(super) const LOG: TableDefinition<u64, Logged> = TableDefinition::new("log");

/// The numbers below.
pub(super) const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
const NUMBER_FORMAT: &str = "format";
pub(super) const NUMBER_REVISION: &str = "revision";
pub(super) const NUMBER_TRIMMED: &str = "trimmed";

/// The database.
#[derive(Debug)]
pub(super) struct Disk {
    database: Database,
    syncs: Arc<AtomicU64>,
}

impl Disk {
    /// Opens what is there, or makes it. After a crash redb takes the newest transaction whose
    /// checksums are right.
    pub(super) fn open(
        backend: Box<dyn StorageBackend>,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let backend = Counted::new(backend);
        let syncs = backend.syncs();
        let database = Builder::new()
            .set_cache_size(cache_bytes)
            .create_with_backend(backend)
            .map_err(StoreError::database("open"))?;
        let disk = Self { database, syncs };
        disk.check_format()?;
        Ok(disk)
    }

    /// A view of what is durable.
    pub(super) fn read(&self) -> Result<ReadTransaction, StoreError> {
        let begun = self.database.begin_read();
        begun.map_err(StoreError::database("read"))
    }

    /// Flushes so far.
    pub(super) fn syncs(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.syncs)
    }

    /// Writes these changes in one transaction, and returns when they are durable.
    pub(super) fn commit(
        &self,
        events: &[WatchEvent],
        trimmed: Revision,
        trim: Revision,
    ) -> Result<(), StoreError> {
        self.write(events, trimmed, trim)
            .map_err(StoreError::database("write"))
    }

    fn write(
        &self,
        events: &[WatchEvent],
        trimmed: Revision,
        trim: Revision,
    ) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        // One flush: redb tells by its checksums whether a transaction is complete.
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            let mut log = transaction.open_table(LOG)?;
            let mut numbers = transaction.open_table(NUMBERS)?;
            for event in events {
                let key = disk_key(&event.object.key);
                let json = &*event.object.bytes;
                if event.removed {
                    objects.remove(key)?;
                } else {
                    objects.insert(key, (event.revision.0, json))?;
                }
                let before = event.before.as_ref();
                let before = before.map(|before| (before.revision.0, &*before.bytes));
                log.insert(event.revision.0, (event.removed, key, json, before))?;
                numbers.insert(NUMBER_REVISION, event.revision.0)?;
            }
            for revision in trimmed.0 + 1..=trim.0 {
                log.remove(revision)?;
            }
            numbers.insert(NUMBER_TRIMMED, trim.0)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Refuses what a newer version wrote, and marks what is new.
    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.format().map_err(StoreError::database("read"))?;
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) => Err(StoreError::Newer {
                found,
                known: FORMAT,
            }),
            None => self.mark().map_err(StoreError::database("initialize")),
        }
    }

    fn format(&self) -> Result<Option<u64>, redb::Error> {
        let transaction = self.database.begin_read()?;
        match transaction.open_table(NUMBERS) {
            Ok(numbers) => Ok(numbers.get(NUMBER_FORMAT)?.map(|found| found.value())),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn mark(&self) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.open_table(OBJECTS)?;
        transaction.open_table(LOG)?;
        {
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert(NUMBER_FORMAT, FORMAT)?;
            numbers.insert(NUMBER_REVISION, Revision::FIRST.0)?;
            numbers.insert(NUMBER_TRIMMED, Revision::FIRST.0)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn disk_key(key: &Key) -> (&str, &str, &str) {
    (&key.storage, &key.namespace, &key.name)
}
