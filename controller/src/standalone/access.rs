//! Who may do what: one table.
//!
//! A decision is a function of data. What a row grants only on a condition about the object itself is
//! decided in two steps: [`decide`] says which condition, and [`Condition::holds`] is asked once the
//! object is at hand.

mod table;

use std::fmt;

use serde_json::Value;
use weir_api::names::{
    CONTROLLER_LEASE, CONTROLLER_NAMESPACE, FILE_SYSTEM, LEASE_NAMESPACE, NodeName,
};

use super::identity::Identity;

pub use table::{PathRule, Rule, path_rules, rules};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, …
    pub verb: &'a str,
    /// On what.
    pub on: On<'a>,
}

/// On what something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On<'a> {
    /// On a path that is no resource, as `/version`.
    Path(&'a str),
    /// On a resource, or on one object.
    Resource(Object<'a>),
}

/// A resource, or one object of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object<'a> {
    /// The API group; empty for the core's.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// Empty: the object itself.
    pub subresource: &'a str,
    /// Empty: the cluster's, or every namespace.
    pub namespace: &'a str,
    /// Empty: not one object.
    pub name: &'a str,
}

/// What must be true of an object for who has one node, or one task, to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A StoragePool of its node.
    PoolOfNode,
    /// A Volume, or a Tombstone, of a pool of its node.
    VolumeOfNode,
    /// The Lease of its node.
    LeaseOfNode,
    /// The Lease of an agent.
    LeaseOfAgents,
    /// The controllers' Lease, which says who leads.
    LeaseOfLeader,
    /// A Volume that is granted to its node, of which it changes nothing but what it says about the file system.
    VolumeAtNode,
    /// An Event that names its node as the one that reports.
    EventOfNode,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allowed,
    /// It may be done if this is true of the object.
    If(Condition),
    /// It may not be done.
    Denied,
}

/// Decides.
#[must_use]
pub fn decide(who: &Identity, asked: &Attributes<'_>) -> Decision {
    match asked.on {
        On::Path(path) => {
            let is_allowed = path_rules(who)
                .iter()
                .any(|rule| rule.allows(asked.verb, path));
            if is_allowed {
                Decision::Allowed
            } else {
                Decision::Denied
            }
        }
        On::Resource(object) => {
            let rules = rules(who).into_iter();
            let rules = rules.filter(|rule| rule.matches(asked.verb, &object));
            let decisions = rules.map(|rule| by_rule(who, rule.condition, &object));
            // One row that grants it is enough.
            decisions.fold(Decision::Denied, |so_far, next| match (so_far, next) {
                (Decision::Allowed, _) | (_, Decision::Allowed) => Decision::Allowed,
                (Decision::Denied, next) => next,
                (so_far, _) => so_far,
            })
        }
    }
}

fn by_rule(who: &Identity, condition: Option<Condition>, object: &Object<'_>) -> Decision {
    let Some(condition) = condition else {
        return Decision::Allowed;
    };
    // A Lease's name alone decides; so that what exists is not told to whom it does not concern.
    let is_granted = match condition {
        _ if object.name.is_empty() => return Decision::If(condition),
        Condition::LeaseOfNode => who.node().is_some_and(|node| {
            object.namespace == LEASE_NAMESPACE && object.name == node.agent_lease()
        }),
        Condition::LeaseOfAgents => object.namespace == LEASE_NAMESPACE,
        Condition::LeaseOfLeader => {
            object.namespace == CONTROLLER_NAMESPACE && object.name == CONTROLLER_LEASE
        }
        _ => return Decision::If(condition),
    };
    if is_granted {
        Decision::Allowed
    } else {
        Decision::Denied
    }
}

impl Identity {
    /// The node that an identity stands for.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Agent(node) | Self::CsiNode(node) => Some(node),
            _ => None,
        }
    }
}

impl Condition {
    /// Whether it is true of an object. `pool` is the StoragePool that a Volume names, if there is one.
    #[must_use]
    pub fn holds(self, node: &NodeName, object: &Value, pool: Option<&Value>) -> bool {
        let is_node = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str) == Some(node.as_str())
        };
        match self {
            Self::PoolOfNode => is_node(object, "/spec/nodeName"),
            Self::VolumeOfNode => pool.is_some_and(|pool| is_node(pool, "/spec/nodeName")),
            Self::LeaseOfNode => {
                let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
                text("/metadata/name") == Some(node.agent_lease())
                    && text("/metadata/namespace") == Some(LEASE_NAMESPACE)
            }
            Self::LeaseOfAgents => {
                object
                    .pointer("/metadata/namespace")
                    .and_then(Value::as_str)
                    == Some(LEASE_NAMESPACE)
            }
            Self::LeaseOfLeader => {
                let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
                text("/metadata/name") == Some(CONTROLLER_LEASE)
                    && text("/metadata/namespace") == Some(CONTROLLER_NAMESPACE)
            }
            Self::EventOfNode => is_node(object, "/reportingInstance"),
            Self::VolumeAtNode => {
                let granted = object
                    .pointer("/spec/attachments")
                    .and_then(Value::as_array);
                let mut granted = granted.into_iter().flatten();
                granted.any(|one| is_node(one, "/nodeName"))
            }
        }
    }

    /// Whether it lets an object become another.
    #[must_use]
    pub fn admits(self, old: &Value, new: &Value) -> bool {
        self != Self::VolumeAtNode || without_file_system(old) == without_file_system(new)
    }
}

/// A Volume without what its node may say about it, nor the version, which every change changes.
fn without_file_system(volume: &Value) -> Value {
    let mut volume = volume.clone();
    let metadata = volume.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        metadata.remove("resourceVersion");
        let annotations = metadata.get_mut("annotations");
        let is_bare = annotations
            .and_then(Value::as_object_mut)
            .is_some_and(|all| {
                all.remove(FILE_SYSTEM);
                all.is_empty()
            });
        if is_bare {
            metadata.remove("annotations");
        }
    }
    volume
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PoolOfNode => "spec.nodeName is not its node",
            Self::VolumeOfNode => "spec.poolName is not a pool of its node",
            Self::LeaseOfNode => "it is not the Lease of its node's agent in weir-agents",
            Self::LeaseOfAgents => "it is not the Lease of an agent in weir-agents",
            Self::VolumeAtNode => {
                "it is not granted to its node, or something else than its file system's annotation is changed"
            }
            Self::LeaseOfLeader => "it is not the controllers' Lease",
            Self::EventOfNode => "reportingInstance is not its node",
        })
    }
}

/// The sentence of a refusal, as a real API server words it.
#[must_use]
pub fn refusal(who: &Identity, asked: &Attributes<'_>) -> String {
    let (user, verb) = (who.user(), asked.verb);
    match asked.on {
        On::Path(path) => format!("User \"{user}\" cannot {verb} path \"{path}\""),
        On::Resource(object) => {
            let scope = match object.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace \"{namespace}\""),
            };
            format!(
                "User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" {scope}",
                object.full_resource(),
                object.group
            )
        }
    }
}

impl Object<'_> {
    /// The resource with its subresource, as `volumes/status`.
    #[must_use]
    pub fn full_resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            sub => format!("{}/{sub}", self.resource),
        }
    }
}

#[cfg(test)]
mod tests;
