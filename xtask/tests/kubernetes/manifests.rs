//! The objects of `deploy/kustomization.yaml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One object, and the file that it is in.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) file: String,
    pub(crate) object: Value,
}

impl Manifest {
    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(crate) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.object.pointer(pointer);
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// The spec of the pods that it makes, if it makes any.
    pub(crate) fn pods(&self) -> Option<&Value> {
        self.object.pointer("/spec/template/spec")
    }

    /// Its containers, those that come first included.
    pub(crate) fn containers(&self) -> Vec<&Value> {
        let lists = ["initContainers", "containers"];
        let lists = lists.iter().filter_map(|list| self.pods()?.get(list));
        lists.filter_map(Value::as_array).flatten().collect()
    }

    pub(crate) fn typed<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.object.clone())
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.file, self.name()))
    }
}

/// Where all of it is.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// What kustomize is told.
pub(crate) fn kustomization() -> Value {
    let text = fs::read_to_string(deploy().join("kustomization.yaml")).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

/// Every object, in kustomize's order of files.
pub(crate) fn all() -> Vec<Manifest> {
    let files = kustomization();
    let files = files["resources"].as_array().unwrap().clone();
    let files = files.iter().map(|file| file.as_str().unwrap().to_owned());
    files.flat_map(|file| read(&file)).collect()
}

/// The objects of one file.
pub(crate) fn read(file: &str) -> Vec<Manifest> {
    let text = fs::read_to_string(deploy().join(file)).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Manifest {
            file: file.to_owned(),
            object: Value::deserialize(document).unwrap_or_else(|error| panic!("{file}: {error}")),
        })
        .collect()
}

/// Seen red with: `network.yaml` left out of kustomization.yaml.
#[test]
fn every_file_is_taken_and_is_there() {
    let taken = kustomization();
    let taken: BTreeSet<String> = taken["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap().to_owned())
        .collect();
    let mut there = BTreeSet::new();
    for dir in ["crds", "kubernetes"] {
        for entry in fs::read_dir(deploy().join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            there.insert(format!("{dir}/{name}"));
        }
    }
    assert!(there.remove("kubernetes/kubeconfig.yaml"));
    assert_eq!(taken, there);
}

#[test]
fn no_object_is_there_twice() {
    let mut seen = BTreeSet::new();
    for one in all() {
        let key = format!("{} {}/{}", one.kind(), one.namespace(), one.name());
        assert!(!one.name().is_empty(), "{}: no name", one.file);
        assert!(seen.insert(key.clone()), "{}: {key}", one.file);
    }
}

/// What belongs to Weir is found by one label, as docs/kubernetes.md says where it tells how to remove it.
#[test]
fn every_object_says_that_it_is_a_part_of_weir() {
    for one in all() {
        if one.kind() == "CustomResourceDefinition" {
            continue;
        }
        let label = one
            .object
            .pointer("/metadata/labels/app.kubernetes.io~1part-of");
        assert_eq!(
            label.and_then(Value::as_str),
            Some("weir"),
            "{} {}",
            one.file,
            one.name()
        );
    }
}
