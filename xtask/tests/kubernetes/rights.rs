//! What each ServiceAccount may do is what its programs do, and no more: a table of uses, each with the place in the source, is held
//! against the roles and against what the standalone API lets the same program do.

mod uses;

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use weir_controller::standalone::access::{Attributes, Decision, Object, On, decide};
use weir_controller::standalone::identity::Identity;

use crate::manifests::{Manifest, all};
use uses::{AGENT, CONTROLLER, CSI, NODE, SIDECARS, USES};

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
                        rights.insert(right(&subject.name, namespace, group, resource, name, verb));
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
/// Not seen red yet: a row for the agent that deletes volumes.
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
///
/// Seen red with: `resources: ["*"]` in agent-rights.yaml.
#[test]
fn no_rule_has_a_wildcard() {
    let has = |one: &Manifest| one.object["rules"].to_string().contains("\"*\"");
    for one in all() {
        assert!(!has(&one), "{} {}", one.file, one.name());
    }
}
