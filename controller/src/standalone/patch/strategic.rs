//! Strategic merge patches, as far as clients send them for nodes, leases, events and namespaces.

use serde_json::{Map, Value};

/// How the items of a list are merged.
enum Merge {
    /// By value.
    Set,
    /// By this key.
    By(&'static str),
}

/// A directive, which tells what to do with a part instead of what it is.
#[derive(Debug, thiserror::Error)]
#[error("directive {0:?} of strategic merge patches is not supported: send a merge patch")]
pub(super) struct Directive(String);

/// The lists of built-in kinds that are merged; others are replaced.
fn list_at(path: &[&str]) -> Option<Merge> {
    match path {
        ["metadata", "finalizers"] | ["spec", "podCIDRs"] => Some(Merge::Set),
        ["metadata", "ownerReferences"] => Some(Merge::By("uid")),
        ["status", "conditions" | "addresses"] => Some(Merge::By("type")),
        _ => None,
    }
}

/// Merges a patch into an object.
pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), Directive> {
    into(object, patch, &mut Vec::new())
}

fn into<'p>(
    object: &mut Value,
    patch: &'p Value,
    path: &mut Vec<&'p str>,
) -> Result<(), Directive> {
    match patch {
        Value::Object(fields) => {
            if !object.is_object() {
                *object = Value::Object(Map::new());
            }
            let Value::Object(map) = object else {
                return Ok(());
            };
            for (key, value) in fields {
                if key.starts_with('$') {
                    return Err(Directive(key.clone()));
                }
                if value.is_null() {
                    map.remove(key);
                    continue;
                }
                path.push(key);
                into(map.entry(key.as_str()).or_insert(Value::Null), value, path)?;
                path.pop();
            }
        }
        Value::Array(items) => match (list_at(path), &mut *object) {
            (Some(how), Value::Array(present)) => {
                for item in items {
                    how.add(present, item, path)?;
                }
            }
            _ => {
                *object = Value::Array(Vec::new());
                for item in items {
                    let mut value = Value::Null;
                    into(&mut value, item, path)?;
                    if let Value::Array(out) = object {
                        out.push(value);
                    }
                }
            }
        },
        scalar => *object = scalar.clone(),
    }
    Ok(())
}

impl Merge {
    fn add<'p>(
        &self,
        present: &mut Vec<Value>,
        item: &'p Value,
        path: &mut Vec<&'p str>,
    ) -> Result<(), Directive> {
        let same = present.iter_mut().find(|have| match self {
            Merge::Set => **have == *item,
            Merge::By(key) => have.get(key).is_some() && have.get(key) == item.get(key),
        });
        match (self, same) {
            (Merge::Set, Some(_)) => Ok(()),
            (Merge::By(_), Some(have)) => into(have, item, path),
            (_, None) => {
                let mut value = Value::Null;
                into(&mut value, item, path)?;
                present.push(value);
                Ok(())
            }
        }
    }
}
