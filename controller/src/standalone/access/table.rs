//! The table itself.

use super::{Condition, Object};
use crate::standalone::identity::Identity;

/// A row about resources.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The verbs it grants; `*`: any.
    pub verbs: &'static [&'static str],
    /// The API group; `*`: any.
    pub group: &'static str,
    /// The resources, subresources spelt out as `volumes/status`; `*`: any.
    pub resources: &'static [&'static str],
    /// What must be true of the object.
    pub condition: Option<Condition>,
}

/// A row about paths that are no resources.
#[derive(Clone, Copy, Debug)]
pub struct PathRule {
    /// The verbs it grants.
    pub verbs: &'static [&'static str],
    /// The paths; a `*` at the end stands for anything.
    pub paths: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE_STATUS: &[&str] = &["get", "update", "patch"];

const fn rule(
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
) -> Rule {
    Rule {
        verbs,
        group,
        resources,
        condition: None,
    }
}

const fn only(condition: Condition, rule: Rule) -> Rule {
    Rule {
        condition: Some(condition),
        ..rule
    }
}

/// What everybody with a certificate may ask: what it may do itself.
const AUTHENTICATED: &[Rule] = &[
    rule(
        &["create"],
        "authorization.k8s.io",
        &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    ),
    rule(
        &["create"],
        "authentication.k8s.io",
        &["selfsubjectreviews"],
    ),
];

const ADMIN: &[Rule] = &[rule(&["*"], "*", &["*"])];

const CONTROLLER: &[Rule] = &[
    rule(&["*"], "weir.dev", &["*"]),
    rule(&["*"], "coordination.k8s.io", &["leases"]),
    rule(
        &["get", "list", "watch", "create", "update", "patch"],
        "",
        &["events"],
    ),
    rule(
        &["get", "list", "watch", "create", "update", "patch"],
        "events.k8s.io",
        &["events"],
    ),
    rule(READ, "", &["nodes", "namespaces"]),
];

const AGENT: &[Rule] = &[
    rule(READ, "weir.dev", &["storagepools", "volumes", "tombstones"]),
    rule(READ, "", &["nodes"]),
    // The UID of kube-system tells which cluster this is.
    rule(&["get"], "", &["namespaces"]),
    only(
        Condition::PoolOfNode,
        rule(&["create"], "weir.dev", &["storagepools"]),
    ),
    only(
        Condition::PoolOfNode,
        rule(WRITE_STATUS, "weir.dev", &["storagepools/status"]),
    ),
    only(
        Condition::VolumeOfNode,
        rule(
            WRITE_STATUS,
            "weir.dev",
            &["volumes/status", "tombstones/status"],
        ),
    ),
    only(
        Condition::LeaseOfNode,
        rule(
            &["get", "create", "update", "patch"],
            "coordination.k8s.io",
            &["leases"],
        ),
    ),
    // Where the one that leads takes telemetry.
    only(
        Condition::LeaseOfLeader,
        rule(&["get"], "coordination.k8s.io", &["leases"]),
    ),
    only(
        Condition::EventOfNode,
        rule(&["create", "update", "patch"], "", &["events"]),
    ),
    only(
        Condition::EventOfNode,
        rule(&["create", "update", "patch"], "events.k8s.io", &["events"]),
    ),
];

/// What decides about volumes is done by Weir's controller and its agents; this only asks.
const CSI_CONTROLLER: &[Rule] = &[
    rule(
        &["get", "list", "watch", "create", "patch", "delete"],
        "weir.dev",
        &["volumes"],
    ),
    rule(&["get", "list"], "weir.dev", &["storagepools"]),
    rule(&["get"], "", &["nodes"]),
    // Without Node objects this tells which nodes there are.
    only(
        Condition::LeaseOfAgents,
        rule(&["get"], "coordination.k8s.io", &["leases"]),
    ),
];

const CSI_NODE: &[Rule] = &[
    rule(&["get"], "weir.dev", &["volumes"]),
    // Whether the API answers.
    rule(&["list"], "weir.dev", &["storagepools"]),
    only(
        Condition::VolumeAtNode,
        rule(&["patch"], "weir.dev", &["volumes"]),
    ),
];

/// The rows of an identity, those that everybody has first.
#[must_use]
pub fn rules(who: &Identity) -> Vec<&'static Rule> {
    let own: &[Rule] = match who {
        Identity::Admin => ADMIN,
        Identity::Controller => CONTROLLER,
        Identity::Agent(_) => AGENT,
        Identity::CsiController => CSI_CONTROLLER,
        Identity::CsiNode(_) => CSI_NODE,
        Identity::Stranger(_) | Identity::Anonymous => &[],
    };
    let common = match who {
        Identity::Anonymous => &[],
        _ => AUTHENTICATED,
    };
    common.iter().chain(own).collect()
}

const OPEN: PathRule = PathRule {
    verbs: &["get"],
    paths: &["/healthz", "/livez", "/readyz", "/version"],
};

const DISCOVERY: PathRule = PathRule {
    verbs: &["get"],
    paths: &["/api", "/api/*", "/apis", "/apis/*", "/openapi/*"],
};

const EVERY_PATH: PathRule = PathRule {
    verbs: &["*"],
    paths: &["*"],
};

/// The rows of an identity about paths.
#[must_use]
pub fn path_rules(who: &Identity) -> &'static [PathRule] {
    match who {
        Identity::Anonymous => &[OPEN],
        Identity::Admin => &[OPEN, DISCOVERY, EVERY_PATH],
        _ => &[OPEN, DISCOVERY],
    }
}

impl Rule {
    /// Whether the row is about what is asked for.
    #[must_use]
    pub fn matches(&self, verb: &str, object: &Object<'_>) -> bool {
        let is_any = |list: &[&str]| list.contains(&"*");
        let is_resource = is_any(self.resources) || {
            let full = object.full_resource();
            self.resources.contains(&full.as_str())
        };
        (is_any(self.verbs) || self.verbs.contains(&verb))
            && (self.group == "*" || self.group == object.group)
            && is_resource
    }
}

impl PathRule {
    /// Whether the row grants a verb on a path.
    #[must_use]
    pub fn allows(&self, verb: &str, path: &str) -> bool {
        let is_verb = self.verbs.iter().any(|one| *one == "*" || *one == verb);
        is_verb
            && self.paths.iter().any(|one| match one.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => *one == path,
            })
    }
}
