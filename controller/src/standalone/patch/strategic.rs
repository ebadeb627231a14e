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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn lists_with_keys_are_merged_and_others_replaced() {
        let mut node = json!({
            "metadata": {"labels": {"a": "b", "c": "d"}, "finalizers": ["x"]},
            "spec": {"taints": [{"key": "a"}]},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "r"}]},
        });
        let patch = json!({
            "metadata": {"labels": {"a": null, "e": "f"}, "finalizers": ["y", "x"]},
            "spec": {"taints": [{"key": "b"}], "unschedulable": true},
            "status": {"conditions": [
                {"type": "Ready", "status": "True"}, {"type": "New", "status": "True"}]},
        });
        merge(&mut node, &patch).unwrap();
        let expected = json!({
            "metadata": {"labels": {"c": "d", "e": "f"}, "finalizers": ["x", "y"]},
            "spec": {"taints": [{"key": "b"}], "unschedulable": true},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "reason": "r"},
                {"type": "New", "status": "True"}]},
        });
        assert_eq!(node, expected);
    }

    #[test]
    fn directives_are_refused() {
        for patch in [
            json!({"$patch": "delete"}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}),
            json!({"status": {"conditions": [{"type": "A", "$patch": "delete"}]}}),
        ] {
            assert!(merge(&mut json!({}), &patch).is_err(), "{patch}");
        }
    }
}
