//! What a server keeps in `metadata`, and what it lets clients put there.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{name, time};
use crate::standalone::error::Cause;
use crate::standalone::resource::{Nature, Resource};

/// All annotations together, keys and values.
const MOST_ANNOTATIONS: usize = 262_144;

/// Fields that belong to the server: a client's value for them is not looked at.
const SERVERS: [&str; 4] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
];

/// A text in `metadata`; empty when it isn't there.
pub(crate) fn text<'o>(object: &'o Value, key: &str) -> &'o str {
    field(object, key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn field<'o>(object: &'o Value, key: &str) -> Option<&'o Value> {
    object.get("metadata")?.get(key)
}

fn metadata(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata")?.as_object_mut()
}

/// Sets a field in `metadata`.
pub(super) fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(metadata) = metadata(object) {
        metadata.insert(key.to_owned(), value.into());
    }
}

/// Removes a field from `metadata`.
pub(super) fn unset(object: &mut Value, key: &str) {
    if let Some(metadata) = metadata(object) {
        metadata.remove(key);
    }
}

/// Removes a field of the object.
pub(super) fn remove(object: &mut Value, key: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(key);
    }
}

/// Makes a field of an object what it is in another.
pub(super) fn copy(to: &mut Value, from: &Value, key: &str) {
    let Some(map) = to.as_object_mut() else {
        return;
    };
    match from.get(key) {
        Some(value) => map.insert(key.to_owned(), value.clone()),
        None => map.remove(key),
    };
}

/// What a new object's metadata begins with.
pub(super) fn begin(object: &mut Value, uid: Uuid, now: Timestamp, has_generation: bool) {
    for key in SERVERS {
        unset(object, key);
    }
    unset(object, "resourceVersion");
    set(object, "uid", uid.to_string());
    set(object, "creationTimestamp", time::format(now));
    if has_generation {
        set(object, "generation", 1);
    }
    let prefix = text(object, "generateName").to_owned();
    // A prefix that is no beginning of a name is refused as such, and a name made from it isn't.
    if text(object, "name").is_empty() && !prefix.is_empty() && is_prefix(&prefix) {
        set(object, "name", name::generated(&prefix));
    }
}

/// A prefix may end in what a name may not end in.
fn is_prefix(prefix: &str) -> bool {
    name::subdomain(&format!("{prefix}x")).is_empty()
}

/// Gives an updated object what an update can't change. Answers with the causes for what a client
/// tried to change nevertheless.
pub(super) fn carry_over(object: &mut Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let immutable = |key: &str, value: &Value| {
        Cause::invalid(format!("metadata.{key}"), value, "field is immutable")
    };
    if let Some(uid) = field(object, "uid").filter(|uid| Some(*uid) != field(old, "uid")) {
        causes.push(immutable("uid", uid));
    }
    if field(old, "deletionTimestamp").is_none() {
        for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            causes.extend(field(object, key).map(|value| immutable(key, value)));
        }
    }
    for key in SERVERS.iter().chain(&["uid"]) {
        match field(old, key) {
            Some(value) => set(object, key, value.clone()),
            None => unset(object, key),
        }
    }
    causes.extend(new_finalizers(object, old));
    causes
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = field(object, "finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// An object that is being deleted can't be held back by somebody new.
fn new_finalizers(object: &Value, old: &Value) -> Option<Cause> {
    field(old, "deletionTimestamp")?;
    let new: Vec<&str> = finalizers(object)
        .filter(|f| !finalizers(old).any(|o| o == *f))
        .collect();
    if new.is_empty() {
        return None;
    }
    let quoted: Vec<_> = new.iter().map(|f| format!("{f:?}")).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{}}}",
        quoted.join(", ")
    );
    Some(Cause::forbidden("metadata.finalizers", &why))
}

/// What a client should think about: finalizers that others might call the same.
pub(super) fn warnings(object: &Value, old: Option<&Value>) -> Vec<String> {
    let is_new = |f: &&str| old.is_none_or(|old| !finalizers(old).any(|o| o == *f));
    let vague = finalizers(object)
        .filter(|f| !f.contains('/'))
        .filter(is_new);
    let warning = |f| {
        format!(
            "metadata.finalizers: {f:?}: prefer a domain-qualified finalizer name to avoid \
             accidental conflicts with other finalizer writers"
        )
    };
    vague.take(10).map(warning).collect()
}

/// Whether a deleted object has nothing left that holds it back.
pub(super) fn is_finished(object: &Value) -> bool {
    field(object, "deletionTimestamp").is_some() && finalizers(object).next().is_none()
}

