//! Reviews of access: `kubectl auth can-i` and `whoami`.

use serde_json::{Value, json};

use super::access::{self, Attributes, Decision, Object, On};
use super::error::{ApiError, Cause};
use super::identity::Identity;

/// The reviews that can be asked for: group, resource, kind.
pub const KINDS: [(&str, &str, &str); 3] = [
    (
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
    ),
    (
        "authorization.k8s.io",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
    ),
    (
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
    ),
];

/// The version of both groups.
pub const VERSION: &str = "v1";

/// Answers a review; `kind` is one of [`KINDS`].
///
/// # Errors
/// It is of another kind, or asks for nothing.
pub fn answer(
    who: &Identity,
    group: &str,
    kind: &str,
    review: &Value,
    now: jiff::Timestamp,
) -> Result<Value, ApiError> {
    let api_version = format!("{group}/{VERSION}");
    for (field, expected) in [("kind", kind), ("apiVersion", api_version.as_str())] {
        let found = review
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or(expected);
        if found != expected {
            let cause = Cause::invalid(field, &json!(found), &format!("must be {expected}"));
            return Err(ApiError::invalid(group, kind, "", vec![cause]));
        }
    }
    let spec = review.get("spec").cloned().unwrap_or_else(|| json!({}));
    let mut answer = match kind {
        "SelfSubjectAccessReview" => {
            let status = access(who, &spec)
                .map_err(|cause| ApiError::invalid(group, kind, "", vec![cause]))?;
            json!({"metadata": {}, "spec": spec, "status": status})
        }
        "SelfSubjectRulesReview" => json!({"metadata": {}, "spec": {}, "status": rules(who)}),
        _ => {
            let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let user = json!({"username": who.user(), "groups": who.groups()});
            json!({"metadata": {"creationTimestamp": now}, "status": {"userInfo": user}})
        }
    };
    answer["kind"] = kind.into();
    answer["apiVersion"] = api_version.into();
    Ok(answer)
}

fn access(who: &Identity, spec: &Value) -> Result<Value, Cause> {
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
        text.to_owned()
    };
    let on_resource = spec.get("resourceAttributes").filter(|v| v.is_object());
    let on_path = spec.get("nonResourceAttributes").filter(|v| v.is_object());
    let decision = match (on_resource, on_path) {
        (Some(of), None) => {
            let [verb, group, resource, subresource, namespace, name] = [
                "verb",
                "group",
                "resource",
                "subresource",
                "namespace",
                "name",
            ]
            .map(|key| text(of, key));
            let object = Object {
                group: &group,
                resource: &resource,
                subresource: &subresource,
                namespace: &namespace,
                name: &name,
            };
            let on = On::Resource(object);
            access::decide(who, &Attributes { verb: &verb, on })
        }
        (None, Some(of)) => {
            let (verb, path) = (text(of, "verb"), text(of, "path"));
            let on = On::Path(&path);
            access::decide(who, &Attributes { verb: &verb, on })
        }
        _ => {
            let why =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(Cause::invalid("spec.resourceAttributes", &json!(null), why));
        }
    };
    Ok(match decision {
        Decision::Allowed => json!({"allowed": true}),
        Decision::If(condition) => {
            json!({"allowed": true, "reason": format!("unless {condition}")})
        }
        Decision::Denied => json!({"allowed": false}),
    })
}

fn rules(who: &Identity) -> Value {
    let resources = access::rules(who).into_iter().map(
        |rule| json!({"verbs": rule.verbs, "apiGroups": [rule.group], "resources": rule.resources}),
    );
    let paths = access::path_rules(who)
        .iter()
        .map(|rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.paths}));
    json!({
        "resourceRules": resources.collect::<Vec<_>>(),
        "nonResourceRules": paths.collect::<Vec<_>>(),
        "incomplete": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(who: &str, spec: &Value) -> Option<bool> {
        let review = json!({"spec": spec});
        let kind = "SelfSubjectAccessReview";
        let now = jiff::Timestamp::UNIX_EPOCH;
        let who = who.parse().unwrap();
        let answer = answer(&who, "authorization.k8s.io", kind, &review, now).ok()?;
        answer.pointer("/status/allowed")?.as_bool()
    }

    #[test]
    fn who_may_what_is_answered_from_the_table() {
        let on = |verb: &str, resource: &str, sub: &str| {
            json!({"resourceAttributes": {
                "verb": verb, "group": "weir.dev", "resource": resource, "subresource": sub,
            }})
        };
        let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}});
        let rows = [
            ("admin", on("*", "*", ""), Some(true)),
            ("admin", path.clone(), Some(true)),
            ("agent:n1", path, Some(false)),
            ("agent:n1", on("list", "volumes", ""), Some(true)),
            ("agent:n1", on("patch", "volumes", "status"), Some(true)),
            ("agent:n1", on("patch", "volumes", ""), Some(false)),
            ("agent:n1", on("*", "volumes", ""), Some(false)),
            ("csi-controller", on("list", "volumes", ""), Some(true)),
            (
                "csi-controller",
                on("patch", "volumes", "status"),
                Some(false),
            ),
            ("admin", json!({}), None),
        ];
        for (who, spec, expected) in rows {
            assert_eq!(allowed(who, &spec), expected, "{who} {spec}");
        }
    }

    #[test]
    fn a_review_of_another_kind_is_refused() {
        let review = json!({"kind": "SelfSubjectReview"});
        let kind = "SelfSubjectAccessReview";
        let now = jiff::Timestamp::UNIX_EPOCH;
        let error = answer(&Identity::Admin, "authorization.k8s.io", kind, &review, now);
        assert_eq!(error.unwrap_err().code, 422);
    }

    #[test]
    fn whoami_names_user_and_groups() {
        let who = "agent:n1".parse().unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let group = "authentication.k8s.io";
        let found = answer(&who, group, "SelfSubjectReview", &json!({}), now).unwrap();
        let user = found.pointer("/status/userInfo").unwrap();
        let groups = ["weir:agents", "system:authenticated"];
        assert_eq!(
            *user,
            json!({"username": "weir:agent:n1", "groups": groups})
        );
        assert_eq!(
            found["metadata"]["creationTimestamp"],
            "1970-01-01T00:00:00Z"
        );
    }
}
