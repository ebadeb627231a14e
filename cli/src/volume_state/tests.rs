//! What volumes wait for, case by case.

use serde_json::{Value, json};

use weir_api::condition::reason;

use super::outside::DELETION;
use super::*;
use crate::lease::Hearing;
use crate::samples::{agent, condition, controller, deleted, pool, volume};

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn pool_state(ready: Value) -> PoolState {
    let status = json!({"conditions": [ready]});
    PoolState::of(
        &pool("fast", "n1", json!({}), status),
        agent("n1", Hearing::Heard),
        false,
    )
}

fn open() -> PoolState {
    pool_state(condition("Ready", "True", "AsAsked", "it is served"))
}

fn silent() -> PoolState {
    pool_state(condition(
        "Ready",
        "Unknown",
        "AgentSilent",
        "the agent does not renew its Lease",
    ))
}

fn look(volume: &Volume, pool: Option<&PoolState>, is_leading: bool) -> Wait {
    let controller = controller(is_leading);
    let around = Around {
        pool,
        controller: &controller,
        now: now(),
    };
    wait(volume, &around)
}

#[test]
fn a_volume_in_no_pool_waits_for_the_controller_or_for_a_pool_that_fits() {
    let refused = json!({
        "conditions": [condition("Scheduled", "False", "NoPoolFits", "none of 3 pools fits: 2 cordoned; 1 not Ready")],
        "placement": {"filtered": [
            {"filter": "schedulable", "count": 2, "examples": ["a", "b"]},
            {"filter": "health", "count": 1, "examples": ["c"]},
        ]},
    });
    let found = look(&volume("v", json!({}), refused), None, true);
    assert_eq!(
        (found.reason.as_str(), found.weight),
        ("NoPoolFits", Some(Weight::Error))
    );
    assert!(found.message.contains("none of 3 pools fits"));
    assert_eq!(found.next.len(), 2);
    assert!(
        found.next[0].contains("weir uncordon pool a"),
        "{:?}",
        found.next
    );
    let concern = found.concern("v").unwrap();
    assert_eq!(concern.next, "weir explain volume v");

    let new = volume("v", json!({}), Value::Null);
    assert_eq!(look(&new, None, false).reason, NO_LEADER);
    assert_eq!(look(&new, None, true).reason, reason::WAITING);
    assert_eq!(
        look(&new, None, true).weight,
        Some(Weight::Warning),
        "an hour is long"
    );
}

#[test]
fn a_volume_in_a_pool_waits_for_what_is_first_in_the_way() {
    let spec = json!({"poolName": "fast"});
    let granted =
        json!({"poolName": "fast", "attachments": [{"nodeName": "app", "generation": 1}]});
    let ready = condition("Ready", "True", "AsAsked", "it is there");
    let serving = json!({
        "phase": "Ready", "conditions": [ready],
        "attachments": [{"nodeName": "app", "generation": 1, "devicePath": "/dev/x"}],
    });
    let waiting = json!({
        "phase": "Ready", "conditions": [ready],
        "attachments": [{"nodeName": "app", "generation": 1, "message": "LV `w_1` is open on this node; close it"}],
    });
    let no_portal = json!({
        "phase": "Ready",
        "conditions": [ready, condition("Exported", "False", "NoPortal", "pool `fast` has no portal; give it one")],
    });
    let (open, silent) = (open(), silent());
    let (fine, warning, error) = (None, Some(Weight::Warning), Some(Weight::Error));
    let rows = [
        (
            &spec,
            json!({"phase": "Ready", "conditions": [ready]}),
            Some(&open),
            "Nothing",
            fine,
        ),
        (&granted, serving, Some(&open), "Nothing", fine),
        (&granted, waiting, Some(&open), "Attachment", fine),
        (&granted, no_portal, Some(&open), "NoPortal", error),
        (&spec, Value::Null, None, "PoolNotFound", error),
        (&spec, Value::Null, Some(&open), "NotTold", warning),
        (&spec, Value::Null, Some(&silent), "AgentSilent", error),
        (
            &spec,
            json!({"phase": "Ready", "conditions": [ready]}),
            Some(&silent),
            "AgentSilent",
            warning,
        ),
        (
            &spec,
            json!({"phase": "Creating", "conditions": [condition("Ready", "False", "Zeroing", "zeroed to 3 %")]}),
            Some(&open),
            "Zeroing",
            fine,
        ),
        (
            &spec,
            json!({"phase": "Failed", "conditions": [condition("Ready", "False", "DataMissing", "LV is gone")]}),
            Some(&open),
            "DataMissing",
            error,
        ),
        (
            &spec,
            json!({"conditions": [condition("Rejected", "True", "NoSpace", "no room")]}),
            Some(&open),
            "Rejected",
            warning,
        ),
        (
            &spec,
            json!({"phase": "Ready", "conditions": [ready, condition("Refused", "True", "ShrinkRefused", "spec.capacityBytes")]}),
            Some(&open),
            "ShrinkRefused",
            warning,
        ),
        (
            &spec,
            json!({"phase": "Ready", "conditions": [ready], "observedGeneration": 0}),
            Some(&open),
            "Change",
            fine,
        ),
        (
            &spec,
            json!({"phase": "Ready", "conditions": [ready, condition("OpenedLocally", "True", "InUse", "by qemu")]}),
            Some(&open),
            "InUse",
            warning,
        ),
    ];
    for (spec, status, pool, reason, weight) in rows {
        let found = look(&volume("v", spec.clone(), status.clone()), pool, true);
        assert_eq!(
            (found.reason.as_str(), found.weight),
            (reason, weight),
            "{status}"
        );
        assert!(!found.message.is_empty(), "{status}");
        assert_eq!(found.next.is_empty(), reason == "Nothing", "{status}");
    }
}

#[test]
fn a_deletion_waits_for_the_agent_and_then_for_the_controller() {
    let at =
        |status: Value, when: &str| deleted(volume("v", json!({"poolName": "fast"}), status), when);
    let (soon, long_ago) = ("2026-11-27T11:59:30Z", "2026-11-27T10:00:00Z");
    let open_lv = condition("Ready", "False", "InUse", "LV `w_1` is open");
    let (open, silent) = (open(), silent());
    let rows = [
        (
            at(json!({"phase": "Ready"}), soon),
            &open,
            true,
            DELETION,
            None,
            "has not begun",
        ),
        (
            at(json!({"phase": "Ready"}), long_ago),
            &open,
            true,
            DELETION,
            Some(Weight::Warning),
            "has not begun",
        ),
        (
            at(json!({"phase": "Deleting", "conditions": [open_lv]}), soon),
            &open,
            true,
            "InUse",
            None,
            "is open",
        ),
        (
            at(json!({"phase": "Ready"}), soon),
            &silent,
            true,
            DELETION,
            Some(Weight::Warning),
            "not Ready",
        ),
        (
            at(json!({"phase": "Deleted"}), soon),
            &open,
            true,
            DELETION,
            None,
            "data is gone",
        ),
        (
            at(json!({"phase": "Deleted"}), soon),
            &open,
            false,
            NO_LEADER,
            Some(Weight::Error),
            "nobody leads",
        ),
    ];
    for (volume, pool, is_leading, reason, weight, words) in rows {
        let found = look(&volume, Some(pool), is_leading);
        assert_eq!(
            (found.reason.as_str(), found.weight),
            (reason, weight),
            "{words}"
        );
        assert!(found.message.contains(words), "{}", found.message);
    }
}
