//! Maps and sets that refuse a key which is there twice. Serde's own keep the last one, so that of
//! two namespaces 1 in a file one would silently not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

pub(crate) fn map<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(UniqueMap(PhantomData))
}

pub(crate) fn set<'de, D, K>(deserializer: D) -> Result<BTreeSet<K>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Debug,
{
    deserializer.deserialize_seq(UniqueSet(PhantomData))
}

struct UniqueMap<K, V>(PhantomData<(K, V)>);

struct UniqueSet<K>(PhantomData<K>);

impl<'de, K, V> Visitor<'de> for UniqueMap<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map in which no key is there twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<K>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key:?} is there twice")));
            }
            map.insert(key, entries.next_value()?);
        }
        Ok(map)
    }
}

impl<'de, K> Visitor<'de> for UniqueSet<K>
where
    K: Deserialize<'de> + Ord + fmt::Debug,
{
    type Value = BTreeSet<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list in which no entry is there twice")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut set = BTreeSet::new();
        while let Some(key) = entries.next_element::<K>()? {
            if set.contains(&key) {
                return Err(A::Error::custom(format_args!("{key:?} is there twice")));
            }
            set.insert(key);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use crate::Target;

    fn target(namespaces: &str) -> Result<Target, serde_json::Error> {
        serde_json::from_str(&format!(
            r#"{{"hosts": {{}}, "ports": {{}}, "subsystems": {{"nqn.a": {{"allow_any_host": false,
            "allowed_hosts": [], "serial": null, "model": null, "namespaces": {{{namespaces}}}}}}}}}"#
        ))
    }

    /// Seen red with: `if map.contains_key(&key)` made `if false`.
    #[test]
    fn a_namespace_id_that_is_there_twice_is_refused() {
        let uuid = uuid::Uuid::from_u128(7);
        let namespace = format!(
            r#"{{"device_path": "/dev/x", "uuid": "{uuid}", "nguid": "{uuid}", "ana_group": 1,
            "enabled": true}}"#
        );
        assert!(target(&format!(r#""1": {namespace}, "2": {namespace}"#)).is_ok());
        let error = target(&format!(r#""1": {namespace}, "1": {namespace}"#)).unwrap_err();
        assert!(
            error.to_string().contains("Nsid(1) is there twice"),
            "{error}"
        );
    }

    #[test]
    fn a_host_that_is_there_twice_is_refused() {
        let json = r#"{"hosts": {"nqn.h": {}, "nqn.h": {}}, "ports": {}, "subsystems": {}}"#;
        assert!(serde_json::from_str::<Target>(json).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(target(r#""0": {}"#).is_err());
        assert!(target(r#""4294967295": {}"#).is_err());
    }
}
