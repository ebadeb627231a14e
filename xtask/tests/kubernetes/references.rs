//! Objects name others: accounts, roles, config maps, ports, labels. What is named is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::manifests::{Manifest, all, deploy, kustomization};

fn list<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let value = value.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default()
}

fn workloads() -> Vec<Manifest> {
    let workloads: Vec<_> = all()
        .into_iter()
        .filter(|one| one.pods().is_some())
        .collect();
    assert_eq!(workloads.len(), 4);
    workloads
}

/// The keys of each config map that kustomize makes.
fn config_maps() -> Vec<(String, String, Vec<String>)> {
    let made = kustomization();
    let made = list(&made, "/configMapGenerator");
    made.iter()
        .map(|map| {
            let keys = list(map, "/files").into_iter().map(|file| {
                let file = file.as_str().unwrap();
                let (key, path) = file.split_once('=').unwrap_or((file, file));
                assert!(deploy().join(path).is_file(), "{path}");
                key.to_owned()
            });
            let (name, namespace) = (text(map, "/name"), text(map, "/namespace"));
            (name.to_owned(), namespace.to_owned(), keys.collect())
        })
        .collect()
}

/// Seen red with: `key: lvm.conf` in agent.yaml spelt `lvm.cnf`; `serviceAccountName: weir-agents`.
#[test]
fn pods_find_what_they_name() {
    let objects = all();
    let maps = config_maps();
    for one in workloads() {
        let (pods, who) = (one.pods().unwrap(), one.name());
        let account = text(pods, "/serviceAccountName");
        let is_there = objects.iter().any(|other| {
            other.kind() == "ServiceAccount"
                && other.name() == account
                && other.namespace() == one.namespace()
        });
        assert!(is_there, "{who}: {account}");
        let critical = ["system-node-critical", "system-cluster-critical"];
        assert!(critical.contains(&text(pods, "/priorityClassName")));
        let mut volumes = BTreeSet::new();
        for volume in list(pods, "/volumes") {
            volumes.insert(text(volume, "/name"));
            let map = text(volume, "/configMap/name");
            if map.is_empty() {
                continue;
            }
            let made = maps
                .iter()
                .find(|(name, namespace, _)| name == map && namespace == one.namespace());
            let (_, _, keys) = made.unwrap_or_else(|| panic!("{who}: {map}"));
            for item in list(volume, "/configMap/items") {
                let key = text(item, "/key");
                assert!(keys.iter().any(|one| one == key), "{who}: {map} {key}");
            }
        }
        let mut mounted = BTreeSet::new();
        for container in one.containers() {
            for mount in list(container, "/volumeMounts") {
                mounted.insert(text(mount, "/name"));
            }
        }
        assert_eq!(volumes, mounted, "{who}: volumes and mounts");
    }
}

/// Seen red with: `port: metrics` spelt `metric` in a probe; a Service's selector changed.
#[test]
fn ports_and_labels_are_there() {
    let workloads = workloads();
    for one in &workloads {
        let labels = one.object.pointer("/spec/template/metadata/labels");
        let selector = one.object.pointer("/spec/selector/matchLabels");
        assert!(matches(labels, selector), "{}", one.name());
        let containers = one.containers();
        let named = |port: &str| {
            let mut ports = containers
                .iter()
                .flat_map(|container| list(container, "/ports"));
            ports.any(|one| text(one, "/name") == port)
        };
        for container in &containers {
            for probe in ["livenessProbe", "readinessProbe"] {
                let port = container.pointer(&format!("/{probe}/httpGet/port"));
                if let Some(Value::String(port)) = port {
                    assert!(named(port), "{}: {port}", one.name());
                }
            }
        }
    }
    for one in all() {
        let (selector, ports) = match one.kind() {
            "Service" => ("/spec/selector", list(&one.object, "/spec/ports")),
            "PodDisruptionBudget" => ("/spec/selector/matchLabels", Vec::new()),
            "NetworkPolicy" => (
                "/spec/podSelector/matchLabels",
                list(&one.object, "/spec/ingress/0/ports"),
            ),
            _ => continue,
        };
        let selector = one.object.pointer(selector);
        let of = workloads.iter().find(|workload| {
            let labels = workload.object.pointer("/spec/template/metadata/labels");
            workload.namespace() == one.namespace() && matches(labels, selector)
        });
        let of = of.unwrap_or_else(|| panic!("{} {}: no pods", one.kind(), one.name()));
        for port in ports {
            let name = match one.kind() {
                "Service" => text(port, "/targetPort"),
                _ => text(port, "/port"),
            };
            let containers = of.containers();
            let mut there = containers
                .iter()
                .flat_map(|container| list(container, "/ports"));
            assert!(
                there.any(|one| text(one, "/name") == name),
                "{} {}: {name}",
                one.kind(),
                one.name()
            );
        }
    }
}

