//! Files of every version, up and down.

use super::*;
use crate::durable::Fs;
use crate::durable::fake::MemFs;
use crate::record::{PoolRecord, Store, VolumeRecord};
use std::path::Path;

/// Every file that an agent of an earlier version, or of this one, may have left.
const POOLS: [&str; 3] = [
    include_str!("../samples/pool-1.json"),
    include_str!("../samples/pool-2.json"),
    include_str!("../samples/pool-3.json"),
];
const VOLUMES: [&str; 3] = [
    include_str!("../samples/volume-1.json"),
    include_str!("../samples/volume-2.json"),
    include_str!("../samples/volume-3.json"),
];
/// A record of this version that the agent before it must not serve.
const REJECTED: &str = include_str!("../samples/volume-3-rejected.json");
/// The format before this one.
const BEFORE: Format = Format {
    version: 2,
    min_reader: 2,
    upgrades: &[several_attachments],
};
/// What an agent to come may leave.
const UNREADABLE: &str = include_str!("../samples/volume-900-for-900.json");

const POOL: &str = "/record/pool-fast.json";
const VOLUME: &str = "/record/volume-00000000-0000-0000-0000-000000000007.json";

/// Formats of a record that exists in these tests only: the second renamed a field, the third added
/// one that older agents may keep without knowing it.
const ONE: Format = Format {
    version: 1,
    min_reader: 1,
    upgrades: &[],
};
const TWO: Format = Format {
    version: 2,
    min_reader: 2,
    upgrades: &[host_becomes_hosts],
};
const THREE: Format = Format {
    version: 3,
    min_reader: 2,
    upgrades: &[host_becomes_hosts, nothing],
};

