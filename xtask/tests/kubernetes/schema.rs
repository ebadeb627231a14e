//! Every object against its published kind: no field that is unknown there, none of another type, none missing that has to be there.

use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::manifests::{Manifest, all};

/// What is wrong with an object as one of this type.
fn wrong<T: DeserializeOwned + Debug>(object: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let read: Result<T, _> = serde_ignored::deserialize(object, |path| {
        unknown.push(format!("{path} is unknown"));
    });
    if let Err(error) = read {
        unknown.push(error.to_string());
    }
    unknown
}

/// What is wrong with it, whatever it is.
fn check(one: &Manifest) -> Vec<String> {
    let object = &one.object;
    match (one.text("/apiVersion"), one.kind()) {
        ("v1", "Namespace") => wrong::<Namespace>(object),
        ("v1", "Service") => wrong::<Service>(object),
        ("v1", "ServiceAccount") => wrong::<ServiceAccount>(object),
        ("apps/v1", "Deployment") => wrong::<Deployment>(object),
        ("apps/v1", "DaemonSet") => wrong::<DaemonSet>(object),
        ("policy/v1", "PodDisruptionBudget") => wrong::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => wrong::<NetworkPolicy>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => wrong::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => wrong::<RoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => wrong::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            wrong::<ClusterRoleBinding>(object)
        }
        ("storage.k8s.io/v1", "CSIDriver") => wrong::<CSIDriver>(object),
        ("storage.k8s.io/v1", "StorageClass") => wrong::<StorageClass>(object),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => {
            wrong::<ValidatingAdmissionPolicy>(object)
        }
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding") => {
            wrong::<ValidatingAdmissionPolicyBinding>(object)
        }
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            wrong::<CustomResourceDefinition>(object)
        }
        (version, kind) => vec![format!("{kind} of {version} is no kind that is known here")],
    }
}

/// Seen red with: `hostNetwork` spelt `hostNetworks` in agent.yaml; `replicas: two` in controller.yaml; `kind: Demonset`.
#[test]
fn every_object_is_one_of_its_published_kind() {
    let objects = all();
    assert!(objects.len() > 40, "{}", objects.len());
    let wrong: Vec<String> = objects
        .iter()
        .flat_map(|one| {
            let name = format!("{} {} {}", one.file, one.kind(), one.name());
            let wrong = check(one).into_iter();
            wrong.map(move |what| format!("{name}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the test above sees anything, at any depth.
#[test]
fn what_is_misspelt_is_seen() {
    let mut agent = all().into_iter().find(|one| one.kind() == "DaemonSet");
    let agent = agent.as_mut().unwrap();
    assert_eq!(check(agent), [""; 0]);
    agent.object["spec"]["template"]["spec"]["containers"][0]["image_"] = "x".into();
    let found = check(agent);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("image_"), "{found:?}");
}
