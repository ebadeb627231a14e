//! Requests that are malformed or hostile: each is refused, with a code and a field.

use serde::Deserialize;
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

/// `hostile.jsonl`: what is written to, what is odd about it, the change that makes it so, and the
/// code and field that answer it.
#[derive(Deserialize)]
struct Row(String, String, Value, u16, String);

/// The rows of one kind of write. A text `@x64` stands for 64 times `x`, `@@9` for nine numbers.
fn rows(of: &str) -> Vec<Row> {
    let rows = include_str!("hostile.jsonl").lines();
    let rows = rows.map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<Row> = rows.filter(|row: &Row| row.0 == of).collect();
    assert!(!rows.is_empty(), "{of}");
    rows.into_iter()
        .map(|row| Row(row.0, row.1, unfolded(row.2), row.3, row.4))
        .collect()
}

fn unfolded(value: Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("@@") {
            Some(count) => json!(vec![1; count.parse().unwrap()]),
            None => Value::from(repeated(text)),
        },
        Value::Array(items) => items.into_iter().map(unfolded).collect(),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(k, v)| (repeated(k), unfolded(v)))
                .collect(),
        ),
        other => other,
    }
}

fn repeated(text: String) -> String {
    let count = text.get(2..).and_then(|count| count.parse().ok());
    match (text.starts_with('@'), count) {
        (true, Some(count)) => text[1..2].repeat(count),
        _ => text,
    }
}

#[test]
fn new_objects() {
    let rows = rows("create");
    assert!(rows.len() > 85, "{}", rows.len());
    for Row(_, what, change, code, field) in rows {
        expect(&what, create(change), code, &field);
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
    for Row(_, what, change, code, field) in rows("put") {
        let mut body = old.clone();
        json_patch::merge(&mut body, &change);
        let got = writer(&kind).update(&old, "a", body, Part::Main);
        expect(&what, got.map(|_| ()), code, &field);
    }
    for (of, part) in [("merge", Part::Main), ("status", Part::Status)] {
        for Row(_, what, change, code, field) in rows(of) {
            let got = writer(&kind).patch(&old, &Patch::Merge(change), part);
            expect(&what, got.map(|_| ()), code, &field);
        }
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
    for Row(_, what, options, code, field) in rows("delete") {
        let got = DeleteOptions::from_value(&options)
            .and_then(|options| writer(&kind).delete(&old, &options));
        expect(&what, got.map(|_| ()), code, &field);
    }
}

#[test]
fn built_in_kinds() {
    let event = json!({
        "action": "A", "eventTime": "2026-11-22T09:15:49.092321Z", "note": "n", "reason": "R",
        "regarding": {"kind": "Volume", "name": "x"}, "reportingController": "weir",
        "reportingInstance": "0", "type": "Normal",
    });
    let create = |group: &str, plural: &str, namespace: &str, base: &Value, change: &Value| {
        let kind = resource(group, plural);
        let mut body = json!({"metadata": {"name": "a"}});
        json_patch::merge(&mut body, base);
        json_patch::merge(&mut body, change);
        writer(&kind)
            .create(Some(namespace), body, uid())
            .map(|_| ())
    };
    let nothing = json!({});
    for (of, group, plural, base) in [
        ("leases", "coordination.k8s.io", "leases", &nothing),
        ("events", "", "events", &nothing),
        ("events.k8s.io", "events.k8s.io", "events", &event),
        ("namespaces", "", "namespaces", &nothing),
        ("nodes", "", "nodes", &nothing),
    ] {
        for Row(_, what, change, code, field) in rows(of) {
            expect(
                &what,
                create(group, plural, "default", base, &change),
                code,
                &field,
            );
        }
    }
    let about = json!({"involvedObject": {"kind": "Node"}});
    let elsewhere = create("", "events", "other", &nothing, &about);
    expect(
        "a cluster's event elsewhere",
        elsewhere,
        422,
        "involvedObject.namespace",
    );
}
