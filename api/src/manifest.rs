//! StoragePools as a person writes them into files for an agent: whole objects of the API.

use serde::Deserialize;
use serde_json::Value;

use crate::crd::StoragePoolSpec;
use crate::names::{API_VERSION, ObjectName};
use crate::parse::{ParseError, pool_of_api};

/// A StoragePool that is to be in the API.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolManifest {
    /// Its name.
    pub name: ObjectName,
    /// The object, as it was written.
    pub object: Value,
    /// Its spec.
    pub spec: StoragePoolSpec,
}

/// Reads every StoragePool of a YAML or JSON text, whose documents are nothing else.
///
/// # Errors
/// Names the field that is not as it must be.
pub fn pools(text: &str) -> Result<Vec<PoolManifest>, ParseError> {
    let mut pools = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let object = Value::deserialize(document).map_err(|error| shape(".", &error))?;
        // What is behind the last `---`.
        if !object.is_null() {
            pools.push(pool(object)?);
        }
    }
    Ok(pools)
}

fn pool(object: Value) -> Result<PoolManifest, ParseError> {
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", "StoragePool")] {
        if object[field] != wanted {
            let rule = format!("{} is not `{wanted}`", object[field]);
            return Err(ParseError::Value { field, rule });
        }
    }
    let mut unknown = None;
    let spec = object["spec"].clone();
    let spec: StoragePoolSpec = serde_ignored::deserialize(spec, |path| {
        unknown.get_or_insert_with(|| format!("spec.{path}"));
    })
    .map_err(|error: serde_json::Error| shape("spec", &error))?;
    if let Some(field) = unknown {
        let reason = "unknown field".to_owned();
        return Err(ParseError::Shape { field, reason });
    }
    let served = pool_of_api(object.clone())?;
    Ok(PoolManifest {
        name: served.metadata.name,
        object,
        spec,
    })
}

fn shape(field: &str, error: &dyn std::error::Error) -> ParseError {
    ParseError::Shape {
        field: field.to_owned(),
        reason: error.to_string(),
    }
}

impl PoolManifest {
    /// The fields of a spec that are other than here, with their values there.
    #[must_use]
    pub fn differences(&self, there: &StoragePoolSpec) -> Vec<String> {
        let value = |spec: &StoragePoolSpec| serde_json::to_value(spec).unwrap_or_default();
        let mut found = Vec::new();
        compare("spec", &value(&self.spec), &value(there), &mut found);
        found
    }
}

fn compare(path: &str, here: &Value, there: &Value, found: &mut Vec<String>) {
    if here == there {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (here, there) {
        let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let of = |value: &serde_json::Map<String, Value>| value.get(name).cloned();
            let (one, other) = (of(one).unwrap_or_default(), of(other).unwrap_or_default());
            compare(&format!("{path}.{name}"), &one, &other, found);
        }
        return;
    }
    found.push(format!("{path} ({here} here, {there} there)"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../deploy/samples/pool.yaml");

    #[test]
    fn several_pools_are_read_and_what_they_differ_in_is_named() {
        let two = format!("{SAMPLE}---\n{}", SAMPLE.replace("storage-1-fast", "b"));
        let read = pools(&two).unwrap();
        let names: Vec<&str> = read.iter().map(|pool| pool.name.as_str()).collect();
        assert_eq!(names, ["storage-1-fast", "b"]);
        assert_eq!(read[0].differences(&read[1].spec), Vec::<String>::new());
        let other = pools(
            &SAMPLE
                .replace("10.0.0.11", "10.0.0.12")
                .replace("maxVolumes: 200", "unschedulable: true"),
        );
        let differences = read[0].differences(&other.unwrap()[0].spec);
        let begins = [
            "spec.maxVolumes (200 here, null",
            "spec.portals (",
            "spec.unschedulable (false here, true there)",
        ];
        assert_eq!(differences.len(), begins.len(), "{differences:?}");
        for (said, begin) in differences.iter().zip(begins) {
            assert!(said.starts_with(begin), "{said}");
        }
    }

    #[test]
    fn what_is_no_pool_is_refused_by_field() {
        let rows = [
            (SAMPLE.replace("StoragePool", "Volume"), "kind"),
            (SAMPLE.replace("maxVolumes", "maxVolume"), "spec.maxVolume"),
            (
                SAMPLE.replace("- /dev/disk/by-id", "- /etc"),
                "spec.engine.kernel.devices",
            ),
            ("a: [".to_owned(), "."),
        ];
        for (text, field) in rows {
            let error = pools(&text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}:")), "{error}");
        }
    }
}
