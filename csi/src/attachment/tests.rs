//! Grants, as tables.

use serde_json::{Value, json};
use tonic::Code;

use super::*;
use crate::capability::tests::{block, mount};
use crate::proto::VolumeCapability;
use crate::proto::volume_capability::access_mode::Mode;

fn volume(json: Value) -> Volume {
    let mut whole = json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": "v", "generation": 7},
        "spec": {"id": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "capacityBytes": 1},
    });
    for part in ["metadata", "spec", "status"] {
        for (name, value) in json[part].as_object().into_iter().flatten() {
            whole[part][name] = value.clone();
        }
    }
    serde_json::from_value(whole).unwrap()
}

/// Attached as asked: `a:3` writes, `a:3r` reads.
fn attached(access: &str, nodes: &[&str]) -> Volume {
    let attachments = nodes.iter().map(|text| {
        let (node, generation) = text.split_once(':').unwrap();
        let number: u64 = generation.trim_end_matches('r').parse().unwrap();
        json!({"nodeName": node, "generation": number, "readOnly": generation.ends_with('r')})
    });
    let attachments: Vec<Value> = attachments.collect();
    volume(json!({"spec": {"access": access, "attachments": attachments}}))
}

fn ask(node: &str, capability: &VolumeCapability, is_read_only: bool) -> Ask {
    let usage = Use::of(Some(capability)).unwrap();
    Ask {
        node: node.parse().unwrap(),
        is_read_only: is_read_only || usage.is_read_only,
        usage,
    }
}

fn rwo(node: &str) -> Ask {
    ask(node, &mount(Mode::SingleNodeWriter, ""), false)
}

/// The generation that is newly asked for.
fn new(grant: Result<Grant, Failure>) -> u64 {
    match grant {
        Ok(Grant::New(generation, _)) => generation.0,
        other => panic!("{other:?}"),
    }
}

/// Rows: access, who has it, who asks, and whom the refusal names; none: it is granted.
///
/// Seen red with: `excludes` always false; `!holder.read_only ||` left out.
#[test]
fn who_has_a_volume_keeps_others_from_it() {
    let (rwo, rwop) = (
        mount(Mode::SingleNodeWriter, ""),
        mount(Mode::SingleNodeSingleWriter, ""),
    );
    let (rox, block_rox) = (
        mount(Mode::MultiNodeReaderOnly, ""),
        block(Mode::MultiNodeReaderOnly),
    );
    let (rwx, one) = (
        block(Mode::MultiNodeMultiWriter),
        block(Mode::MultiNodeSingleWriter),
    );
    let (single, multi) = ("SingleHost", "MultiHost");
    for (access, has, capability, reads, named) in [
        (single, &[][..], &rwo, false, None),
        (single, &["a:3"], &rwo, false, Some("a")),
        (single, &["a:3"], &rwop, false, Some("a")),
        (single, &["a:3r"], &rwo, false, Some("a")),
        (multi, &["a:3"], &rwo, false, Some("a")),
        (multi, &["a:3r"], &rwo, false, Some("a")),
        (multi, &["a:3r"], &rox, false, None),
        (multi, &["a:3r", "c:4r"], &rox, false, None),
        (multi, &["a:3"], &rox, false, Some("a")),
        (multi, &["a:3r", "c:4"], &rox, false, Some("c")),
        (multi, &["a:3"], &block_rox, false, Some("a")),
        (multi, &["a:3r"], &block_rox, false, None),
        (multi, &["a:3"], &rwx, false, None),
        (multi, &["a:3"], &rwx, true, None),
        (multi, &["a:3"], &one, false, Some("a")),
        (multi, &["a:3"], &one, true, None),
        (multi, &["a:3r"], &one, false, None),
    ] {
        let row = format!("{access} {has:?} {capability:?} {reads}");
        let granted = grant(&attached(access, has), &ask("b", capability, reads), 0);
        match named {
            None => assert!(matches!(granted, Ok(Grant::New(..))), "{row}: {granted:?}"),
            Some(holder) => {
                let failure = granted.unwrap_err();
                assert_eq!(failure.code(), Code::FailedPrecondition, "{row}");
                assert!(
                    failure.to_string().contains(&format!("node `{holder}`")),
                    "{row}: {failure}"
                );
            }
        }
    }
}

#[test]
fn a_grant_that_was_asked_for_is_not_asked_for_again() {
    let there = attached("SingleHost", &["a:3"]);
    assert_eq!(grant(&there, &rwo("a"), 9), Ok(Grant::Asked(Generation(3))));
    let reader = ask("a", &mount(Mode::SingleNodeReaderOnly, ""), false);
    assert_eq!(
        grant(&there, &reader, 9).unwrap_err().code(),
        Code::AlreadyExists
    );
}