fn matches(labels: Option<&Value>, selector: Option<&Value>) -> bool {
    let (Some(labels), Some(Value::Object(selector))) = (labels, selector) else {
        return false;
    };
    let mut selector = selector.iter();
    selector.all(|(key, value)| labels.get(key) == Some(value))
}

/// Nothing runs as root, or writes to its own root, that need not.
///
/// Seen red with: `readOnlyRootFilesystem: false` for weir-controller; `privileged: true` for a sidecar.
#[test]
fn only_what_touches_the_node_is_privileged() {
    let may = ["install-host", "weir-agent", "weir-csi"];
    for one in workloads() {
        for container in one.containers() {
            let name = text(container, "/name");
            let at = |field: &str| container.pointer(&format!("/securityContext/{field}"));
            assert_eq!(
                at("readOnlyRootFilesystem"),
                Some(&true.into()),
                "{} {name}",
                one.name()
            );
            assert!(
                container.pointer("/resources/limits/memory").is_some(),
                "{name}"
            );
            if at("privileged") == Some(&true.into()) {
                let is_node = one.kind() == "DaemonSet";
                assert!(is_node && may.contains(&name), "{} {name}", one.name());
                continue;
            }
            assert_eq!(
                at("allowPrivilegeEscalation"),
                Some(&false.into()),
                "{} {name}",
                one.name()
            );
            assert_eq!(
                at("capabilities/drop/0"),
                Some(&"ALL".into()),
                "{} {name}",
                one.name()
            );
        }
    }
}

/// What weir-agent refuses to start without, in a container, and what its record needs to outlive it.
///
/// Seen red with: the mount of `/run/lvm` taken out of agent.yaml; `/var/lib/weir` an emptyDir.
#[test]
fn the_agent_has_what_it_shares_with_the_host() {
    let agent = workloads()
        .into_iter()
        .find(|one| one.name() == "weir-agent");
    let agent = agent.unwrap();
    let pods = agent.pods().unwrap();
    let container = list(pods, "/containers")[0];
    let kept = [
        "/var/lib/weir",
        "/run/weir",
        "/sys",
        "/lib/modules",
        "/etc/lvm/backup",
        "/etc/lvm/archive",
    ];
    for wanted in weir_agent::check::facts::SHARED.iter().chain(&kept) {
        let mounts = list(container, "/volumeMounts");
        let mount = mounts
            .iter()
            .find(|one| text(one, "/mountPath") == *wanted)
            .unwrap_or_else(|| panic!("{wanted} is not mounted"));
        let volumes = list(pods, "/volumes");
        let volume = volumes
            .iter()
            .find(|one| one["name"] == mount["name"])
            .unwrap();
        let path = Path::new(text(volume, "/hostPath/path"));
        let is_same = path == Path::new(wanted) || wanted.starts_with("/etc/lvm");
        assert!(
            is_same && path.is_absolute(),
            "{wanted} is {}",
            path.display()
        );
    }
    for field in ["hostNetwork", "hostIPC"] {
        assert_eq!(pods[field], true, "{field}");
    }
}
