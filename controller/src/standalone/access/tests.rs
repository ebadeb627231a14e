//! Every identity, verb and resource.

use serde_json::json;

use super::*;

const VERBS: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

const RESOURCES: [(&str, &str, &str); 16] = [
    ("weir.dev", "storagepools", ""),
    ("weir.dev", "storagepools", "status"),
    ("weir.dev", "volumes", ""),
    ("weir.dev", "volumes", "status"),
    ("weir.dev", "tombstones", ""),
    ("weir.dev", "tombstones", "status"),
    ("weir.dev", "snapshots", ""),
    ("weir.dev", "volumemigrations", "status"),
    ("", "nodes", ""),
    ("", "nodes", "status"),
    ("", "namespaces", ""),
    ("", "events", ""),
    ("events.k8s.io", "events", ""),
    ("coordination.k8s.io", "leases", ""),
    ("", "pods", ""),
    ("authorization.k8s.io", "selfsubjectaccessreviews", ""),
];

/// One letter per verb of [`VERBS`]: its first in capitals if it is allowed, `?` on a condition, `-`.
fn row(who: &Identity, (group, resource, subresource): (&str, &str, &str)) -> String {
    let letters = ["G", "L", "W", "C", "U", "P", "D", "X"];
    let of = |(verb, letter): (&&str, &'static str)| {
        let object = Object {
            group,
            resource,
            subresource,
            ..Object::default()
        };
        let asked = Attributes {
            verb,
            on: On::Resource(object),
        };
        match decide(who, &asked) {
            Decision::Allowed => letter,
            Decision::If(_) => "?",
            Decision::Denied => "-",
        }
    };
    VERBS.iter().zip(letters).map(of).collect()
}

#[test]
fn the_table_says_who_may_do_what() {
    let agent = "agent:n1".parse::<Identity>().unwrap();
    #[rustfmt::skip]
    let expected: [(Identity, [&str; 16]); 6] = [
        (Identity::Admin, ["GLWCUPDX"; 16]),
        (Identity::Controller, [
            "GLWCUPDX", "GLWCUPDX", "GLWCUPDX", "GLWCUPDX", "GLWCUPDX", "GLWCUPDX", "GLWCUPDX", "GLWCUPDX",
            "GLW-----", "--------",
            "GLW-----", "GLWCUP--", "GLWCUP--", "GLWCUPDX", "--------", "---C----",
        ]),
        (agent, [
            "GLW?----", "?---??--", "GLW-----", "?---??--", "GLW-----", "?---??--", "--------", "--------",
            "GLW-----", "--------",
            "G-------", "---???--", "---???--", "?--???--", "--------", "---C----",
        ]),
        (Identity::CsiController, [
            "GL------", "--------", "GLWC-PD-", "--------", "--------", "--------", "--------", "--------",
            "G-------", "--------",
            "--------", "--------", "--------", "?-------", "--------", "---C----",
        ]),
        ("csi-node:n1".parse().unwrap(), [
            "-L------", "--------", "G----?--", "--------", "--------", "--------", "--------", "--------",
            "--------", "--------",
            "--------", "--------", "--------", "--------", "--------", "---C----",
        ]),
        (Identity::Anonymous, ["--------"; 16]),
    ];
    for (who, rows) in expected {
        for (resource, expected) in RESOURCES.into_iter().zip(rows) {
            assert_eq!(row(&who, resource), expected, "{who} {resource:?}");
        }
    }
}

#[test]
fn strangers_may_ask_what_they_may_do_and_nothing_else() {
    let stranger = Identity::Stranger("system:masters".to_owned());
    for resource in RESOURCES {
        let expected = if resource.1.starts_with("self") {
            "---C----"
        } else {
            "--------"
        };
        assert_eq!(row(&stranger, resource), expected);
    }
}

