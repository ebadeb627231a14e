//! What is served, as clients discover it.
//!
//! Newer clients ask for one aggregated document, older ones and kube-rs for one per group.

use serde_json::{Value, json};

use super::resource::{Nature, Resource};
use super::review;

/// The media type of aggregated discovery; clients tell the two forms apart by it.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const READ_ONLY: &[&str] = &["get", "list"];

const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

const NAMESPACE_VERBS: &[&str] = &[
    "create", "delete", "get", "list", "patch", "update", "watch",
];

const STATUS_VERBS: &[&str] = &["get", "patch", "update"];

/// A resource as discovery shows it.
struct Entry<'a> {
    group: &'a str,
    version: &'a str,
    plural: &'a str,
    singular: &'a str,
    kind: &'a str,
    namespaced: bool,
    verbs: &'a [&'a str],
    short_names: &'a [String],
    categories: &'a [String],
    has_status: bool,
}

fn entries(resources: &[impl AsRef<Resource>]) -> Vec<Entry<'_>> {
    let served = resources.iter().map(|resource| {
        let resource: &Resource = resource.as_ref();
        Entry {
            group: &resource.group,
            version: &resource.version,
            plural: &resource.plural,
            singular: &resource.singular,
            kind: &resource.kind,
            namespaced: resource.namespaced,
            verbs: match resource.nature {
                Nature::Empty => READ_ONLY,
                Nature::Namespace => NAMESPACE_VERBS,
                _ => VERBS,
            },
            short_names: &resource.short_names,
            categories: &resource.categories,
            has_status: resource.has_status,
        }
    });
    let reviews = review::KINDS.iter().map(|(group, plural, kind)| Entry {
        group,
        version: review::VERSION,
        plural,
        singular: plural.trim_end_matches('s'),
        kind,
        namespaced: false,
        verbs: &["create"],
        short_names: &[],
        categories: &[],
        has_status: false,
    });
    served.chain(reviews).collect()
}

/// Groups with their versions, in the order in which they first occur; the core's is left out.
fn groups<'a>(entries: &[Entry<'a>]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.group.is_empty()) {
        let known = groups.iter_mut().find(|(group, _)| *group == entry.group);
        match known {
            Some((_, versions)) if versions.contains(&entry.version) => {}
            Some((_, versions)) => versions.push(entry.version),
            None => groups.push((entry.group, vec![entry.version])),
        }
    }
    groups
}

/// `GET /api`
#[must_use]
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"]})
}

/// `GET /apis`
#[must_use]
pub fn group_list(resources: &[impl AsRef<Resource>]) -> Value {
    let entries = entries(resources);
    let groups = groups(&entries);
    let groups: Vec<_> = groups
        .iter()
        .map(|(group, versions)| group_value(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_value(group: &str, versions: &[&str]) -> Value {
    let versions: Vec<_> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions[0], "versions": versions})
}

/// `GET /apis/<group>`
#[must_use]
pub fn group(resources: &[impl AsRef<Resource>], group: &str) -> Option<Value> {
    let entries = entries(resources);
    let groups = groups(&entries);
    let (_, versions) = groups.iter().find(|(name, _)| *name == group)?;
    let mut value = group_value(group, versions);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(value)
}

/// `GET /api/v1` and `GET /apis/<group>/<version>`
#[must_use]
pub fn resource_list(
    resources: &[impl AsRef<Resource>],
    group: &str,
    version: &str,
) -> Option<Value> {
    let entries = entries(resources);
    let of = entries
        .iter()
        .filter(|entry| (entry.group, entry.version) == (group, version));
    let mut list = Vec::new();
    for entry in of {
        let mut value = json!({
            "name": entry.plural,
            "singularName": entry.singular,
            "namespaced": entry.namespaced,
            "kind": entry.kind,
            "verbs": entry.verbs,
        });
        names(&mut value, entry);
        list.push(value);
        if entry.has_status {
            list.push(json!({
                "name": format!("{}/status", entry.plural),
                "singularName": "",
                "namespaced": entry.namespaced,
                "kind": entry.kind,
                "verbs": STATUS_VERBS,
            }));
        }
    }
    if list.is_empty() {
        return None;
    }
    let group_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": list,
    }))
}

fn names(value: &mut Value, entry: &Entry<'_>) {
    if !entry.short_names.is_empty() {
        value["shortNames"] = json!(entry.short_names);
    }
    if !entry.categories.is_empty() {
        value["categories"] = json!(entry.categories);
    }
}

/// `GET /api` and `GET /apis`, aggregated; which of the two, `is_core` says.
#[must_use]
pub fn aggregated(resources: &[impl AsRef<Resource>], is_core: bool) -> Value {
    let entries = entries(resources);
    let groups = if is_core {
        vec![("", vec!["v1"])]
    } else {
        groups(&entries)
    };
    let items = groups.into_iter().map(|(group, versions)| {
        let versions = versions.into_iter().map(|version| {
            let of = entries
                .iter()
                .filter(|entry| (entry.group, entry.version) == (group, version));
            let resources: Vec<_> = of.map(aggregated_resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        });
        let versions: Vec<_> = versions.collect();
        let metadata = match group {
            "" => json!({}),
            name => json!({"name": name}),
        };
        json!({"metadata": metadata, "versions": versions})
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.collect::<Vec<_>>(),
    })
}

fn aggregated_resource(entry: &Entry<'_>) -> Value {
    let kind = json!({"group": entry.group, "version": entry.version, "kind": entry.kind});
    let scope = if entry.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    let mut value = json!({
        "resource": entry.plural,
        "responseKind": kind,
        "scope": scope,
        "singularResource": entry.singular,
        "verbs": entry.verbs,
    });
    names(&mut value, entry);
    if entry.has_status {
        let status = json!({"subresource": "status", "responseKind": kind, "verbs": STATUS_VERBS});
        value["subresources"] = json!([status]);
    }
    value
}

/// `GET /version`
#[must_use]
pub fn version() -> Value {
    let git = format!("v1.36.0+weir.{}", env!("CARGO_PKG_VERSION"));
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": git,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none (Rust)",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    })
}

/// The architecture as Go calls it: clients compare it with their own.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
