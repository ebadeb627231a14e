//! Version 2, as old versions of kubectl want it: protobuf, of gnostic's messages.
//!
//! They look in it for a `patch` operation with a parameter `dryRun` before they ask for a dry run, and for
//! schemas, to explain and to validate by.

mod schema;

use prost::Message;
use serde_json::json;

use crate::standalone::resource::Resource;
use schema::Definitions;

#[derive(Clone, PartialEq, Message)]
struct Document {
    #[prost(string, tag = "1")]
    swagger: String,
    #[prost(message, optional, tag = "8")]
    paths: Option<Paths>,
    #[prost(message, optional, tag = "9")]
    definitions: Option<Definitions>,
}

#[derive(Clone, PartialEq, Message)]
struct Paths {
    #[prost(message, repeated, tag = "2")]
    path: Vec<NamedPath>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedPath {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<PathItem>,
}

#[derive(Clone, PartialEq, Message)]
struct PathItem {
    #[prost(message, optional, tag = "8")]
    patch: Option<Operation>,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(message, repeated, tag = "8")]
    parameters: Vec<ParametersItem>,
    #[prost(message, repeated, tag = "13")]
    vendor_extension: Vec<NamedAny>,
}

/// One of several kinds of parameters; the others are never made here.
#[derive(Clone, PartialEq, Message)]
struct ParametersItem {
    #[prost(message, optional, tag = "1")]
    parameter: Option<Parameter>,
}

#[derive(Clone, PartialEq, Message)]
struct Parameter {
    #[prost(message, optional, tag = "2")]
    non_body: Option<NonBody>,
}

#[derive(Clone, PartialEq, Message)]
struct NonBody {
    #[prost(message, optional, tag = "3")]
    query: Option<QueryParameter>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryParameter {
    #[prost(string, tag = "2")]
    place: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(string, tag = "6")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct NamedAny {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "2")]
    yaml: String,
}

/// The document.
#[must_use]
pub fn v2(resources: &[impl AsRef<Resource>]) -> Vec<u8> {
    let resources = resources.iter().map(AsRef::as_ref);
    let definitions = Definitions::of(resources.clone());
    let path = resources
        .filter(|resource: &&Resource| !resource.is_always_empty)
        .map(|resource| NamedPath {
            name: super::path(resource) + "/{name}",
            value: Some(PathItem {
                patch: Some(patch(resource)),
            }),
        });
    let document = Document {
        swagger: "2.0".to_owned(),
        paths: Some(Paths {
            path: path.collect(),
        }),
        definitions: Some(definitions).filter(|all| !all.named.is_empty()),
    };
    document.encode_to_vec()
}

fn patch(resource: &Resource) -> Operation {
    let parameter = |name: &str| {
        let query = QueryParameter {
            place: "query".to_owned(),
            name: name.to_owned(),
            kind: "string".to_owned(),
        };
        let non_body = Some(NonBody { query: Some(query) });
        ParametersItem {
            parameter: Some(Parameter { non_body }),
        }
    };
    // JSON is YAML.
    let yaml = json!({
        "group": resource.group,
        "version": resource.version,
        "kind": resource.kind,
    });
    Operation {
        parameters: ["dryRun", "fieldManager"].map(parameter).into(),
        vendor_extension: vec![NamedAny {
            name: "x-kubernetes-group-version-kind".to_owned(),
            value: Some(Any {
                yaml: yaml.to_string(),
            }),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_kinds_it_is_the_document_that_was_recorded_to_do() {
        let none: [std::sync::Arc<Resource>; 0] = [];
        assert_eq!(v2(&none), b"\x0a\x032.0\x42\0");
    }

    #[test]
    fn every_kind_says_that_it_can_be_tried() {
        let built_in: Vec<_> = crate::standalone::resource::built_in()
            .into_iter()
            .map(std::sync::Arc::new)
            .collect();
        let document = Document::decode(v2(&built_in).as_slice()).unwrap();
        let paths = document.paths.unwrap().path;
        let lease = paths
            .iter()
            .find(|path| path.name.ends_with("/namespaces/{namespace}/leases/{name}"));
        let patch = lease
            .unwrap()
            .value
            .as_ref()
            .unwrap()
            .patch
            .as_ref()
            .unwrap();
        assert_eq!(patch.parameters.len(), 2);
        let extension = patch.vendor_extension[0].value.as_ref().unwrap();
        assert!(extension.yaml.contains("\"kind\":\"Lease\""));
        assert_eq!(document.definitions, None, "kubectl knows them better");
    }

    #[test]
    fn our_own_kinds_are_described_field_by_field() {
        let kinds: Vec<_> = crate::standalone::fixtures::resources()
            .into_iter()
            .map(std::sync::Arc::new)
            .collect();
        let document = Document::decode(v2(&kinds).as_slice()).unwrap();
        let named = document.definitions.unwrap().named;
        let find = |named: &[schema::NamedSchema], name: &str| {
            let found = named.iter().find(|one| one.name == name);
            found.and_then(|one| one.value.clone()).unwrap()
        };
        let volume = find(&named, "dev.weir.v1alpha1.Volume");
        let kind = volume.vendor_extension[0].value.as_ref().unwrap();
        assert!(kind.yaml.starts_with('[') && kind.yaml.contains("\"kind\":\"Volume\""));
        let fields = volume.properties.unwrap().named;
        let metadata = find(&fields, "metadata").reference;
        let metadata = find(&named, metadata.strip_prefix("#/definitions/").unwrap());
        let labels = find(&metadata.properties.unwrap().named, "labels");
        assert_eq!(labels.kind.unwrap().value, ["object"]);
        let spec = find(&fields, "spec");
        assert!(spec.required.contains(&"poolName".to_owned()), "{spec:?}");
        let size = find(&spec.properties.unwrap().named, "sizeBytes");
        assert_eq!(size.kind.unwrap().value, ["integer"]);
    }
}