#[test]
fn paths_are_open_by_row() {
    let agent = "agent:n1".parse::<Identity>().unwrap();
    let rows = [
        ("/version", "get", "yyyy"),
        ("/healthz", "get", "yyyy"),
        ("/version", "post", "y---"),
        ("/api", "get", "yyy-"),
        ("/apis/weir.dev/v1alpha1", "get", "yyy-"),
        ("/openapi/v3", "get", "yyy-"),
        ("/apisx", "get", "y---"),
        ("/metrics", "get", "y---"),
        ("/", "get", "y---"),
    ];
    for (path, verb, expected) in rows {
        let who = [
            &Identity::Admin,
            &Identity::Controller,
            &agent,
            &Identity::Anonymous,
        ];
        let asked = Attributes {
            verb,
            on: On::Path(path),
        };
        let found: String = who
            .into_iter()
            .map(|who| match decide(who, &asked) {
                Decision::Allowed => 'y',
                _ => '-',
            })
            .collect();
        assert_eq!(found, expected, "{verb} {path}");
    }
}

fn expect_lease(who: &Identity, (verb, namespace, name): (&str, &str, &str), expected: Decision) {
    let object = Object {
        group: "coordination.k8s.io",
        resource: "leases",
        subresource: "",
        namespace,
        name,
    };
    let asked = Attributes {
        verb,
        on: On::Resource(object),
    };
    let decided = decide(who, &asked);
    assert_eq!(decided, expected, "{who:?}: {verb} {namespace}/{name}");
}

#[test]
fn a_lease_is_its_nodes_by_name_alone() {
    let agent = "agent:n1".parse::<Identity>().unwrap();
    let rows = [
        ("weir-agents", "n1", Decision::Allowed),
        ("weir-agents", "n2", Decision::Denied),
        ("weir-agents", "weir-n1", Decision::Denied),
        // A kubelet's.
        ("kube-node-lease", "n1", Decision::Denied),
        ("kube-system", "n1", Decision::Denied),
        ("", "n1", Decision::Denied),
        ("weir-agents", "", Decision::If(Condition::LeaseOfNode)),
    ];
    for (namespace, name, expected) in rows {
        expect_lease(&agent, ("update", namespace, name), expected);
    }
}

/// Seen red with: `LeaseOfLeader` holding for every Lease of its namespace.
#[test]
fn an_agent_reads_the_controllers_lease_and_no_other_of_their_namespace() {
    let agent = "agent:n1".parse::<Identity>().unwrap();
    let rows = [
        ("get", "default", "weir-controller", Decision::Allowed),
        ("update", "default", "weir-controller", Decision::Denied),
        ("patch", "default", "weir-controller", Decision::Denied),
        ("create", "default", "weir-controller", Decision::Denied),
        ("delete", "default", "weir-controller", Decision::Denied),
        ("watch", "default", "weir-controller", Decision::Denied),
        ("list", "default", "", Decision::Denied),
        ("get", "default", "weir-n1", Decision::Denied),
        ("get", "kube-system", "weir-controller", Decision::Denied),
        ("get", "weir-agents", "n1", Decision::Allowed),
        ("get", "weir-agents", "n2", Decision::Denied),
        ("get", "kube-node-lease", "n1", Decision::Denied),
    ];
    for (verb, namespace, name, expected) in rows {
        expect_lease(&agent, (verb, namespace, name), expected);
    }
}

/// Seen red with: `LeaseOfAgents` always granted.
#[test]
fn csi_reads_the_agents_leases_and_no_other() {
    let rows = [
        ("get", "weir-agents", "n1", Decision::Allowed),
        ("update", "weir-agents", "n1", Decision::Denied),
        ("list", "weir-agents", "", Decision::Denied),
        ("get", "default", "weir-controller", Decision::Denied),
        ("get", "kube-node-lease", "n1", Decision::Denied),
    ];
    for (verb, namespace, name, expected) in rows {
        expect_lease(&Identity::CsiController, (verb, namespace, name), expected);
    }
}

