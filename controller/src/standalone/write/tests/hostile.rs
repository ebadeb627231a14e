//! Requests that are malformed or hostile: each is refused, with a code and a field.

use serde_json::{Value, json};

use super::{created, resource, uid, volume, volumes, writer};
use crate::standalone::error::ApiError;
use crate::standalone::fixtures::body;
use crate::standalone::patch::Patch;
use crate::standalone::write::{BodyType, DeleteOptions, Part, parse_body, parse_body_of};

/// What a refusal has to say: the code, and a field, in a cause or else in the message.
fn expect(what: &str, got: Result<(), ApiError>, code: u16, field: &str) {
    let error = match got {
        Ok(()) => panic!("{what}: accepted"),
        Err(error) => error,
    };
    assert_eq!(error.code, code, "{what}: {error}");
    let named = match error.causes() {
        [] => error.message.contains(field),
        causes => causes.iter().any(|c| c.field == field),
    };
    assert!(named, "{what}: {field:?} is not in {error:?}");
    assert!(
        error.message.len() < 16_384,
        "{what}: an answer of {} bytes",
        error.message.len()
    );
}

/// A body that says what `metadata` and `spec` are.
fn volume_with(change: Value) -> Value {
    let mut body = body(&volumes(), volume());
    json_patch::merge(&mut body, &change);
    body
}

fn create(change: Value) -> Result<(), ApiError> {
    writer(&volumes())
        .create(None, volume_with(change), uid())
        .map(|_| ())
}

