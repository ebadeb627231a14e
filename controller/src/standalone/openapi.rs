//! OpenAPI documents, for `kubectl explain` and client-side validation.
//!
//! kubectl takes a version 3 document for proof that the server validates fields if a `patch` operation
//! in it has a parameter `fieldValidation`, and then leaves validation to the server. Old ones want
//! version 2, as protobuf, and validate by the schemas in it: that each field is known, and of its type.

mod metadata;
mod v2;

use serde_json::{Map, Value, json};

use super::resource::Resource;

pub use v2::v2;

/// The media type by which version 2 is asked for…
pub const V2_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// …and the one by which it is answered.
pub const V2_MEDIA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Version 2 as JSON, for people: there is nothing in it.
#[must_use]
pub fn v2_json() -> Value {
    json!({"swagger": "2.0", "info": info(), "paths": {}})
}

fn info() -> Value {
    json!({"title": "Weir", "version": env!("CARGO_PKG_VERSION")})
}

/// A group's version as paths have it: `api/v1`, `apis/weir.dev/v1alpha1`.
#[must_use]
pub fn key(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

/// The groups and versions of resources, each once.
#[must_use]
pub fn group_versions(resources: &[impl AsRef<Resource>]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for resource in resources {
        let resource: &Resource = resource.as_ref();
        let one = (resource.group.as_str(), resource.version.as_str());
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// `GET /openapi/v3`: where the documents are. `tag` makes a document's URL change with it, so that
/// it may be kept for ever.
#[must_use]
pub fn v3_index(documents: impl IntoIterator<Item = (String, String)>) -> Value {
    let paths = documents.into_iter().map(|(key, tag)| {
        let url = format!("/openapi/v3/{key}?hash={tag}");
        (key, json!({"serverRelativeURL": url}))
    });
    json!({"paths": paths.collect::<Map<_, _>>()})
}

/// The document of one group's version.
#[must_use]
pub fn v3(resources: &[impl AsRef<Resource>], group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let of = resources.iter().map(AsRef::as_ref);
    for resource in
        of.filter(|resource: &&Resource| (&*resource.group, &*resource.version) == (group, version))
    {
        let (name, schema) = schema(resource);
        add_paths(&mut paths, resource, &name);
        schemas.insert(name, schema);
    }
    schemas.insert(metadata::NAME.to_owned(), metadata::schema());
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn kind(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

/// A kind's name among the schemas, and its schema.
fn schema(resource: &Resource) -> (String, Value) {
    let group = match resource.group.as_str() {
        "" => "io.k8s.api.core".to_owned(),
        group => group.split('.').rev().collect::<Vec<_>>().join("."),
    };
    let name = format!("{group}.{}.{}", resource.version, resource.kind);
    let mut schema = resource.open_api.clone();
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    schema["x-kubernetes-group-version-kind"] = json!([kind(resource)]);
    let reference = format!("#/components/schemas/{}", metadata::NAME);
    schema["properties"]["metadata"] = json!({
        "description": "Standard object's metadata.",
        "default": {},
        "allOf": [{"$ref": reference}],
    });
    (name, schema)
}

/// The path of a kind's objects, as documents write it.
fn path(resource: &Resource) -> String {
    let key = key(&resource.group, &resource.version);
    let scope = if resource.namespaced {
        "namespaces/{namespace}/"
    } else {
        ""
    };
    format!("/{key}/{scope}{}", resource.plural)
}

fn add_paths(paths: &mut Map<String, Value>, resource: &Resource, schema: &str) {
    let collection = path(resource);
    let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
    let content = json!({"application/json": {"schema": reference}});
    let operation = |action: &str, parameters: &[&str], has_body: bool| {
        let parameters = parameters.iter().map(|name| query_parameter(name));
        let mut operation = json!({
            "operationId": format!("{action}{}", resource.kind),
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": {"200": {"description": "OK", "content": content}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind(resource),
        });
        if has_body {
            operation["requestBody"] = json!({"content": content, "required": true});
        }
        operation
    };
    const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
    const PATCH: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
    const LIST: &[&str] = &[
        "allowWatchBookmarks",
        "continue",
        "fieldSelector",
        "labelSelector",
        "limit",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "timeoutSeconds",
        "watch",
    ];
    let mut all = json!({"get": operation("list", LIST, false)});
    if !resource.is_always_empty {
        all["post"] = operation("post", WRITE, true);
        all["delete"] = operation("deletecollection", &["dryRun"], false);
        let mut one = json!({
            "get": operation("get", &[], false),
            "put": operation("put", WRITE, true),
            "patch": operation("patch", PATCH, true),
            "delete": operation("delete", &["dryRun"], false),
        });
        one["parameters"] = path_parameters(resource, true);
        if resource.has_status {
            let mut status = json!({
                "get": operation("get", &[], false),
                "put": operation("put", WRITE, true),
                "patch": operation("patch", PATCH, true),
            });
            status["parameters"] = path_parameters(resource, true);
            paths.insert(format!("{collection}/{{name}}/status"), status);
        }
        paths.insert(format!("{collection}/{{name}}"), one);
    }
    all["parameters"] = path_parameters(resource, false);
    paths.insert(collection, all);
}

fn path_parameters(resource: &Resource, is_named: bool) -> Value {
    let namespace = resource.namespaced.then_some("namespace");
    let name = is_named.then_some("name");
    let parameters = namespace.into_iter().chain(name).map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
    );
    parameters.collect()
}

fn query_parameter(name: &str) -> Value {
    let kind = match name {
        "limit" | "timeoutSeconds" => "integer",
        "watch" | "force" | "allowWatchBookmarks" | "sendInitialEvents" => "boolean",
        _ => "string",
    };
    json!({"name": name, "in": "query", "schema": {"type": kind}})
}