/// Seen red with: `admits` always true.
#[test]
fn a_node_changes_what_it_says_of_the_file_system_and_nothing_else() {
    let volume = |annotations: serde_json::Value, pool: &str, version: &str| {
        json!({
            "metadata": {"name": "v", "annotations": annotations, "resourceVersion": version},
            "spec": {"poolName": pool, "attachments": [{"nodeName": "n1", "generation": 1}]},
        })
    };
    let bare = json!({"metadata": {"name": "v"}, "spec": {"poolName": "p", "attachments": [{"nodeName": "n1", "generation": 1}]}});
    let marked = volume(json!({"csi.weir.dev/filesystem": "formatting"}), "p", "1");
    let rows = [
        (&bare, &marked, true),
        (&marked, &bare, true),
        (
            &marked,
            &volume(json!({"csi.weir.dev/filesystem": "formatted"}), "p", "2"),
            true,
        ),
        (
            &marked,
            &volume(json!({"csi.weir.dev/filesystem": "formatting"}), "q", "2"),
            false,
        ),
        (
            &marked,
            &volume(
                json!({"csi.weir.dev/filesystem": "formatting", "a": "b"}),
                "p",
                "2",
            ),
            false,
        ),
        (
            &bare,
            &json!({"metadata": {"name": "v"}, "spec": {"poolName": "p"}}),
            false,
        ),
    ];
    for (old, new, expected) in rows {
        assert_eq!(
            Condition::VolumeAtNode.admits(old, new),
            expected,
            "{old} {new}"
        );
        assert!(Condition::VolumeOfNode.admits(old, new));
    }
}

#[test]
fn conditions_look_at_the_object() {
    let node: NodeName = "n1".parse().unwrap();
    let own = json!({"spec": {"nodeName": "n1"}});
    let other = json!({"spec": {"nodeName": "n2"}});
    let volume = json!({"spec": {"poolName": "p"}});
    let granted =
        |node: &str| json!({"spec": {"attachments": [{"nodeName": "n0"}, {"nodeName": node}]}});
    let lease =
        |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
    let rows = [
        (Condition::PoolOfNode, &own, None, true),
        (Condition::PoolOfNode, &other, None, false),
        (Condition::PoolOfNode, &json!({}), None, false),
        (Condition::VolumeOfNode, &volume, Some(&own), true),
        (Condition::VolumeOfNode, &volume, Some(&other), false),
        (Condition::VolumeOfNode, &volume, None, false),
        (Condition::VolumeAtNode, &granted("n1"), None, true),
        (Condition::VolumeAtNode, &granted("n2"), None, false),
        (Condition::VolumeAtNode, &volume, Some(&own), false),
        (
            Condition::LeaseOfNode,
            &lease("weir-agents", "n1"),
            None,
            true,
        ),
        (
            Condition::LeaseOfNode,
            &lease("weir-agents", "n2"),
            None,
            false,
        ),
        (
            Condition::LeaseOfNode,
            &lease("kube-node-lease", "n1"),
            None,
            false,
        ),
        (Condition::LeaseOfNode, &lease("default", "n1"), None, false),
        (
            Condition::EventOfNode,
            &json!({"reportingInstance": "n1"}),
            None,
            true,
        ),
        (
            Condition::EventOfNode,
            &json!({"reportingInstance": "n10"}),
            None,
            false,
        ),
        (
            Condition::EventOfNode,
            &json!({"reportingInstance": ["n1"]}),
            None,
            false,
        ),
        (
            Condition::EventOfNode,
            &json!({"source": {"host": "n1"}}),
            None,
            false,
        ),
    ];
    for (condition, object, pool, expected) in rows {
        assert_eq!(
            condition.holds(&node, object, pool),
            expected,
            "{condition:?} {object}"
        );
    }
}

#[test]
fn refusals_read_as_a_real_servers() {
    let object = Object {
        group: "weir.dev",
        resource: "volumes",
        subresource: "status",
        ..Object::default()
    };
    let asked = Attributes {
        verb: "patch",
        on: On::Resource(object),
    };
    assert_eq!(
        refusal(&Identity::Anonymous, &asked),
        "User \"system:anonymous\" cannot patch resource \"volumes/status\" in API group \"weir.dev\" at the \
         cluster scope"
    );
}