fn host_becomes_hosts(_: Kind, fields: &mut Map<String, Value>) -> Result<(), String> {
    let host = fields.remove("host").ok_or("missing field `host`")?;
    fields.insert("hosts".to_owned(), Value::Array(vec![host]));
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "an upgrade's type")]
fn nothing(_: Kind, _: &mut Map<String, Value>) -> Result<(), String> {
    Ok(())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct First {
    version: u32,
    host: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Second {
    version: u32,
    hosts: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Third {
    version: u32,
    hosts: Vec<String>,
    #[serde(default)]
    quorum: u32,
}

fn store(path: &str, text: &str) -> (MemFs, Store) {
    let fs = MemFs::default();
    fs.put(Path::new(path), text.as_bytes());
    let store = Store::new(Box::new(fs.clone()), "/record".into());
    (fs, store)
}

fn read(fs: &MemFs, path: &str) -> String {
    String::from_utf8(fs.read(Path::new(path)).unwrap()).unwrap()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Seen red with: `for upgrade in &self.upgrades[done..]` made to skip the first one.
#[test]
fn an_older_file_is_upgraded_in_memory_and_written_in_the_new_form() {
    let old = br#"{"version": 1, "host": "a"}"#;
    let read: Third = THREE.read(Kind::Volume, old).unwrap();
    let wanted = Third {
        version: 3,
        hosts: vec!["a".to_owned()],
        quorum: 0,
    };
    assert_eq!(read, wanted);
    let written = THREE.write(Kind::Volume, &read, Some(old)).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(
        written,
        value(r#"{"version": 3, "minReader": 2, "hosts": ["a"], "quorum": 0}"#)
    );
}

/// An agent goes back by one version, changes the record, and the newer agent returns.
///
/// Seen red with: `added.extend(unknown)` removed.
#[test]
fn a_downgraded_agent_keeps_what_it_does_not_know() {
    let newest = br#"{"version": 3, "minReader": 2, "hosts": ["a"], "quorum": 5}"#;
    let mut read: Second = TWO.read(Kind::Volume, newest).unwrap();
    assert_eq!(read.version, 2);
    read.hosts.push("b".to_owned());
    let written = TWO.write(Kind::Volume, &read, Some(newest)).unwrap();
    let again: Third = THREE.read(Kind::Volume, &written).unwrap();
    let wanted = Third {
        version: 3,
        hosts: vec!["a".to_owned(), "b".to_owned()],
        quorum: 5,
    };
    assert_eq!(again, wanted);
    let envelope: Envelope = serde_json::from_slice(&written).unwrap();
    assert_eq!((envelope.version, envelope.min_reader), (3, Some(2)));
}

#[test]
fn an_agent_two_versions_back_refuses_to_read_write_and_remove() {
    let newest = br#"{"version": 3, "minReader": 2, "host": "a", "hosts": ["a"]}"#;
    let read = ONE.read::<First>(Kind::Volume, newest).unwrap_err();
    let record = First {
        version: 1,
        host: "a".to_owned(),
    };
    let write = ONE.write(Kind::Volume, &record, Some(newest)).unwrap_err();
    let remove = ONE.check_replaceable(newest).unwrap_err();
    for error in [read, write, remove] {
        assert!(error.contains("version 2 or later"), "{error}");
    }
    // Without a word about readers, only its own version may read it.
    let silent = br#"{"version": 2, "host": "a"}"#;
    ONE.read::<First>(Kind::Volume, silent).unwrap_err();
}

#[test]
fn an_unknown_field_is_damage_in_a_version_that_is_known_or_inside_another_field() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Outer {
        version: u32,
        inner: Inner,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Inner {
        known: u32,
    }
    let rows = [
        (
            r#"{"version": 1, "inner": {"known": 1}, "new": 1}"#,
            Some("`new`"),
        ),
        (
            r#"{"version": 2, "minReader": 1, "inner": {"known": 1}, "new": 1}"#,
            None,
        ),
        (
            r#"{"version": 2, "minReader": 1, "inner": {"known": 1, "new": 1}}"#,
            Some("`inner.new`"),
        ),
        (
            r#"{"version": 0, "inner": {"known": 1}}"#,
            Some("version 0"),
        ),
    ];
    for (text, error) in rows {
        let read = ONE.read::<Outer>(Kind::Pool, text.as_bytes());
        match (read, error) {
            (Ok(_), None) => {}
            (Err(found), Some(error)) => assert!(found.contains(error), "{found}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }
}

/// An agent of version 2 that follows one of version 3: it leaves a rejected volume alone, since it does not
/// know the state, and keeps the cluster of a pool that it changes.
///
/// Seen red with: `min_reader` of `CURRENT` made 3 (nothing can be read then).
#[test]
fn the_agent_before_this_one_keeps_a_pools_cluster_and_leaves_a_rejected_volume_alone() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Before {
        version: u32,
        name: String,
        state: StateBefore,
    }
    #[derive(Debug, Serialize, Deserialize)]
    enum StateBefore {
        Creating,
        Ready,
        Deleting,
    }
    let (fs, store) = store(VOLUME, REJECTED);
    let records = store.load().unwrap();
    let volume = records.volumes.values().next().unwrap();
    assert_eq!(volume.state, crate::record::VolumeState::Rejected);
    store.write_volume(volume).unwrap();
    let written = read(&fs, VOLUME);
    let before = BEFORE.read::<Before>(Kind::Volume, written.as_bytes());
    assert!(before.unwrap_err().contains("Rejected"));
    let newest = POOLS.last().unwrap().as_bytes();
    let newest = CURRENT
        .write::<PoolRecord>(Kind::Pool, &CURRENT.read(Kind::Pool, newest).unwrap(), None)
        .unwrap();
    let pool: Before = BEFORE.read(Kind::Pool, &newest).unwrap();
    let written = BEFORE.write(Kind::Pool, &pool, Some(&newest)).unwrap();
    let again: PoolRecord = CURRENT.read(Kind::Pool, &written).unwrap();
    assert!(again.cluster.is_some());
}

/// The committed samples: one per version that was ever written.
#[test]
fn every_version_that_was_ever_written_is_read_and_rewritten_in_this_one() {
    assert_eq!(
        (POOLS.len(), VOLUMES.len()),
        (VERSION as usize, VERSION as usize)
    );
    for (index, text) in POOLS.iter().enumerate() {
        assert_eq!(value(text)["version"], index + 1);
        let (fs, store) = store(POOL, text);
        let records = store.load().unwrap();
        let pool: &PoolRecord = records.pools.values().next().unwrap();
        store.write_pool(pool).unwrap();
        assert_eq!(value(&read(&fs, POOL))["version"], VERSION);
        assert_eq!(store.load().unwrap(), records);
    }
    for (index, text) in VOLUMES.iter().enumerate() {
        assert_eq!(value(text)["version"], index + 1);
        let (fs, store) = store(VOLUME, text);
        let records = store.load().unwrap();
        let volume: &VolumeRecord = records.volumes.values().next().unwrap();
        assert_eq!(volume.highest_generation.map(|g| g.0), Some(3));
        assert_eq!(volume.attachments[0].node_name.as_str(), "app-1");
        store.write_volume(volume).unwrap();
        assert_eq!(value(&read(&fs, VOLUME))["version"], VERSION);
        assert_eq!(store.load().unwrap(), records);
    }
}

/// The sample of this version, as an agent to come would write it with a field that is new.
#[test]
fn this_agent_keeps_the_fields_of_a_newer_version_that_allows_it() {
    let mut newer = value(VOLUMES.last().unwrap());
    newer["version"] = 900.into();
    newer["minReader"] = VERSION.into();
    newer["quorum"] = value(r#"{"nodes": ["a", "b"]}"#);
    let (fs, store) = store(VOLUME, &newer.to_string());
    let records = store.load().unwrap();
    let mut volume: VolumeRecord = records.volumes.values().next().unwrap().clone();
    volume.name = "renamed".parse().unwrap();
    store.write_volume(&volume).unwrap();
    newer["name"] = "renamed".into();
    assert_eq!(value(&read(&fs, VOLUME)), newer);
    store.remove_volume(volume.id).unwrap();
}

/// Seen red with: the check of `min_reader` in `newer` removed, and with `check_replaceable` not
/// called in `Store::remove`.
#[test]
fn a_file_for_newer_agents_is_named_and_never_replaced_or_removed() {
    let (fs, store) = store(VOLUME, UNREADABLE);
    let records = store.load().unwrap();
    assert!(records.volumes.is_empty());
    let broken = records.broken_volumes.values().next().unwrap();
    assert_eq!(broken.path, Path::new(VOLUME));
    assert!(broken.reason.contains("version 900"), "{}", broken.reason);
    let ours: VolumeRecord = CURRENT
        .read(Kind::Volume, VOLUMES.last().unwrap().as_bytes())
        .unwrap();
    store.write_volume(&ours).unwrap_err();
    store.remove_volume(ours.id).unwrap_err();
    assert_eq!(read(&fs, VOLUME), UNREADABLE);
}
