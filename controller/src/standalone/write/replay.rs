//! Writes that a real server was recorded to answer, answered by us.
//!
//! `replay.jsonl` holds one request a line with the object as it was before and the recorded
//! answer, without `managedFields`. Revisions, times and identities differ by nature.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Deletion, FieldValidation, Part, Writer};
use crate::standalone::error::ApiError;
use crate::standalone::fixtures::{now, resources, uid};
use crate::standalone::patch::Patch;
use crate::standalone::resource::{Nature, Resource};
use crate::standalone::write::DeleteOptions;

const RECORDED: &str = include_str!("replay.jsonl");

/// A cause of 1.36 that says that there may be others.
const NOT_ALL: &str = "some validation rules were not checked";

#[test]
fn recorded_writes_have_the_recorded_answers() {
    let resources = resources();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let resource = resources
            .iter()
            .find(|r| case["group"] == r.group.as_str() && case["resource"] == r.plural.as_str())
            .unwrap();
        count += 1;
        if let Err(why) = replay(resource, &case) {
            wrong.push(format!("{} {}: {why}", case["label"], case["body"]));
        }
    }
    assert!(count > 150, "{count}");
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

fn replay(resource: &Resource, case: &Value) -> Result<(), String> {
    let writer = Writer {
        resource,
        now: now(),
        validation: FieldValidation::parse(case["validation"].as_str().unwrap_or_default(), "")
            .unwrap(),
        field_manager: "replay",
        duplicates: &[],
    };
    let old = resource.to_stored(case["old"].clone());
    let part = if case["status"] == true {
        Part::Status
    } else {
        Part::Main
    };
    let body = case["body"].clone();
    let name = case["name"].as_str().unwrap_or_default();
    let accepted = match case["verb"].as_str().unwrap() {
        "POST" => writer.create(case["namespace"].as_str(), body, uid()),
        "PUT" => writer.update(&old, name, body, part),
        "PATCH" => Patch::parse(
            case["type"].as_str().unwrap(),
            case["body"].to_string().as_bytes(),
        )
        .and_then(|patch| writer.patch(&old, &patch, part)),
        _ => return deletion(&writer, &old, case),
    };
    match accepted {
        Err(error) => same_error(&error, case),
        Ok(_) if case["code"].as_u64().unwrap() >= 300 => Err(format!(
            "accepted, but was {}: {}",
            case["code"], case["answer"]["message"]
        )),
        Ok(accepted) => {
            let warnings: Vec<_> = accepted
                .warnings
                .iter()
                .map(|w| format!("299 - \"{}\"", w.replace('"', "\\\"")))
                .collect();
            let recorded = case.get("warnings").cloned().unwrap_or_else(|| json!([]));
            if json!(warnings) != recorded {
                return Err(format!("warnings {warnings:?} for {recorded}"));
            }
            let shown = resource.to_shown(accepted.object);
            same_object(resource, &shown, &case["answer"], case["verb"] == "POST")
        }
    }
}

fn deletion(writer: &Writer<'_>, old: &Value, case: &Value) -> Result<(), String> {
    let deleted = DeleteOptions::from_value(&case["body"]).and_then(|o| writer.delete(old, &o));
    match (deleted, case["answer"]["kind"].as_str()) {
        (Err(error), _) => same_error(&error, case),
        (Ok(Deletion::Removed), Some("Status")) => Ok(()),
        (Ok(Deletion::AlreadyMarked), Some(kind)) if kind == writer.resource.kind => Ok(()),
        (Ok(Deletion::Marked(object)), Some(kind)) if kind == writer.resource.kind => {
            same_object(writer.resource, &object, &case["answer"], false)
        }
        // Policies that need a garbage collector are not acted upon.
        (Ok(Deletion::Removed), _)
            if ["Foreground", "Orphan"]
                .map(Value::from)
                .contains(&case["body"]["propagationPolicy"]) =>
        {
            Ok(())
        }
        (deleted, _) => Err(format!("{deleted:?} for {}", case["answer"])),
    }
}

fn same_error(error: &ApiError, case: &Value) -> Result<(), String> {
    let answer = &case["answer"];
    // Where a real server fails by itself, the request was at fault.
    let recorded = if case["code"] == 500 {
        400
    } else {
        case["code"].as_u64().unwrap()
    };
    if u64::from(error.code) != recorded {
        return Err(format!("{error:?} for {recorded}: {}", answer["message"]));
    }
    if case["code"] == 500 {
        return Ok(());
    }
    let status = error.to_status();
    for key in ["reason", "kind", "apiVersion", "status", "metadata"] {
        if status[key] != answer[key] {
            return Err(format!("{key} {} for {}", status[key], answer[key]));
        }
    }
    let causes = |status: &Value| -> BTreeSet<String> {
        let causes = status["details"]["causes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let causes = causes.iter().map(Value::to_string);
        causes
            .filter(|c| !c.contains(NOT_ALL) && !c.contains("\"field\":\"patch\""))
            .collect()
    };
    if causes(&status) != causes(answer) {
        return Err(format!("{:?}\n for {:?}", causes(&status), causes(answer)));
    }
    let details = |status: &Value| {
        let mut details = status["details"].clone();
        if let Some(map) = details.as_object_mut() {
            map.remove("causes");
        }
        details
    };
    if details(&status) != details(answer) {
        return Err(format!(
            "details {} for {}",
            details(&status),
            details(answer)
        ));
    }
    // What the store says of itself, with its own key, isn't repeated by ours.
    let message = answer["message"].as_str().unwrap();
    let message = match message.split_once("StorageError: ") {
        Some((before, store)) => {
            format!(
                "{before}{}",
                store.split_once("AdditionalErrorMsg: ").unwrap().1
            )
        }
        None => message.to_owned(),
    };
    // The order of several is not stable there, and a patch is repeated as it came.
    let recorded = answer["details"]["causes"].as_array().map_or(0, Vec::len);
    let is_one = recorded < 2 && !message.contains("patch: Invalid");
    if is_one && status["message"] != message {
        return Err(format!("message {}\n for {message}", status["message"]));
    }
    Ok(())
}

fn same_object(
    resource: &Resource,
    ours: &Value,
    recorded: &Value,
    is_new: bool,
) -> Result<(), String> {
    let normal = |object: &Value| {
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("resourceVersion");
        if is_new {
            metadata.remove("uid");
            metadata.remove("creationTimestamp");
        }
        if is_new && metadata.contains_key("generateName") {
            metadata.remove("name");
        }
        if let Some(time) = metadata.get_mut("deletionTimestamp") {
            *time = json!("then");
        }
        object
    };
    let (ours, recorded) = (normal(ours), normal(recorded));
    // A real server's own kinds show fields that nobody set.
    let same = match resource.nature {
        Nature::Custom => ours == recorded,
        _ => is_part(&ours, &recorded),
    };
    if same {
        Ok(())
    } else {
        Err(format!("\n     {ours}\n for {recorded}"))
    }
}

fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(k, v)| whole.get(k).is_some_and(|w| is_part(v, w))),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(p, w)| is_part(p, w))
        }
        _ => part == whole,
    }
}
