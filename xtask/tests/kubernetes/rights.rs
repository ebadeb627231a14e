//! What each ServiceAccount may do is what its programs do, and no more: a table of uses, each with the place in the source, is held
//! against the roles and against what the standalone API lets the same program do.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use weir_controller::standalone::access::{Attributes, Decision, Object, On, decide};
use weir_controller::standalone::identity::Identity;

use crate::manifests::{Manifest, all};

/// Something that a program of ours asks of the API.
struct Use {
    /// Whose ServiceAccount.
    who: &'static str,
    /// The namespace; empty: the cluster's.
    namespace: &'static str,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
    /// One object; empty: any.
    name: &'static str,
    /// Where it does so: a file, and what is to be found there.
    place: (&'static str, &'static str),
}

const fn of(
    who: &'static str,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
    place: (&'static str, &'static str),
) -> Use {
    Use {
        who,
        namespace: "",
        verbs,
        group,
        resources,
        name: "",
        place,
    }
}

const fn within(namespace: &'static str, name: &'static str, what: Use) -> Use {
    Use {
        namespace,
        name,
        ..what
    }
}

const WEIR: &str = "weir.dev";
const LEASES: &str = "coordination.k8s.io";
const CONTROLLER: &str = "weir-controller";
const AGENT: &str = "weir-agent";
const CSI: &str = "weir-csi-controller";
const NODE: &str = "weir-csi-node";