/// Whether somebody holds the object back from being deleted.
pub(super) fn has_finalizers(object: &Value) -> bool {
    finalizers(object).next().is_some()
}

/// Whether anything but metadata, and the status where it is a part of its own, is different.
pub(super) fn content_differs(old: &Value, object: &Value, resource: &Resource) -> bool {
    let counts = |(key, _): &(&String, &Value)| {
        *key != "metadata" && !(resource.has_status && *key == "status")
    };
    let old = old.as_object().into_iter().flatten().filter(counts);
    !old.eq(object.as_object().into_iter().flatten().filter(counts))
}

/// Counts one change of what is asked for.
pub(super) fn next_generation(object: &mut Value) {
    if let Some(now) = field(object, "generation").and_then(Value::as_i64) {
        set(object, "generation", now.saturating_add(1));
    }
}

/// Whether two objects are the same but for their resourceVersion.
pub(super) fn same(old: &Value, object: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), object.as_object()) else {
        return old == object;
    };
    let pairs = old.len() == new.len();
    pairs
        && old
            .iter()
            .all(|(key, value)| match (key.as_str(), new.get(key)) {
                ("metadata", Some(other)) => same_metadata(value, other),
                (_, other) => other == Some(value),
            })
}

fn same_metadata(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return old == new;
    };
    let fields =
        |map: &'_ Map<String, Value>| map.keys().filter(|k| *k != "resourceVersion").count();
    fields(old) == fields(new)
        && old
            .iter()
            .all(|(k, v)| k == "resourceVersion" || new.get(k) == Some(v))
}

/// The fields in `metadata` that are refused.
pub(super) fn validate(object: &Value, nature: Nature) -> Vec<Cause> {
    let mut causes = Vec::new();
    let refuse = |field: &str, value: &str, why: Vec<String>| {
        let value = Value::from(value);
        why.into_iter()
            .map(|w| Cause::invalid(field, &value, &w))
            .collect::<Vec<_>>()
    };
    let prefix = text(object, "generateName");
    if !prefix.is_empty() && !is_prefix(prefix) {
        causes.extend(refuse(
            "metadata.generateName",
            prefix,
            name::subdomain(prefix),
        ));
    }
    match text(object, "name") {
        "" if prefix.is_empty() => {
            let why = "name or generateName is required";
            causes.push(Cause::required("metadata.name", why));
        }
        "" => {}
        given => {
            let why = match nature {
                Nature::Namespace => name::label(given),
                _ => name::subdomain(given),
            };
            causes.extend(refuse("metadata.name", given, why));
        }
    }
    for (key, value) in entries(object, "labels") {
        causes.extend(refuse("metadata.labels", key, name::qualified(key)));
        causes.extend(refuse("metadata.labels", value, name::label_value(value)));
    }
    let mut size = 0;
    for (key, value) in entries(object, "annotations") {
        let lower = key.to_lowercase();
        causes.extend(refuse("metadata.annotations", key, name::qualified(&lower)));
        size += key.len() + value.len();
    }
    if size > MOST_ANNOTATIONS {
        causes.push(Cause::too_long(
            "metadata.annotations",
            MOST_ANNOTATIONS as u64,
        ));
    }
    for finalizer in finalizers(object) {
        causes.extend(refuse(
            "metadata.finalizers",
            finalizer,
            name::qualified(finalizer),
        ));
    }
    causes.extend(owners(object));
    causes.truncate(100);
    causes
}

fn entries<'o>(object: &'o Value, key: &str) -> impl Iterator<Item = (&'o str, &'o str)> {
    let map = field(object, key).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}

fn owners(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut controllers = 0;
    let list = field(object, "ownerReferences").and_then(Value::as_array);
    for (index, owner) in list.into_iter().flatten().enumerate() {
        let of = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let field = |key: &str| format!("metadata.ownerReferences[{index}].{key}");
        let empty = Value::from("");
        if !of("apiVersion").contains(|c: char| c != '/') {
            causes.push(Cause::invalid(
                field("apiVersion"),
                &empty,
                "version must not be empty",
            ));
        }
        for (key, why) in [
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if of(key).is_empty() {
                causes.push(Cause::invalid(field(key), &empty, why));
            }
        }
        controllers += usize::from(owner.get("controller") == Some(&Value::Bool(true)));
    }
    if controllers > 1 {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in {controllers} \
             references"
        );
        causes.push(Cause::invalid(
            "metadata.ownerReferences",
            &Value::Array(Vec::new()),
            &why,
        ));
    }
    causes
}
