//! Tests of selectors.

use serde_json::{Value, json};

use super::{FieldSelector, LabelSelector, indexed};
use crate::standalone::event::to_core;
use crate::standalone::fixtures::resource;

#[test]
fn labels_are_selected_by_what_is_asked() {
    let object = json!({"metadata": {"labels": {"a": "b", "x": "y", "n": "5", "e": ""}}});
    let rows = [
        ("", true),
        ("a=b", true),
        ("a==b", true),
        ("a = b , x=y", true),
        ("a=c", false),
        ("q=c", false),
        ("a!=c", true),
        ("a!=b", false),
        ("q!=b", true),
        ("a", true),
        ("!a", false),
        ("q", false),
        ("!q", true),
        ("! q", true),
        ("a in (b,c)", true),
        ("a in (c, d)", false),
        ("q in (c)", false),
        ("a notin (c,d)", true),
        ("a notin (b)", false),
        ("q notin (b)", true),
        ("a=b,!q,x in (y,z),x!=v", true),
        ("e=", true),
        ("e in ()", true),
        ("a=", false),
        ("n>4", true),
        ("n > 5", false),
        ("n<6", true),
        ("a>1", false),
        ("weir.dev/x!=1", true),
    ];
    for (text, expected) in rows {
        let selector = LabelSelector::parse(text).unwrap();
        assert_eq!(selector.matches(&object), expected, "{text}");
        let kind = resource("weir.dev", "volumes");
        assert_eq!(
            selector.matches_indexed(&indexed(&kind, &object)),
            expected,
            "{text}"
        );
    }
}

#[test]
fn label_selectors_that_make_no_sense_are_refused() {
    let rows = [
        (
            "a b c",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "=",
            "unable to parse requirement: found '=', expected: identifier",
        ),
        (
            "a=b,",
            "unable to parse requirement: found '', expected: identifier after ','",
        ),
        (",a", "found ','"),
        ("a=b c", "found 'c'"),
        ("a in b", "found 'b' expected: '('"),
        ("a in (b", "found ''"),
        ("a in (b c)", "found 'c'"),
        ("!a=b", "found '='"),
        ("a b=", "found 'b'"),
        ("a=b=c", "found '='"),
        ("a>x", "must be an integer"),
        ("a/b/c=d", "a qualified name"),
        ("a=-", "a valid label"),
        ("a=(b)", "found '('"),
        ("ä=b", "name part"),
    ];
    for (text, why) in rows {
        let error = LabelSelector::parse(text).unwrap_err();
        assert!(
            error.code == 400 && error.message.contains(why),
            "{text}: {error}"
        );
    }
    assert!(LabelSelector::parse(&"a,".repeat(100_000)).is_err());
}

#[test]
fn fields_are_selected_by_what_is_asked() {
    let kind = resource("weir.dev", "volumes");
    let object = json!({
        "metadata": {"name": "v"},
        "spec": {"poolName": "p,=\\", "nodeName": "n"},
    });
    let rows = [
        ("", true),
        ("metadata.name=v", true),
        ("metadata.name==v,spec.nodeName=n", true),
        ("metadata.name!=v", false),
        ("spec.nodeName!=m", true),
        ("spec.nodeName=", false),
        ("spec.poolName=p\\,\\=\\\\", true),
        ("spec.poolName=p", false),
        (",metadata.name=v,", true),
    ];
    for (text, expected) in rows {
        let selector = FieldSelector::parse(text, &kind).unwrap();
        assert_eq!(selector.matches(&object), expected, "{text}");
        assert_eq!(
            selector.matches_indexed(&indexed(&kind, &object)),
            expected,
            "{text}"
        );
    }
    let selector = FieldSelector::parse("spec.poolName=x,spec.nodeName!=y", &kind).unwrap();
    assert_eq!(selector.exact("spec.poolName"), Some("x"));
    assert_eq!(selector.exact("spec.nodeName"), None);
}

#[test]
fn field_selectors_that_make_no_sense_are_refused() {
    let kind = resource("weir.dev", "volumes");
    let rows = [
        ("abc", "invalid selector: 'abc'; can't understand 'abc'"),
        ("spec.fsType=ext4", "field label not supported: spec.fsType"),
        (
            "metadata.namespace=x",
            "field label not supported: metadata.namespace",
        ),
        ("metadata.name=a=b", "bad escape"),
        ("metadata.name=a\\b", "bad escape"),
        ("metadata.name=a\\", "bad escape"),
        ("=v", "field label not supported: "),
    ];
    for (text, why) in rows {
        let error = FieldSelector::parse(text, &kind).unwrap_err();
        assert!(
            error.code == 400 && error.message.contains(why),
            "{text}: {error}"
        );
    }
}

#[test]
fn events_of_both_groups_are_selected_alike() {
    let stored = to_core(&json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Volume", "name": "v", "uid": "u"},
        "reason": "R", "reportingController": "weir", "type": "Normal",
    }));
    let core = resource("", "events");
    let new = resource("events.k8s.io", "events");
    let rows: Vec<(&_, &str, bool)> = vec![
        (
            &core,
            "involvedObject.name=v,involvedObject.namespace=,involvedObject.kind=Volume,\
                 involvedObject.uid=u",
            true,
        ),
        (&core, "involvedObject.name=w", false),
        (
            &core,
            "reason=R,type=Normal,source=weir,reportingComponent=weir",
            true,
        ),
        (&core, "metadata.namespace=default,metadata.name=e", true),
        (&new, "regarding.name=v,reportingController=weir", true),
        (&new, "regarding.kind=Node", false),
    ];
    for (kind, text, expected) in rows {
        let selector = FieldSelector::parse(text, kind).unwrap();
        assert_eq!(selector.matches(&stored), expected, "{text}");
        assert_eq!(
            selector.matches_indexed(&indexed(kind, &stored)),
            expected,
            "{text}"
        );
    }
    assert!(FieldSelector::parse("message=x", &core).is_err());
    assert_eq!(indexed(&core, &stored), indexed(&new, &stored));
    let node = json!({"metadata": {"name": "n"}});
    let nodes = resource("", "nodes");
    let selector = FieldSelector::parse("spec.unschedulable=false", &nodes).unwrap();
    assert!(selector.matches(&node) && selector.matches_indexed(&indexed(&nodes, &node)));
}

#[test]
fn no_text_panics() {
    let kind = resource("weir.dev", "volumes");
    let mut seed = fastrand::Rng::with_seed(5);
    let letters: Vec<char> = "ab=!,()<> in\\ö\u{0}.".chars().collect();
    for _ in 0..20_000 {
        let text: String = (0..seed.usize(..12))
            .map(|_| letters[seed.usize(..letters.len())])
            .collect();
        let object = Value::Null;
        let _ = LabelSelector::parse(&text).map(|s| s.matches(&object));
        let _ = FieldSelector::parse(&text, &kind).map(|s| s.matches(&object));
    }
}
