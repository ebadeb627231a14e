//! What is read when a store is opened: everything, with a look at whether it fits together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable};
use serde_json::Value;

use super::Indexer;
use super::change::{Stored, WatchEvent};
use super::disk::{Disk, LOG, NUMBER_REVISION, NUMBER_TRIMMED, NUMBERS, OBJECTS};
use super::error::StoreError;
use super::history::History;
use super::key::{Key, Revision};
use super::memory::Memory;

type Objects = BTreeMap<Arc<Key>, Stored>;

impl Disk {
    /// Reads everything. Whether single pages are whole is redb's matter; here it is checked that
    /// no object is newer than the store and that the log has no gap.
    pub(super) fn load(&self, index: &Indexer) -> Result<Memory, StoreError> {
        let transaction = self.read()?;
        let (revision, trimmed) = numbers(&transaction)?;
        let objects = objects(&transaction, index, revision)?;
        let history = history(&transaction, index, &objects, trimmed)?;
        let newest = trimmed.0 + history.len() as u64;
        if newest != revision.0 {
            let what = format!("the log ends at revision {newest}, the store is of {revision}");
            return Err(StoreError::Damaged { what });
        }
        Ok(Memory::new(revision, objects, history))
    }
}

/// The newest revision and the one up to which the log is trimmed.
fn numbers(transaction: &ReadTransaction) -> Result<(Revision, Revision), StoreError> {
    let table = transaction.open_table(NUMBERS).map_err(unread())?;
    let number = |name: &str| {
        let found = table.get(name).map_err(unread())?;
        let found = found.ok_or_else(|| StoreError::Damaged {
            what: format!("it has no {name}"),
        })?;
        Ok(Revision(found.value()))
    };
    Ok((number(NUMBER_REVISION)?, number(NUMBER_TRIMMED)?))
}

fn objects(
    transaction: &ReadTransaction,
    index: &Indexer,
    newest: Revision,
) -> Result<Objects, StoreError> {
    let mut objects = Objects::new();
    let table = transaction.open_table(OBJECTS).map_err(unread())?;
    for row in table.iter().map_err(unread())? {
        let (key, value) = row.map_err(unread())?;
        let (revision, json) = value.value();
        let key = Arc::new(key_of(key.value()));
        if revision > newest.0 {
            let what = format!("{key} is of revision {revision}, the store of {newest}");
            return Err(StoreError::Damaged { what });
        }
        let object = object(Arc::clone(&key), revision, json, index)?;
        objects.insert(key, object);
    }
    Ok(objects)
}

/// What memory has anyway is shared: an object's newest state with the objects, an older one with
/// the change that made it.
fn history(
    transaction: &ReadTransaction,
    index: &Indexer,
    objects: &Objects,
    trimmed: Revision,
) -> Result<History, StoreError> {
    let mut history = History::new(trimmed);
    let mut last: HashMap<Arc<Key>, Stored> = HashMap::new();
    let table = transaction.open_table(LOG).map_err(unread())?;
    for row in table.iter().map_err(unread())? {
        let (revision, value) = row.map_err(unread())?;
        let revision = revision.value();
        let expected = trimmed.0 + history.len() as u64 + 1;
        if revision != expected {
            let what = format!("the log has revision {revision} where {expected} belongs");
            return Err(StoreError::Damaged { what });
        }
        let (removed, key, json, before) = value.value();
        let key = key_of(key);
        let newest = objects.get(&key);
        let earlier = last.get(&key);
        let key = match newest.or(earlier) {
            Some(known) => Arc::clone(&known.key),
            None => Arc::new(key),
        };
        let state = |of: u64, json: &[u8], known: Option<&Stored>| match known {
            Some(known) if known.revision.0 == of => Ok(known.clone()),
            _ => object(Arc::clone(&key), of, json, index),
        };
        let before = before.map(|(of, json)| state(of, json, earlier));
        let event = WatchEvent {
            revision: Revision(revision),
            object: state(revision, json, newest)?,
            before: before.transpose()?,
            removed,
        };
        last.insert(key, event.object.clone());
        history.push(event);
    }
    Ok(history)
}

fn object(
    key: Arc<Key>,
    revision: u64,
    json: &[u8],
    index: &Indexer,
) -> Result<Stored, StoreError> {
    let value: Value = serde_json::from_slice(json).map_err(|source| StoreError::Unreadable {
        key: key.to_string(),
        source,
    })?;
    Ok(Stored {
        indexed: Arc::new(index(&key.storage, &value)),
        bytes: Bytes::copy_from_slice(json),
        revision: Revision(revision),
        key,
    })
}

fn key_of((storage, namespace, name): (&str, &str, &str)) -> Key {
    Key {
        storage: storage.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn unread<E: Into<redb::Error>>() -> impl Fn(E) -> StoreError {
    StoreError::database("read")
}