/// All that our programs do.
const USES: &[Use] = &[
    of(
        CONTROLLER,
        &["list", "watch"],
        WEIR,
        &[
            "snapshots",
            "storagepools",
            "tombstones",
            "volumemigrations",
            "volumes",
            "volumesets",
        ],
        ("controller/src/control/watching.rs", "watcher(api, config)"),
    ),
    of(
        CONTROLLER,
        &["list", "watch"],
        "",
        &["nodes"],
        ("controller/src/control/watching.rs", "Sight::Node"),
    ),
    of(
        CONTROLLER,
        &["get"],
        WEIR,
        &["volumes"],
        (
            "controller/src/control/write.rs",
            "volumes.get_opt(volume.as_str())",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &["volumes"],
        (
            "controller/src/control/write.rs",
            "api.patch(name, &how, &patch)",
        ),
    ),
    of(
        CONTROLLER,
        &["create"],
        WEIR,
        &["tombstones"],
        (
            "controller/src/control/write.rs",
            "api.create(&PostParams::default(), tombstone)",
        ),
    ),
    of(
        CONTROLLER,
        &["delete"],
        WEIR,
        &["tombstones"],
        (
            "controller/src/control/write.rs",
            "api.delete(name, &params)",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &["storagepools/status"],
        (
            "controller/src/control/leader/pools.rs",
            "Write::status(Key::Pool",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &["volumes/status"],
        (
            "controller/src/control/leader/volumes.rs",
            "Write::status(key",
        ),
    ),
    of(
        CONTROLLER,
        &["patch"],
        WEIR,
        &[
            "snapshots/status",
            "volumemigrations/status",
            "volumesets/status",
        ],
        (
            "controller/src/control/leader/unserved.rs",
            "Write::status(key",
        ),
    ),
    of(
        CONTROLLER,
        &["create"],
        "authentication.k8s.io",
        &["tokenreviews"],
        (
            "controller/src/telemetry/tokens.rs",
            "self.api.create(&PostParams::default(), &review)",
        ),
    ),
    within(
        "weir-agents",
        "",
        of(
            CONTROLLER,
            &["list", "watch"],
            LEASES,
            &["leases"],
            (
                "controller/src/control/watching.rs",
                "namespaced(all(), LEASE_NAMESPACE)",
            ),
        ),
    ),
    within(
        "default",
        "weir-controller",
        of(
            CONTROLLER,
            &["get"],
            LEASES,
            &["leases"],
            (
                "controller/src/control/election.rs",
                "self.api.get_opt(NAME)",
            ),
        ),
    ),
    within(
        "default",
        "weir-controller",
        of(
            CONTROLLER,
            &["update"],
            LEASES,
            &["leases"],
            (
                "controller/src/control/election.rs",
                "self.api.replace(NAME",
            ),
        ),
    ),
    within(
        "default",
        "",
        of(
            CONTROLLER,
            &["create"],
            LEASES,
            &["leases"],
            ("controller/src/control/election.rs", "self.api.create("),
        ),
    ),
    within(
        "default",
        "",
        of(
            CONTROLLER,
            &["create"],
            "events.k8s.io",
            &["events"],
            (
                "controller/src/control/event.rs",
                "api.create(&PostParams::default(), &event)",
            ),
        ),
    ),
    of(
        AGENT,
        &["list", "watch"],
        WEIR,
        &["storagepools", "tombstones", "volumes"],
        ("agent/src/join/follow.rs", "api.watch(&params, &version)"),
    ),
    of(
        AGENT,
        &["get"],
        WEIR,
        &["storagepools", "tombstones", "volumes"],
        ("agent/src/join/tell.rs", "api.get(name)"),
    ),
    of(
        AGENT,
        &["patch"],
        WEIR,
        &[
            "storagepools/status",
            "tombstones/status",
            "volumes/status",
        ],
        ("agent/src/join/tell.rs", "api.patch_status(name"),
    ),
    of(
        AGENT,
        &["create"],
        WEIR,
        &["storagepools"],
        ("agent/src/join/register.rs", "pools.create(&params, &object)"),
    ),
    Use {
        name: "kube-system",
        ..of(
            AGENT,
            &["get"],
            "",
            &["namespaces"],
            ("agent/src/join/follow.rs", "Api<Namespace>"),
        )
    },
    within(
        "weir-agents",
        "",
        of(
            AGENT,
            &["patch"],
            LEASES,
            &["leases"],
            ("agent/src/join/lease.rs", "leases.patch(name"),
        ),
    ),
    within(
        "weir-agents",
        "",
        of(
            AGENT,
            &["create"],
            LEASES,
            &["leases"],
            ("agent/src/join/lease.rs", "leases.create(&params"),
        ),
    ),
    within(
        "default",
        "weir-controller",
        of(
            AGENT,
            &["get"],
            LEASES,
            &["leases"],
            (
                "agent/src/join/leader.rs",
                "leases.get_opt(CONTROLLER_LEASE)",
            ),
        ),
    ),
    of(
        CSI,
        &["get"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "get(&self.volumes()"),
    ),
    of(
        CSI,
        &["create"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.create(&how, &volume)"),
    ),
    of(
        CSI,
        &["patch"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.patch(name(volume)"),
    ),
    of(
        CSI,
        &["delete"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.delete(name(volume)"),
    ),
    of(
        CSI,
        &["list", "watch"],
        WEIR,
        &["volumes"],
        (
            "csi/src/objects/live.rs",
            "watcher::watch_object(self.volumes()",
        ),
    ),
    of(
        CSI,
        &["list"],
        WEIR,
        &["storagepools"],
        ("csi/src/objects/live.rs", "let api: Api<StoragePool>"),
    ),
    of(
        CSI,
        &["get"],
        WEIR,
        &["storagepools"],
        (
            "csi/src/objects/live.rs",
            "get(&Api::all(self.0.clone()), name.as_str())",
        ),
    ),
    of(
        CSI,
        &["get"],
        "",
        &["nodes"],
        ("csi/src/objects/live.rs", "get(&nodes, name.as_str())"),
    ),
    within(
        "weir-agents",
        "",
        of(
            CSI,
            &["get"],
            LEASES,
            &["leases"],
            ("csi/src/objects/live.rs", "get(&leases"),
        ),
    ),
    of(
        NODE,
        &["get"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "get(&self.volumes()"),
    ),
    of(
        NODE,
        &["patch"],
        WEIR,
        &["volumes"],
        ("csi/src/objects/live.rs", "api.patch(name(volume)"),
    ),
    of(
        NODE,
        &["list"],
        WEIR,
        &["storagepools"],
        ("csi/src/objects/live.rs", "api.list(&ListParams::default()"),
    ),
];

const READ: &[&str] = &["get", "list", "watch"];

/// What the stock sidecars do: `deploy/kubernetes/rbac.yaml` of the versions that `flags` names, less secrets and snapshots, which no
/// class of ours has, and less the pods that a resizer watches unless it is told not to.
const SIDECARS: &[(&str, &[&str], &str, &[&str])] = &[
    // provisioner
    (
        "",
        &["get", "list", "watch", "create", "patch", "delete"],
        "",
        &["persistentvolumes"],
    ),
    (
        "",
        &["get", "list", "watch", "update"],
        "",
        &["persistentvolumeclaims"],
    ),
    (
        "",
        READ,
        "storage.k8s.io",
        &["csinodes", "storageclasses", "volumeattachments"],
    ),
    (
        "",
        &["list", "watch", "create", "update", "patch"],
        "",
        &["events"],
    ),
    ("", READ, "", &["nodes"]),
    (
        "weir-system",
        &["get", "watch", "list", "delete", "update", "create"],
        LEASES,
        &["leases"],
    ),
    (
        "weir-system",
        &[
            "get", "list", "watch", "create", "update", "patch", "delete",
        ],
        "storage.k8s.io",
        &["csistoragecapacities"],
    ),
    ("weir-system", &["get"], "", &["pods"]),
    ("weir-system", &["get"], "apps", &["replicasets"]),
    // attacher
    (
        "",
        &["get", "list", "watch", "patch"],
        "",
        &["persistentvolumes"],
    ),
    (
        "",
        &["get", "list", "watch", "patch"],
        "storage.k8s.io",
        &["volumeattachments"],
    ),
    (
        "",
        &["patch"],
        "storage.k8s.io",
        &["volumeattachments/status"],
    ),
    // resizer
    ("", &["patch"], "", &["persistentvolumeclaims/status"]),
    ("", READ, "storage.k8s.io", &["volumeattributesclasses"]),
];

/// Account, namespace, group, resource, name, verb.
type Right = (String, String, String, String, String, String);

fn right(who: &str, namespace: &str, group: &str, resource: &str, name: &str, verb: &str) -> Right {
    let own = str::to_owned;
    (
        own(who),
        own(namespace),
        own(group),
        own(resource),
        own(name),
        own(verb),
    )
}

fn needed() -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for one in USES {
        for resource in one.resources {
            for verb in one.verbs {
                rights.insert(right(
                    one.who,
                    one.namespace,
                    one.group,
                    resource,
                    one.name,
                    verb,
                ));
            }
        }
    }
    for (namespace, verbs, group, resources) in SIDECARS {
        for resource in *resources {
            for verb in *verbs {
                rights.insert(right(CSI, namespace, group, resource, "", verb));
            }
        }
    }
    rights
}

fn granted() -> BTreeSet<Right> {
    let objects = all();
    let rules = |role: &RoleRef, namespace: &str| -> Vec<PolicyRule> {
        let found = objects.iter().find(|one| {
            one.kind() == role.kind
                && one.name() == role.name
                && (role.kind == "ClusterRole" || one.namespace() == namespace)
        });
        let found = found.unwrap_or_else(|| panic!("{} {}", role.kind, role.name));
        let rules = match role.kind.as_str() {
            "ClusterRole" => found.typed::<ClusterRole>().rules,
            _ => found.typed::<Role>().rules,
        };
        rules.unwrap()
    };
    let mut rights = BTreeSet::new();
    let mut grant = |subjects: Option<Vec<Subject>>, role: &RoleRef, namespace: &str| {
        for subject in subjects.unwrap() {
            assert_eq!(subject.namespace.as_deref(), Some("weir-system"));
            for rule in rules(role, namespace) {
                let names = rule.resource_names.unwrap_or_else(|| vec![String::new()]);
                let groups = rule.api_groups.unwrap();
                for (group, verb) in groups
                    .iter()
                    .flat_map(|group| rule.verbs.iter().map(move |verb| (group, verb)))
                {
                    for (resource, name) in rule
                        .resources
                        .iter()
                        .flatten()
                        .flat_map(|resource| names.iter().map(move |name| (resource, name)))
                    {
                        rights.insert(right(
                            &subject.name,
                            namespace,
                            group,
                            resource,
                            name,
                            verb,
                        ));
                    }
                }
            }
        }
    };
    for one in &objects {
        match one.kind() {
            "ClusterRoleBinding" => {
                let binding: ClusterRoleBinding = one.typed();
                grant(binding.subjects, &binding.role_ref, "");
            }
            "RoleBinding" => {
                let binding: RoleBinding = one.typed();
                grant(binding.subjects, &binding.role_ref, one.namespace());
            }
            _ => {}
        }
    }
    rights
}

/// Seen red with: `delete` added to weir-agent's verbs on volumes; `patch` taken from weir-csi-node's.
#[test]
fn rights_are_those_that_are_used() {
    let (needed, granted) = (needed(), granted());
    let unused: Vec<_> = granted.difference(&needed).collect();
    let missing: Vec<_> = needed.difference(&granted).collect();
    assert!(unused.is_empty(), "granted and not used: {unused:#?}");
    assert!(missing.is_empty(), "used and not granted: {missing:#?}");
}

/// A use that the source does not have any more is none.
///
/// Seen red with: `api.delete(name, &params)` in the controller's source written otherwise.
#[test]
fn uses_are_where_they_are_said_to_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for one in USES {
        let (file, found) = one.place;
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(found), "{file}: {found}");
    }
}

/// What a program uses here, it may use there too, where tests run it: a use that is forgotten in the table above fails there.
///
/// Seen red with: a row for the agent that deletes volumes.
#[test]
fn the_standalone_api_knows_no_other_uses() {
    for one in USES {
        let who: Identity = match one.who {
            CONTROLLER => Identity::Controller,
            AGENT => "agent:node-1".parse().unwrap(),
            CSI => Identity::CsiController,
            NODE => "csi-node:node-1".parse().unwrap(),
            other => panic!("{other}"),
        };
        // There, agents show certificates.
        if one.group == "authentication.k8s.io" {
            continue;
        }
        for resource in one.resources {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let name = match (one.name, one.namespace) {
                ("", "weir-agents") if one.who == AGENT => "node-1",
                (name, _) => name,
            };
            let object = Object {
                group: one.group,
                resource,
                subresource,
                namespace: one.namespace,
                name,
            };
            for verb in one.verbs {
                let on = On::Resource(object);
                let decision = decide(&who, &Attributes { verb, on });
                assert_ne!(decision, Decision::Denied, "{who}: {verb} {object:?}");
            }
        }
    }
}

/// Nothing is granted for everything.
#[test]
fn no_rule_has_a_wildcard() {
    let has = |one: &Manifest| one.object["rules"].to_string().contains("\"*\"");
    for one in all() {
        assert!(!has(&one), "{} {}", one.file, one.name());
    }
}