/// Seen red with: the filter of `ending` turned to nothing.
#[test]
fn who_is_being_cut_off_still_has_the_volume() {
    let ending = volume(json!({"status": {"attachments": [{"nodeName": "a", "generation": 3}]}}));
    let failure = grant(&ending, &rwo("b"), 0).unwrap_err();
    assert_eq!(failure.code(), Code::FailedPrecondition);
    assert!(failure.to_string().contains("node `a`"), "{failure}");
    // Its own old grant is the agent's to end before it gives the new one.
    assert_eq!(new(grant(&ending, &rwo("a"), 0)), 4);
}

/// Seen red with: the annotation not read; `now` left out; `checked_add(1)` left out.
#[test]
fn every_grant_has_a_generation_that_nobody_had() {
    let noted = |number: &str| json!({"annotations": {GENERATION: number}});
    let shown = json!({"attachments": [{"nodeName": "b", "generation": 5}]});
    for (json, now, generation) in [
        (json!({}), 0, 1),
        (json!({}), 1000, 1000),
        (json!({"metadata": noted("7")}), 0, 8),
        (json!({"metadata": noted("2000")}), 1000, 2001),
        (json!({"metadata": noted("3"), "status": shown}), 0, 6),
    ] {
        assert_eq!(
            new(grant(&volume(json.clone()), &rwo("b"), now)),
            generation,
            "{json}"
        );
    }
    let several = attached("MultiHost", &["a:3", "c:9"]);
    assert_eq!(
        new(grant(
            &several,
            &ask("b", &block(Mode::MultiNodeMultiWriter), false),
            0
        )),
        10
    );
    let broken = volume(json!({"metadata": noted("x")}));
    assert_eq!(
        grant(&broken, &rwo("b"), 0).unwrap_err().code(),
        Code::Internal
    );
}

#[test]
fn the_write_keeps_the_others_and_remembers_the_generation() {
    let several = attached("MultiHost", &["a:3"]);
    let Ok(Grant::New(_, patch)) = grant(
        &several,
        &ask("b", &block(Mode::MultiNodeMultiWriter), false),
        5,
    ) else {
        panic!("it is not granted")
    };
    assert_eq!(
        patch,
        json!({
            "metadata": {"annotations": {GENERATION: "5"}},
            "spec": {"attachments": [{"nodeName": "a", "generation": 3}, {"nodeName": "b", "generation": 5}]},
        })
    );
}

