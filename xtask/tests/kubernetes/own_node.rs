//! The policies that keep a node's parts to their own node: their expressions, evaluated.

use cel::{Context, Program, Value};
use serde_json::{Value as Json, json};

use crate::manifests::all;

const NODE: &str = "authentication.kubernetes.io/node-name";

/// What each expression of a policy says; `None` where the policy is not about that user.
fn judge(policy: &str, request: &Json, old: &Json, object: &Json) -> Option<bool> {
    let policies = all();
    let policy = policies
        .iter()
        .find(|one| one.kind() == "ValidatingAdmissionPolicy" && one.name() == policy);
    let spec = &policy.unwrap().object["spec"];
    let mut context = Context::default();
    for (name, value) in [("request", request), ("oldObject", old), ("object", object)] {
        context.add_variable(name, value).unwrap();
    }
    let is_true = |expression: &Json| {
        let text = expression["expression"].as_str().unwrap();
        let program = Program::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        match program.execute(&context) {
            Ok(Value::Bool(answer)) => answer,
            // As failurePolicy says.
            Err(_) => false,
            Ok(other) => panic!("{text}: {other:?}"),
        }
    };
    let list = |name: &str| spec[name].as_array().unwrap().clone();
    if !list("matchConditions").iter().all(is_true) {
        return None;
    }
    Some(list("validations").iter().all(is_true))
}

fn request(who: &str, node: Option<&str>, resource: &str) -> Json {
    let extra = match node {
        Some(node) => json!({NODE: [node]}),
        None => json!({}),
    };
    json!({
        "userInfo": {"username": format!("system:serviceaccount:weir-system:{who}"), "extra": extra},
        "resource": {"resource": resource},
    })
}

/// Seen red with: `object.spec.nodeName` replaced by the node's own name in own-node.yaml.
#[test]
fn an_agent_writes_about_its_own_node_alone() {
    let pool = |node: &str| json!({"metadata": {"name": "p"}, "spec": {"nodeName": node}});
    let lease = |name: &str| json!({"metadata": {"name": name}, "spec": {}});
    let agent = |node| request("weir-agent", node, "storagepools");
    let policy = "weir-agent-own-node";
    let say = |request: &Json, object: &Json| judge(policy, request, &json!(null), object);
    assert_eq!(say(&agent(Some("a")), &pool("a")), Some(true));
    assert_eq!(say(&agent(Some("a")), &pool("b")), Some(false));
    assert_eq!(say(&agent(None), &pool("a")), Some(false));
    let leases = request("weir-agent", Some("a"), "leases");
    assert_eq!(say(&leases, &lease("a")), Some(true));
    assert_eq!(say(&leases, &lease("b")), Some(false));
    let other = request("weir-controller", None, "storagepools");
    assert_eq!(say(&other, &pool("b")), None);
}

/// Seen red with: `object.spec == oldObject.spec` left out; `key == 'csi.weir.dev/filesystem'` true of every key.
#[test]
fn a_csi_node_says_what_its_file_systems_are_and_nothing_else() {
    let volume = |node: &str, size: u64, annotations: Json| {
        json!({
            "metadata": {"name": "v", "annotations": annotations},
            "spec": {"capacityBytes": size, "attachments": [{"nodeName": node, "generation": 1}]},
        })
    };
    let own = request("weir-csi-node", Some("a"), "volumes");
    let policy = "weir-csi-node-own-volumes";
    let say = |old: &Json, new: &Json| judge(policy, &own, old, new);
    let note = || json!({weir_api::names::FILE_SYSTEM: "formatted"});
    let bare = volume("a", 1, json!({}));
    assert_eq!(say(&bare, &volume("a", 1, note())), Some(true));
    assert_eq!(say(&volume("a", 1, note()), &bare), Some(true));
    let mut without = bare.clone();
    without["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    assert_eq!(say(&without, &volume("a", 1, note())), Some(true));
    assert_eq!(say(&bare, &volume("a", 2, note())), Some(false));
    let others = volume("b", 1, json!({}));
    assert_eq!(say(&others, &volume("b", 1, note())), Some(false));
    let more = volume("a", 1, json!({"weir.dev/other": "x"}));
    assert_eq!(say(&bare, &more), Some(false));
    assert_eq!(say(&more, &bare), Some(false));
    let mut finalized = bare.clone();
    finalized["metadata"]["finalizers"] = json!(["x"]);
    assert_eq!(say(&finalized, &bare), Some(false));
    let mut labelled = bare.clone();
    labelled["metadata"]["labels"] = json!({"x": "y"});
    assert_eq!(say(&bare, &labelled), Some(false));
}
