//! Whatever comes in: no panic, and a refused write changes nothing.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{created, volume, volumes, writer};
use crate::standalone::fixtures::{body, resources, uid};
use crate::standalone::patch::Patch;
use crate::standalone::write::{BodyType, DeleteOptions, Part, parse_body};

/// Names that mean something, so that generated objects get past the first check.
const NAMES: [&str; 18] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "status",
    "name",
    "labels",
    "finalizers",
    "uid",
    "resourceVersion",
    "sizeBytes",
    "poolName",
    "tags",
    "conditions",
    "type",
    "ownerReferences",
    "deletionTimestamp",
    "x",
];

/// So many cases; what fails is printed, and belongs into a table.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        proptest::sample::select(
            &[
                "a",
                "Volume",
                "weir.dev/v1alpha1",
                "1",
                "2026-11-22T09:00:00Z",
                "ext4"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        prop::collection::vec(name(), 0..4)
            .prop_map(|names| { names.iter().map(|n| format!("/{n}")).collect::<String>() }),
        Just("/spec/tags/-".to_owned()),
        ".{0,10}",
    ];
    let verb = proptest::sample::select(&["add", "remove", "replace", "move", "copy", "test"][..]);
    (verb, path.clone(), path, value()).prop_map(|(op, path, from, value)| {
        serde_json::json!({"op": op, "path": path, "from": from, "value": value})
    })
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for media in [BodyType::Json, BodyType::Yaml] {
            if let Ok(body) = parse_body(&bytes, media) {
                let _ = writer(&volumes()).create(None, body.value, uid());
            }
        }
        for media in ["application/merge-patch+json", "application/json-patch+json"] {
            let _ = Patch::parse(media, &bytes);
        }
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}:,\"a-c0-9&* \\n!|>-]{0,200}") {
        for media in [BodyType::Json, BodyType::Yaml] {
            let _ = parse_body(text.as_bytes(), media);
        }
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn no_object_panics(value in value()) {
        for kind in resources() {
            if let Ok(accepted) = writer(&kind).create(Some("default"), value.clone(), uid()) {
                prop_assert!(accepted.object["metadata"]["name"].is_string());
            }
            let mut nearly = body(&kind, value["spec"].clone());
            if value.is_object() {
                json_patch::merge(&mut nearly, &value);
            }
            nearly["kind"] = Value::from(kind.kind.clone());
            nearly["apiVersion"] = Value::from(kind.api_version());
            let _ = writer(&kind).create(Some("default"), nearly, uid());
        }
        let _ = DeleteOptions::from_value(&value);
    }

    #[test]
    fn an_accepted_change_can_be_written_again(
        patch in value(),
        operations in prop::collection::vec(operation(), 1..4),
    ) {
        let kind = volumes();
        let old = created(&kind, body(&kind, volume()));
        let before = old.clone();
        let json = Value::Array(operations).to_string();
        let patches = [
            Patch::parse("application/merge-patch+json", patch.to_string().as_bytes()),
            Patch::parse("application/json-patch+json", json.as_bytes()),
        ];
        for patch in patches.into_iter().flatten() {
            for part in [Part::Main, Part::Status] {
                let Ok(accepted) = writer(&kind).patch(&old, &patch, part) else {
                    continue;
                };
                for key in ["uid", "name", "creationTimestamp"] {
                    prop_assert_eq!(&accepted.object["metadata"][key], &old["metadata"][key]);
                }
                let mut again = accepted.object.clone();
                again["metadata"]["resourceVersion"] = Value::from("1");
                let rewritten = writer(&kind).update(&again, "a", again.clone(), part);
                let rewritten = rewritten.map(|a| a.object);
                prop_assert_eq!(rewritten, Ok(accepted.object));
            }
        }
        prop_assert_eq!(old, before);
    }
}