#[test]
fn a_volume_is_granted_only_for_what_it_was_made_for() {
    let shared = ask("b", &block(Mode::MultiNodeMultiWriter), false);
    assert_eq!(
        grant(&volume(json!({})), &shared, 0).unwrap_err().code(),
        Code::InvalidArgument
    );
    let device = volume(json!({"metadata": {"annotations": {FORM: "block"}}}));
    assert_eq!(
        grant(&device, &rwo("b"), 0).unwrap_err().code(),
        Code::InvalidArgument
    );
    let going = volume(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    assert_eq!(
        grant(&going, &rwo("b"), 0).unwrap_err().code(),
        Code::FailedPrecondition
    );
    let full: Vec<String> = (1..=16)
        .map(|number| format!("n{number}:{number}"))
        .collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    assert_eq!(
        grant(&attached("MultiHost", &full), &shared, 0)
            .unwrap_err()
            .code(),
        Code::FailedPrecondition
    );
    // Agents do not keep a reader from writing yet.
    let mut placed = attached("MultiHost", &[]);
    placed.spec.pool_name = Some("p".parse().unwrap());
    let reader = ask("b", &mount(Mode::MultiNodeReaderOnly, ""), false);
    assert_eq!(
        grant(&placed, &reader, 0).unwrap_err().code(),
        Code::InvalidArgument
    );
}

/// Seen red with: the generation not compared.
#[test]
fn a_grant_is_there_when_the_agent_says_so_of_this_generation() {
    let node: NodeName = "a".parse().unwrap();
    let shown = |generation: u64, how: Value| {
        let mut there = attached("SingleHost", &["a:3"]);
        let mut one = json!({"nodeName": "a", "generation": generation});
        for (name, value) in how.as_object().unwrap() {
            one[name] = value.clone();
        }
        there.status = Some(serde_json::from_value(json!({"attachments": [one]})).unwrap());
        granted(&there, &node, Generation(3)).unwrap()
    };
    let local = shown(3, json!({"devicePath": "/dev/x"})).unwrap();
    assert_eq!(local["devicePath"], "/dev/x");
    assert_eq!(local["generation"], "3");
    let target = |portals: Value| {
        json!({"target": {
            "nqn": "nqn.1", "hostNqn": "nqn.2", "nsid": 1, "uuid": "7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90", "portals": portals,
        }})
    };
    let remote = shown(
        3,
        target(json!([{"address": "10.0.0.1"}, {"address": "fd00::1", "port": 4421}])),
    )
    .unwrap();
    assert_eq!(
        remote["portals"],
        "tcp://10.0.0.1:4420,tcp://[fd00::1]:4421"
    );
    assert_eq!(remote["hostNqn"], "nqn.2");
    for waits in [
        shown(2, json!({"devicePath": "/dev/x"})),
        shown(3, json!({})),
        shown(3, target(json!([]))),
    ] {
        assert!(waits.is_err(), "{waits:?}");
    }
    assert_eq!(
        shown(3, json!({"message": "it is open"})),
        Err("it is open".to_owned())
    );
    let ended = granted(&volume(json!({})), &node, Generation(3)).unwrap_err();
    assert_eq!(ended.code(), Code::Aborted);
}

#[test]
fn ending_a_grant_leaves_the_others_and_remembers() {
    let there = attached("MultiHost", &["a:3", "b:9"]);
    let (a, c) = ("a".parse().unwrap(), "c".parse().unwrap());
    let one = revoke(&there, Some(&a)).unwrap();
    assert_eq!(
        one["spec"]["attachments"],
        json!([{"nodeName": "b", "generation": 9}])
    );
    assert_eq!(one["metadata"]["annotations"][GENERATION], "9");
    assert_eq!(revoke(&there, Some(&c)), None);
    assert_eq!(
        revoke(&there, None).unwrap()["spec"]["attachments"],
        json!([])
    );
}

/// Rows: the object, and whether the grant of `a` has ended.
///
/// Seen red with: `status.attachments` not looked at; `is_of_this_state` always true; `is_nowhere` always true.
#[test]
fn a_grant_has_ended_when_the_agent_says_so_of_this_state() {
    let node: NodeName = "a".parse().unwrap();
    let is_ended = |json: Value| revoked(&volume(json), Some(&node), Some(7)).is_ok();
    let placed = json!({"poolName": "p"});
    let shown = |name: &str| json!([{"nodeName": name, "generation": 3}]);
    let ready = |seen: u64, attachments: Value| json!({"phase": "Ready", "observedGeneration": seen, "attachments": attachments});
    for (json, ended) in [
        (json!({}), true),
        // It has data, and somebody cleared its pool's name.
        (json!({"status": ready(7, json!([]))}), false),
        (json!({"status": {"attachments": shown("a")}}), false),
        (json!({"spec": placed}), false),
        (json!({"spec": placed, "status": ready(7, json!([]))}), true),
        (json!({"spec": placed, "status": ready(8, json!([]))}), true),
        (
            json!({"spec": placed, "status": ready(6, json!([]))}),
            false,
        ),
        (json!({"spec": placed, "status": {"phase": "Ready"}}), false),
        (
            json!({"spec": placed, "status": ready(7, shown("a"))}),
            false,
        ),
        (
            json!({"spec": placed, "status": ready(7, shown("b"))}),
            true,
        ),
        (json!({"spec": {"attachments": shown("a")}}), false),
    ] {
        assert_eq!(is_ended(json.clone()), ended, "{json}");
    }
    let other = volume(json!({"spec": placed, "status": ready(7, shown("b"))}));
    assert!(revoked(&other, None, Some(7)).is_err());
}

/// An agent shows no grant while it cuts one off, after it failed to, and while it can't look: rows are a phase, a condition, and
/// whether the grant has ended.
///
/// Seen red with: `nothing_left` always `Ok`; `unfinished` left out of it; `refused` left out of it.
#[test]
fn an_empty_list_alone_ends_no_grant() {
    let node: NodeName = "a".parse().unwrap();
    for (phase, kind, truth, reason, ended) in [
        ("Ready", "Exported", "True", "AsAsked", true),
        ("Ready", "Exported", "False", "Waiting", false),
        ("Ready", "Exported", "False", "StepFailed", false),
        ("Ready", "Exported", "False", "TargetUnavailable", false),
        ("Ready", "Exported", "False", "SomethingNew", false),
        ("Ready", "Exported", "False", "InUse", true),
        ("Ready", "Exported", "False", "NoPortal", true),
        ("Ready", "Refused", "True", "StaleGeneration", false),
        ("Ready", "Refused", "True", "ResizeNotSupported", true),
        ("Ready", "Orphaned", "True", "NoRequest", false),
        ("Failed", "Ready", "False", "PoolUnavailable", false),
        ("Pending", "Ready", "False", "IdInUse", false),
        ("Creating", "Ready", "False", "Zeroing", false),
        ("Deleting", "Ready", "False", "Waiting", false),
        ("Deleted", "Ready", "False", "Deleted", true),
    ] {
        let said = json!([{"type": kind, "status": truth, "reason": reason, "message": "m"}]);
        let there = volume(json!({
            "spec": {"poolName": "p"},
            "status": {"phase": phase, "observedGeneration": 7, "conditions": said},
        }));
        let row = format!("{phase} {kind} {truth} {reason}");
        match revoked(&there, Some(&node), Some(7)) {
            Ok(()) => assert!(ended, "{row}"),
            Err(why) => assert_eq!((ended, why.as_str()), (false, "m"), "{row}"),
        }
    }
}