#[test]
fn new_objects() {
    let long = "x".repeat(64);
    let rows: Vec<(&str, Value, u16, &str)> = vec![
        (
            "no kind",
            json!({"kind": null}),
            400,
            "Object 'Kind' is missing",
        ),
        (
            "no version",
            json!({"apiVersion": null}),
            400,
            "Object 'apiVersion' is missing",
        ),
        (
            "an empty kind",
            json!({"kind": ""}),
            400,
            "Object 'Kind' is missing",
        ),
        ("a kind that is a number", json!({"kind": 1}), 400, "kind"),
        (
            "a version that is a list",
            json!({"apiVersion": []}),
            400,
            "apiVersion",
        ),
        ("another kind", json!({"kind": "StoragePool"}), 422, "kind"),
        (
            "another version",
            json!({"apiVersion": "weir.dev/v9"}),
            400,
            "weir.dev/v9",
        ),
        ("another group", json!({"apiVersion": "v1"}), 400, "(v1)"),
        (
            "metadata that is text",
            json!({"metadata": "x"}),
            400,
            "metadata",
        ),
        (
            "metadata that is a list",
            json!({"metadata": []}),
            400,
            "metadata",
        ),
        (
            "no metadata",
            json!({"metadata": null}),
            422,
            "metadata.name",
        ),
        (
            "no name",
            json!({"metadata": {"name": null}}),
            422,
            "metadata.name",
        ),
        (
            "an empty name",
            json!({"metadata": {"name": ""}}),
            422,
            "metadata.name",
        ),
        (
            "a name that is a number",
            json!({"metadata": {"name": 7}}),
            400,
            "metadata.name",
        ),
        (
            "a name that is an object",
            json!({"metadata": {"name": {"a": 1}}}),
            400,
            "metadata.name",
        ),
        (
            "a name in capitals",
            json!({"metadata": {"name": "Bad"}}),
            422,
            "metadata.name",
        ),
        (
            "a name with a path",
            json!({"metadata": {"name": "../etc"}}),
            422,
            "metadata.name",
        ),
        (
            "a name with a slash",
            json!({"metadata": {"name": "a/b"}}),
            422,
            "metadata.name",
        ),
        (
            "a name with an escape",
            json!({"metadata": {"name": "a%2fb"}}),
            422,
            "metadata.name",
        ),
        (
            "a name with a zero",
            json!({"metadata": {"name": "a\u{0}b"}}),
            422,
            "metadata.name",
        ),
        (
            "a name with a space",
            json!({"metadata": {"name": "a b"}}),
            422,
            "metadata.name",
        ),
        (
            "a name of two dots",
            json!({"metadata": {"name": ".."}}),
            422,
            "metadata.name",
        ),
        (
            "a name with an empty label",
            json!({"metadata": {"name": "a..b"}}),
            422,
            "metadata.name",
        ),
        (
            "a name that begins with a hyphen",
            json!({"metadata": {"name": "-a"}}),
            422,
            "metadata.name",
        ),
        (
            "a name that ends with a hyphen",
            json!({"metadata": {"name": "a-"}}),
            422,
            "metadata.name",
        ),
        (
            "a name in another script",
            json!({"metadata": {"name": "größe"}}),
            422,
            "metadata.name",
        ),
        (
            "a name of 254 bytes",
            json!({"metadata": {"name": "a".repeat(254)}}),
            422,
            "metadata.name",
        ),
        (
            "a name of a megabyte",
            json!({"metadata": {"name": "a".repeat(1 << 20)}}),
            422,
            "metadata.name",
        ),
        (
            "a prefix in capitals",
            json!({"metadata": {"name": null, "generateName": "X-"}}),
            422,
            "metadata.generateName",
        ),
        (
            "a prefix that is a truth",
            json!({"metadata": {"generateName": true}}),
            400,
            "metadata.generateName",
        ),
        (
            "a resourceVersion",
            json!({"metadata": {"resourceVersion": "5"}}),
            400,
            "resourceVersion",
        ),
        (
            "a resourceVersion that is a number",
            json!({"metadata": {"resourceVersion": 5}}),
            400,
            "metadata.resourceVersion",
        ),
        (
            "a uid that is a number",
            json!({"metadata": {"uid": 5}}),
            400,
            "metadata.uid",
        ),
        (
            "a generation that is text",
            json!({"metadata": {"generation": "1"}}),
            400,
            "metadata.generation",
        ),
        (
            "a generation that is a fraction",
            json!({"metadata": {"generation": 1.5}}),
            400,
            "metadata.generation",
        ),
        (
            "a time that is none",
            json!({"metadata": {"creationTimestamp": "yesterday"}}),
            400,
            "yesterday",
        ),
        (
            "a time that is a number",
            json!({"metadata": {"creationTimestamp": 0}}),
            400,
            "metadata.creationTimestamp",
        ),
        (
            "labels that are a list",
            json!({"metadata": {"labels": ["a"]}}),
            400,
            "metadata.labels",
        ),
        (
            "a label that is a number",
            json!({"metadata": {"labels": {"a": 1}}}),
            400,
            "metadata.labels",
        ),
        (
            "a label that is an object",
            json!({"metadata": {"labels": {"a": {"b": "c"}}}}),
            400,
            "metadata.labels",
        ),
        (
            "a label's key with a space",
            json!({"metadata": {"labels": {"a b": "c"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label's key that is empty",
            json!({"metadata": {"labels": {"": "c"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label's key of 64 bytes",
            json!({"metadata": {"labels": {(long.clone()): "c"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label's key of two slashes",
            json!({"metadata": {"labels": {"a/b/c": "c"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label's key of no prefix",
            json!({"metadata": {"labels": {"/b": "c"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label's key of a bad prefix",
            json!({"metadata": {"labels": {"A_/b": "c"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label of 64 bytes",
            json!({"metadata": {"labels": {"a": long}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label with a space",
            json!({"metadata": {"labels": {"a": "c d"}}}),
            422,
            "metadata.labels",
        ),
        (
            "a label with a line break",
            json!({"metadata": {"labels": {"a": "c\nd"}}}),
            422,
            "metadata.labels",
        ),
        (
            "an annotation that is a number",
            json!({"metadata": {"annotations": {"a": 1}}}),
            400,
            "metadata.annotations",
        ),
        (
            "an annotation's key with a space",
            json!({"metadata": {"annotations": {"a b": "c"}}}),
            422,
            "metadata.annotations",
        ),
        (
            "annotations of 270,000 bytes",
            json!({"metadata": {"annotations": {"a": "x".repeat(270_000)}}}),
            422,
            "metadata.annotations",
        ),
        (
            "finalizers that are text",
            json!({"metadata": {"finalizers": "a"}}),
            400,
            "metadata.finalizers",
        ),
        (
            "a finalizer that is a number",
            json!({"metadata": {"finalizers": [1]}}),
            400,
            "metadata.finalizers",
        ),
        (
            "a finalizer with a space",
            json!({"metadata": {"finalizers": ["a b"]}}),
            422,
            "metadata.finalizers",
        ),
        (
            "a finalizer that is empty",
            json!({"metadata": {"finalizers": [""]}}),
            422,
            "metadata.finalizers",
        ),
        (
            "owners that are an object",
            json!({"metadata": {"ownerReferences": {}}}),
            400,
            "metadata.ownerReferences",
        ),
        (
            "an owner that is text",
            json!({"metadata": {"ownerReferences": ["a"]}}),
            400,
            "metadata.ownerReferences[0]",
        ),
        (
            "an owner without a uid",
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n"}]}}),
            422,
            "metadata.ownerReferences[0].uid",
        ),
        (
            "an owner without a name",
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "uid": "n"}]}}),
            422,
            "metadata.ownerReferences[0].name",
        ),
        (
            "an owner without a kind",
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "name": "n", "uid": "n"}]}}),
            422,
            "metadata.ownerReferences[0].kind",
        ),
        (
            "an owner without a version",
            json!({"metadata": {"ownerReferences": [{"kind": "Node", "name": "n", "uid": "n"}]}}),
            422,
            "metadata.ownerReferences[0].apiVersion",
        ),
        (
            "an owner whose name is a number",
            json!({"metadata": {"ownerReferences": [{"name": 1}]}}),
            400,
            "metadata.ownerReferences[0].name",
        ),
        (
            "an owner whose flag is text",
            json!({"metadata": {"ownerReferences": [{"controller": "yes"}]}}),
            400,
            "metadata.ownerReferences[0].controller",
        ),
        (
            "two controllers",
            json!({"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1", "controller": true},
            {"apiVersion": "v1", "kind": "Node", "name": "m", "uid": "2", "controller": true}]}}),
            422,
            "metadata.ownerReferences",
        ),
        ("no spec", json!({"spec": null}), 422, "spec"),
        ("a spec that is text", json!({"spec": "x"}), 422, "spec"),
        ("a spec that is a list", json!({"spec": [1]}), 422, "spec"),
        ("a spec that is a number", json!({"spec": 1}), 422, "spec"),
        (
            "no size",
            json!({"spec": {"sizeBytes": null}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size that is text",
            json!({"spec": {"sizeBytes": "ten"}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size that is a truth",
            json!({"spec": {"sizeBytes": true}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size that is a fraction",
            json!({"spec": {"sizeBytes": 1_048_576.5}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size beyond 64 bits",
            json!({"spec": {"sizeBytes": 1e30}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size beyond 63 bits",
            json!({"spec": {"sizeBytes": u64::MAX}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size that is a list",
            json!({"spec": {"sizeBytes": [1]}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size that is too small",
            json!({"spec": {"sizeBytes": 5}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a size below zero",
            json!({"spec": {"sizeBytes": -1}}),
            422,
            "spec.sizeBytes",
        ),
        (
            "a pool's name in capitals",
            json!({"spec": {"poolName": "A"}}),
            422,
            "spec.poolName",
        ),
        (
            "a pool's name with a line break",
            json!({"spec": {"poolName": "a\n"}}),
            422,
            "spec.poolName",
        ),
        (
            "a pool's name of 64 bytes",
            json!({"spec": {"poolName": "a".repeat(64)}}),
            422,
            "spec.poolName",
        ),
        (
            "a pool's name of a megabyte",
            json!({"spec": {"poolName": "A".repeat(1 << 20)}}),
            422,
            "spec.poolName",
        ),
        (
            "a pool's name that is an object",
            json!({"spec": {"poolName": {"a": 1}}}),
            422,
            "spec.poolName",
        ),
        (
            "four replicas",
            json!({"spec": {"replicas": 4}}),
            422,
            "spec.replicas",
        ),
        (
            "replicas beyond 32 bits",
            json!({"spec": {"replicas": 1_i64 << 40}}),
            422,
            "spec.replicas",
        ),
        (
            "a file system that isn't known",
            json!({"spec": {"fsType": "zfs"}}),
            422,
            "spec.fsType",
        ),
        (
            "a file system that is a number",
            json!({"spec": {"fsType": 4}}),
            422,
            "spec.fsType",
        ),
        (
            "tags that are text",
            json!({"spec": {"tags": "a"}}),
            422,
            "spec.tags",
        ),
        (
            "a tag that is a number",
            json!({"spec": {"tags": ["a", 1]}}),
            422,
            "spec.tags[1]",
        ),
        (
            "a tag that is null",
            json!({"spec": {"tags": [null]}}),
            422,
            "spec.tags[0]",
        ),
        (
            "a tag twice",
            json!({"spec": {"tags": ["a", "b", "a"]}}),
            422,
            "spec.tags[2]",
        ),
        (
            "100,000 tags that are numbers",
            json!({"spec": {"tags": vec![1; 100_000]}}),
            422,
            "spec.tags[1]",
        ),
        (
            "two megabytes",
            json!({"spec": {"tags": ["x".repeat(2 << 20)]}}),
            413,
            "limit is 1572864",
        ),
    ];
    assert!(rows.len() > 85, "{}", rows.len());
    for (what, change, code, field) in rows {
        expect(what, create(change), code, field);
    }
}

#[test]
fn bodies() {
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    let aliases = {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..9 {
            let list = vec![format!("*a{}", i - 1); 10].join(",");
            text.push_str(&format!("a{i}: &a{i} [{list}]\n"));
        }
        text
    };
    let json_rows: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "nothing",
            Vec::new(),
            "unexpected end of JSON input (<empty>)",
        ),
        (
            "half an object",
            b"{\"apiVersion\":".to_vec(),
            "unexpected end of JSON input ({\"apiVersion\":)",
        ),
        ("no JSON", b"hello".to_vec(), "expected"),
        ("not UTF-8", b"{\"a\": \"\xff\xfe\"}".to_vec(), "unicode"),
        ("two objects", b"{} {}".to_vec(), "trailing"),
        ("a number beyond any", b"{\"a\": 1e999}".to_vec(), "number"),
        ("lists in lists", deep("[", "]", 65).into_bytes(), "depth"),
        (
            "100,000 lists in lists",
            deep("[", "]", 100_000).into_bytes(),
            "depth",
        ),
        (
            "a million open lists",
            "[".repeat(1 << 20).into_bytes(),
            "depth",
        ),
        (
            "objects in objects",
            deep("{\"a\":", "}", 65).into_bytes(),
            "depth",
        ),
        (
            "a comma too many",
            b"{\"a\": 1,}".to_vec(),
            "trailing comma",
        ),
        (
            "a control character",
            b"{\"a\": \"\x01\"}".to_vec(),
            "control",
        ),
    ];
    for (what, bytes, why) in json_rows {
        expect(
            what,
            parse_body(&bytes, BodyType::Json).map(|_| ()),
            400,
            why,
        );
    }
    let yaml_rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("YAML that isn't", b"a: [".to_vec(), 400, "yaml"),
        (
            "YAML of tags",
            b"a: !!binary x\nb: !Thing {}".to_vec(),
            400,
            "yaml",
        ),
        ("YAML that unfolds", aliases.into_bytes(), 400, "yaml"),
        (
            "YAML that names itself",
            b"a: &a [*a]".to_vec(),
            400,
            "yaml",
        ),
        ("YAML without an end", b"a: .inf".to_vec(), 400, "finite"),
        (
            "YAML of two documents",
            b"a: 1\n---\nb: 2\n".to_vec(),
            400,
            "yaml",
        ),
        ("deep YAML", deep("[", "]", 200).into_bytes(), 400, "yaml"),
        (
            "a megabyte of YAML",
            "- a\n".repeat(1 << 18).into_bytes(),
            413,
            "limit",
        ),
    ];
    for (what, bytes, code, why) in yaml_rows {
        expect(
            what,
            parse_body(&bytes, BodyType::Yaml).map(|_| ()),
            code,
            why,
        );
    }
    let error = parse_body_of(b"{", BodyType::Json, "Volume").unwrap_err();
    assert_eq!(
        error.message,
        "the object provided is unrecognized (must be of type Volume): couldn't get \
         version/kind; json parse error: unexpected end of JSON input ({)"
    );
    for value in [json!([]), json!("x"), json!(1), json!(null), json!(true)] {
        expect(
            "no object",
            writer(&volumes()).create(None, value, uid()).map(|_| ()),
            400,
            "Volume",
        );
    }
}

#[test]
fn fields_that_are_there_twice_are_found_at_any_depth() {
    let text = br#"{"a":1,"b":{"c":[0,{"d":1,"d":2}]},"a":3,"e":[[{"f":0,"f":0}]]}"#;
    let body = parse_body(text, BodyType::Json).unwrap();
    assert_eq!(body.duplicates, ["b.c[1].d", "a", "e[0][0].f"]);
    assert_eq!(body.value["a"], 3);
    let yaml = parse_body(b"spec:\n  1: a\n  true: b\n", BodyType::Yaml).unwrap();
    assert_eq!(yaml.value, json!({"spec": {"1": "a", "true": "b"}}));
}

#[test]
fn changes() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    let put = |change: Value| {
        let mut body = old.clone();
        json_patch::merge(&mut body, &change);
        writer(&kind)
            .update(&old, "a", body, Part::Main)
            .map(|_| ())
    };
    let put_rows: Vec<(&str, Value, u16, &str)> = vec![
        (
            "no revision",
            json!({"metadata": {"resourceVersion": null}}),
            422,
            "metadata.resourceVersion",
        ),
        (
            "an empty revision",
            json!({"metadata": {"resourceVersion": ""}}),
            422,
            "metadata.resourceVersion",
        ),
        (
            "an old revision",
            json!({"metadata": {"resourceVersion": "9"}}),
            409,
            "the object has been modified",
        ),
        (
            "a revision that is no number",
            json!({"metadata": {"resourceVersion": "abc"}}),
            400,
            "metadata.resourceVersion",
        ),
        (
            "another name",
            json!({"metadata": {"name": "b"}}),
            400,
            "the name of the object (b)",
        ),
        (
            "no name",
            json!({"metadata": {"name": null}}),
            400,
            "the name of the object ()",
        ),
        (
            "another identity",
            json!({"metadata": {"uid": "x"}}),
            409,
            "UID in precondition: x",
        ),
        (
            "a deletion",
            json!({"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}),
            422,
            "metadata.deletionTimestamp",
        ),
        (
            "a grace period",
            json!({"metadata": {"deletionGracePeriodSeconds": 5}}),
            422,
            "metadata.deletionGracePeriodSeconds",
        ),
        ("another kind", json!({"kind": "Thing"}), 422, "kind"),
        (
            "another version",
            json!({"apiVersion": "weir.dev/v2"}),
            400,
            "weir.dev/v2",
        ),
        (
            "another pool",
            json!({"spec": {"poolName": "pool-b"}}),
            422,
            "spec.poolName",
        ),
        (
            "a smaller size",
            json!({"spec": {"sizeBytes": 1_048_576}}),
            422,
            "spec",
        ),
        ("no spec", json!({"spec": null}), 422, "spec"),
        (
            "a label with a space",
            json!({"metadata": {"labels": {"a": "b c"}}}),
            422,
            "metadata.labels",
        ),
    ];
    for (what, change, code, field) in put_rows {
        expect(what, put(change), code, field);
    }
    let merge = |change: Value, part: Part| {
        writer(&kind)
            .patch(&old, &Patch::Merge(change), part)
            .map(|_| ())
    };
    let merge_rows: Vec<(&str, Value, u16, &str)> = vec![
        (
            "another name",
            json!({"metadata": {"name": "b"}}),
            400,
            "the name of the object (b)",
        ),
        (
            "no metadata",
            json!({"metadata": null}),
            400,
            "the name of the object ()",
        ),
        (
            "another identity",
            json!({"metadata": {"uid": "x"}}),
            422,
            "metadata.uid",
        ),
        (
            "an old revision",
            json!({"metadata": {"resourceVersion": "9"}}),
            409,
            "the object has been modified",
        ),
        (
            "no revision",
            json!({"metadata": {"resourceVersion": null}}),
            422,
            "metadata.resourceVersion",
        ),
        (
            "labels that are a list",
            json!({"metadata": {"labels": []}}),
            422,
            "patch",
        ),
        (
            "a label that is a number",
            json!({"metadata": {"labels": {"a": 1}}}),
            422,
            "patch",
        ),
        (
            "metadata that is text",
            json!({"metadata": "x"}),
            422,
            "patch",
        ),
        (
            "no kind",
            json!({"kind": null}),
            400,
            "Object 'Kind' is missing",
        ),
        (
            "another pool",
            json!({"spec": {"poolName": "pool-b"}}),
            422,
            "spec.poolName",
        ),
        (
            "a size that is an object",
            json!({"spec": {"sizeBytes": {"a": {"b": 1}}}}),
            422,
            "spec.sizeBytes",
        ),
    ];
    for (what, change, code, field) in merge_rows {
        expect(what, merge(change, Part::Main), code, field);
    }
    let status_rows: Vec<(&str, Value, u16, &str)> = vec![
        (
            "a status that is text",
            json!({"status": "x"}),
            422,
            "status",
        ),
        (
            "a phase that is a number",
            json!({"status": {"phase": 1}}),
            422,
            "status.phase",
        ),
        (
            "a condition without a status",
            json!({"status": {"conditions": [{"type": "Ready"}]}}),
            422,
            "status.conditions[0].status",
        ),
        (
            "a condition twice",
            json!({"status": {"conditions": [{"type": "A", "status": "x"}, {"type": "A", "status": "y"}]}}),
            422,
            "status.conditions[1]",
        ),
        (
            "a time that is none",
            json!({"status": {"conditions": [{"type": "A", "status": "x", "lastTransitionTime": "now"}]}}),
            422,
            "status.conditions[0].lastTransitionTime",
        ),
    ];
    for (what, change, code, field) in status_rows {
        expect(what, merge(change, Part::Status), code, field);
    }
    // The same through the main resource changes nothing at all.
    let status = json!({"status": {"phase": "Forged"}});
    let accepted = writer(&kind)
        .patch(&old, &Patch::Merge(status), Part::Main)
        .unwrap();
    assert!(accepted.object.get("status").is_none());
}

#[test]
fn patches() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    let send = |media: &str, text: &str| {
        Patch::parse(media, text.as_bytes())
            .and_then(|patch| writer(&kind).patch(&old, &patch, Part::Main))
            .map(|_| ())
    };
    let json_media = "application/json-patch+json";
    let merge_media = "application/merge-patch+json; charset=utf-8";
    let many = format!(
        "[{}]",
        vec![r#"{"op":"test","path":"","value":1}"#; 10_001].join(",")
    );
    let doubled = {
        let first = r#"{"op":"add","path":"/spec/x","value":["aaaaaaaaaaaaaaaa"]}"#.to_owned();
        let copy = r#"{"op":"copy","from":"/spec/x","path":"/spec/x/-"}"#.to_owned();
        let copies = std::iter::repeat_n(copy, 40);
        format!(
            "[{}]",
            std::iter::once(first)
                .chain(copies)
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let nested = {
        let mut operations = vec![r#"{"op":"add","path":"/spec/x","value":{}}"#.to_owned()];
        let mut path = "/spec/x".to_owned();
        for _ in 0..100 {
            path.push_str("/x");
            operations.push(format!(r#"{{"op":"add","path":"{path}","value":{{}}}}"#));
        }
        format!("[{}]", operations.join(","))
    };
    let crowded = {
        let items = vec!["1"; 200_000].join(",");
        let first = format!(r#"{{"op":"add","path":"/spec/x","value":[{items}]}}"#);
        let inserts = vec![r#"{"op":"add","path":"/spec/x/0","value":1}"#.to_owned(); 5_000];
        format!("[{first},{}]", inserts.join(","))
    };
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let rows: Vec<(&str, &str, &str, u16, &str)> = vec![
        (
            "half a merge patch",
            merge_media,
            "{",
            400,
            "unexpected end of JSON input",
        ),
        (
            "a merge patch that is a list",
            merge_media,
            "[]",
            400,
            "cannot unmarshal array",
        ),
        (
            "a merge patch that is text",
            merge_media,
            "\"x\"",
            400,
            "cannot unmarshal string",
        ),
        (
            "a merge patch that is null",
            merge_media,
            "null",
            400,
            "cannot unmarshal null",
        ),
        ("a deep merge patch", merge_media, &deep, 400, "depth"),
        (
            "a JSON patch that is an object",
            json_media,
            "{}",
            400,
            "cannot unmarshal object",
        ),
        (
            "an operation that is a number",
            json_media,
            "[1]",
            400,
            "cannot unmarshal number",
        ),
        (
            "an operation that isn't known",
            json_media,
            r#"[{"op":"x","path":"/a"}]"#,
            422,
            "rejected",
        ),
        (
            "an operation without a path",
            json_media,
            r#"[{"op":"remove"}]"#,
            422,
            "rejected",
        ),
        (
            "an operation without a value",
            json_media,
            r#"[{"op":"add","path":"/a"}]"#,
            422,
            "rejected",
        ),
        (
            "a path without a slash",
            json_media,
            r#"[{"op":"remove","path":"spec"}]"#,
            422,
            "rejected",
        ),
        (
            "a path that isn't there",
            json_media,
            r#"[{"op":"remove","path":"/spec/x/y"}]"#,
            422,
            "rejected",
        ),
        (
            "an index that is none",
            json_media,
            r#"[{"op":"add","path":"/metadata/name/x","value":1}]"#,
            422,
            "rejected",
        ),
        (
            "everything removed",
            json_media,
            r#"[{"op":"remove","path":""}]"#,
            422,
            "rejected",
        ),
        (
            "everything replaced",
            json_media,
            r#"[{"op":"replace","path":"","value":1}]"#,
            400,
            "Volume",
        ),
        (
            "a move into itself",
            json_media,
            r#"[{"op":"move","from":"/spec","path":"/spec/x"}]"#,
            422,
            "rejected",
        ),
        (
            "10,001 operations",
            json_media,
            &many,
            413,
            "maximum operations",
        ),
        ("copies of copies", json_media, &doubled, 413, "copies"),
        (
            "deeper with every operation",
            json_media,
            &nested,
            400,
            "depth",
        ),
        ("a billion moves", json_media, &crowded, 413, "moves"),
        (
            "another name",
            json_media,
            r#"[{"op":"replace","path":"/metadata/name","value":"zz"}]"#,
            400,
            "the name of the object (zz)",
        ),
        (
            "a strategic merge patch",
            "application/strategic-merge-patch+json",
            "{}",
            415,
            "application/merge-patch+json",
        ),
        (
            "an apply patch",
            "application/apply-patch+yaml",
            "{}",
            415,
            "application/merge-patch+json",
        ),
        (
            "no media type",
            "",
            "{}",
            415,
            "application/merge-patch+json",
        ),
        (
            "plain JSON",
            "application/json",
            "{}",
            415,
            "application/merge-patch+json",
        ),
    ];
    for (what, media, text, code, field) in rows {
        expect(what, send(media, text), code, field);
    }
}

#[test]
fn deletions() {
    let kind = volumes();
    let old = created(&kind, body(&kind, volume()));
    let delete = |options: Value| {
        let options = DeleteOptions::from_value(&options)?;
        writer(&kind).delete(&old, &options).map(|_| ())
    };
    let rows: Vec<(&str, Value, u16, &str)> = vec![
        ("options that are a list", json!([]), 400, "the body"),
        (
            "a policy that isn't known",
            json!({"propagationPolicy": "Foo"}),
            422,
            "propagationPolicy",
        ),
        (
            "a policy that is a number",
            json!({"propagationPolicy": 1}),
            400,
            "propagationPolicy",
        ),
        (
            "a dry run of what",
            json!({"dryRun": ["Some"]}),
            422,
            "dryRun",
        ),
        (
            "a dry run that is text",
            json!({"dryRun": "All"}),
            400,
            "dryRun",
        ),
        (
            "a grace period that is text",
            json!({"gracePeriodSeconds": "1"}),
            400,
            "gracePeriodSeconds",
        ),
        (
            "preconditions that are text",
            json!({"preconditions": "x"}),
            400,
            "preconditions",
        ),
        (
            "a uid that is a number",
            json!({"preconditions": {"uid": 1}}),
            400,
            "preconditions.uid",
        ),
        (
            "another object",
            json!({"preconditions": {"uid": "x"}}),
            409,
            "the UID in the precondition (x)",
        ),
        (
            "another state",
            json!({"preconditions": {"resourceVersion": "7"}}),
            409,
            "the ResourceVersion in the precondition (7)",
        ),
        (
            "another kind of options",
            json!({"kind": "Volume"}),
            400,
            "Volume",
        ),
    ];
    for (what, options, code, field) in rows {
        expect(what, delete(options), code, field);
    }
}

#[test]
fn built_in_kinds() {
    let create = |group: &str, plural: &str, namespace: &str, object: Value| {
        let kind = resource(group, plural);
        let mut body = json!({"metadata": {"name": "a"}});
        json_patch::merge(&mut body, &object);
        writer(&kind)
            .create(Some(namespace), body, uid())
            .map(|_| ())
    };
    let leases = ("coordination.k8s.io", "leases");
    let (old_events, new_events) = (("", "events"), ("events.k8s.io", "events"));
    let event = |change: Value| {
        let mut event = json!({
            "action": "A", "eventTime": "2026-11-22T09:15:49.092321Z", "note": "n", "reason": "R",
            "regarding": {"kind": "Volume", "name": "x"}, "reportingController": "weir",
            "reportingInstance": "0", "type": "Normal",
        });
        json_patch::merge(&mut event, &change);
        event
    };
    let rows: Vec<(&str, (&str, &str), Value, u16, &str)> = vec![
        (
            "a lease for no time",
            leases,
            json!({"spec": {"leaseDurationSeconds": 0}}),
            422,
            "spec.leaseDurationSeconds",
        ),
        (
            "a lease for less than no time",
            leases,
            json!({"spec": {"leaseDurationSeconds": -1}}),
            422,
            "spec.leaseDurationSeconds",
        ),
        (
            "a lease of fewer than no transitions",
            leases,
            json!({"spec": {"leaseTransitions": -1}}),
            422,
            "spec.leaseTransitions",
        ),
        (
            "a lease for a text",
            leases,
            json!({"spec": {"leaseDurationSeconds": "15"}}),
            400,
            "spec.leaseDurationSeconds",
        ),
        (
            "a lease beyond 32 bits",
            leases,
            json!({"spec": {"leaseDurationSeconds": 1_i64 << 33}}),
            400,
            "spec.leaseDurationSeconds",
        ),
        (
            "a time without a fraction",
            leases,
            json!({"spec": {"renewTime": "2026-11-22T09:00:00Z"}}),
            400,
            "cannot parse \"Z\" as \".000000\"",
        ),
        (
            "a time of three digits",
            leases,
            json!({"spec": {"renewTime": "2026-11-22T09:00:00.123Z"}}),
            400,
            ".000000",
        ),
        (
            "a time of nine digits",
            leases,
            json!({"spec": {"renewTime": "2026-11-22T09:00:00.123456789Z"}}),
            400,
            ".000000",
        ),
        (
            "a time that is none",
            leases,
            json!({"spec": {"acquireTime": "yesterday"}}),
            400,
            "cannot parse \"yesterday\" as \"2006\"",
        ),
        (
            "a time that is a number",
            leases,
            json!({"spec": {"acquireTime": 1}}),
            400,
            "spec.acquireTime",
        ),
        (
            "a holder that is an object",
            leases,
            json!({"spec": {"holderIdentity": {}}}),
            400,
            "spec.holderIdentity",
        ),
        (
            "another namespace",
            leases,
            json!({"metadata": {"namespace": "kube-system"}}),
            400,
            "namespace",
        ),
        ("another kind", leases, json!({"kind": "Node"}), 422, "kind"),
        (
            "an event about another namespace",
            old_events,
            json!({"involvedObject": {"namespace": "other"}}),
            422,
            "involvedObject.namespace",
        ),
        (
            "an event at no time",
            old_events,
            json!({"firstTimestamp": "never"}),
            400,
            "never",
        ),
        (
            "a count that is text",
            old_events,
            json!({"count": "3"}),
            400,
            "count",
        ),
        (
            "an event without a time",
            new_events,
            event(json!({"eventTime": null})),
            422,
            "eventTime",
        ),
        (
            "an event of no known type",
            new_events,
            event(json!({"type": "Bad"})),
            422,
            "type",
        ),
        (
            "an event of nobody",
            new_events,
            event(json!({"reportingController": null})),
            422,
            "reportingController",
        ),
        (
            "an event of somebody odd",
            new_events,
            event(json!({"reportingController": "a b"})),
            422,
            "reportingController",
        ),
        (
            "an event of no instance",
            new_events,
            event(json!({"reportingInstance": ""})),
            422,
            "reportingInstance",
        ),
        (
            "an event of no action",
            new_events,
            event(json!({"action": null})),
            422,
            "action",
        ),
        (
            "an event for no reason",
            new_events,
            event(json!({"reason": null})),
            422,
            "reason",
        ),
        (
            "a note of 1,025 bytes",
            new_events,
            event(json!({"note": "x".repeat(1025)})),
            422,
            "note",
        ),
        (
            "a reason of 129 bytes",
            new_events,
            event(json!({"reason": "x".repeat(129)})),
            422,
            "reason",
        ),
        (
            "an old count in a new event",
            new_events,
            event(json!({"deprecatedCount": 3})),
            422,
            "deprecatedCount",
        ),
        (
            "a series at no time",
            new_events,
            event(json!({"series": {"count": 2, "lastObservedTime": "x"}})),
            400,
            "x",
        ),
        (
            "a namespace with a dot",
            ("", "namespaces"),
            json!({"metadata": {"name": "a.b"}}),
            422,
            "metadata.name",
        ),
        (
            "a namespace of 64 bytes",
            ("", "namespaces"),
            json!({"metadata": {"name": "a".repeat(64)}}),
            422,
            "metadata.name",
        ),
        (
            "a node in capitals",
            ("", "nodes"),
            json!({"metadata": {"name": "N1"}}),
            422,
            "metadata.name",
        ),
        (
            "a node whose spec is text",
            ("", "nodes"),
            json!({"spec": "x"}),
            400,
            "spec",
        ),
        (
            "a node that may be shut to pods",
            ("", "nodes"),
            json!({"spec": {"unschedulable": "yes"}}),
            400,
            "spec.unschedulable",
        ),
    ];
    for (what, (group, plural), object, code, field) in rows {
        expect(what, create(group, plural, "default", object), code, field);
    }
    let elsewhere = create(
        "",
        "events",
        "other",
        json!({"involvedObject": {"kind": "Node"}}),
    );
    expect(
        "a cluster's event elsewhere",
        elsewhere,
        422,
        "involvedObject.namespace",
    );
}
